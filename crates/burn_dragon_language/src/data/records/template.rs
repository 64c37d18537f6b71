//! Text of a record: a template with its fields.

use super::Place;
use crate::error::LanguageError;

/// Text with fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::data) struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Field(String),
}

impl Template {
    /// The fields one after the other, with a separator between them.
    pub(in crate::data) fn of_fields(fields: &[String], separator: &str) -> Self {
        let mut parts = Vec::new();
        for (at, field) in fields.iter().enumerate() {
            if at > 0 {
                parts.push(Part::Text(separator.into()));
            }
            parts.push(Part::Field(field.clone()));
        }
        Self { parts }
    }

    /// Parses a template: `{name}` is a field, `{{` and `}}` are braces.
    ///
    /// # Errors
    /// [`LanguageError::Config`].
    pub(in crate::data) fn parse(text: &str) -> Result<Self, LanguageError> {
        let refuse = |reason: &str| LanguageError::Config {
            key: "template",
            reason: format!("is {text:?}: {reason}; `{{field}}` is a field, `{{{{` and `}}}}` are braces"),
        };
        let (mut parts, mut plain, mut rest) = (Vec::new(), String::new(), text);
        while let Some(at) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(at);
            plain.push_str(before);
            if let Some(after) = from.strip_prefix("{{").or_else(|| from.strip_prefix("}}")) {
                plain.push_str(&from[..1]);
                rest = after;
                continue;
            }
            let inside = from
                .strip_prefix('{')
                .ok_or_else(|| refuse("a `}` closes no field"))?;
            let (field, after) = inside
                .split_once('}')
                .ok_or_else(|| refuse("a `{` is not closed"))?;
            if field.is_empty() || field.contains('{') {
                return Err(refuse("a field has no name"));
            }
            parts.push(Part::Text(std::mem::take(&mut plain)));
            parts.push(Part::Field(field.into()));
            rest = after;
        }
        plain.push_str(rest);
        parts.push(Part::Text(plain));
        let template = Self { parts };
        if template.fields().next().is_none() {
            return Err(refuse("it has no field"));
        }
        Ok(template)
    }

    /// Names of its fields.
    pub(in crate::data) fn fields(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Field(name) => Some(&**name),
            Part::Text(_) => None,
        })
    }

    /// Text of a record. `field` gives a field by its name, `names` those that the record has.
    ///
    /// # Errors
    /// [`LanguageError::Record`] if a field is absent.
    pub(super) fn text(
        &self,
        place: &Place,
        field: impl Fn(&str) -> Option<String>,
        names: impl Fn() -> Vec<String>,
    ) -> Result<Vec<u8>, LanguageError> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(plain) => text.push_str(plain),
                Part::Field(name) => text.push_str(&field(name).ok_or_else(|| {
                    place.error(format!(
                        "there is no field `{name}`; it has {}",
                        names().join(", ")
                    ))
                })?),
            }
        }
        Ok(text.into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(template: &str) -> Result<String, LanguageError> {
        let place = Place {
            path: "a.jsonl".into(),
            record: 3,
        };
        let field = |name: &str| ["a", "b"].contains(&name).then(|| name.to_uppercase());
        let text = Template::parse(template)?.text(&place, field, || vec!["a".into(), "b".into()])?;
        Ok(String::from_utf8(text).unwrap())
    }

    #[test]
    fn fields_are_put_in_and_braces_are_doubled() {
        assert_eq!(text("Q: {a}\n\nA: {b}").unwrap(), "Q: A\n\nA: B");
        assert_eq!(text("{a}{b}{{a}}").unwrap(), "AB{a}");
        assert_eq!(
            Template::parse("{b}\n{a}").unwrap().fields().collect::<Vec<_>>(),
            ["b", "a"]
        );
        let joined = Template::of_fields(&["b".into(), "a".into()], " | ");
        assert_eq!(
            joined,
            Template {
                parts: vec![
                    Part::Field("b".into()),
                    Part::Text(" | ".into()),
                    Part::Field("a".into())
                ]
            }
        );
    }

    #[test]
    fn a_template_that_has_no_meaning_is_refused() {
        for template in ["", "no field", "{a", "a}", "{}", "{{a}}", "{a{b}}"] {
            let error = text(template).unwrap_err();
            assert!(
                matches!(error, LanguageError::Config { key: "template", .. }),
                "{template}: {error}"
            );
        }
    }

    #[test]
    fn a_field_that_is_absent_is_named_with_those_there_are() {
        let error = text("{a}{c}").unwrap_err().to_string();
        for part in ["a.jsonl", "record 3", "`c`", "it has a, b"] {
            assert!(error.contains(part), "{error}");
        }
    }
}
