//! XML, as far as GraphML needs it: elements with attributes and text, each with its line. There are no entities but the
//! predefined ones, and no document type declarations.

/// Largest depth of elements in each other.
const DEPTH: usize = 64;

/// Element of a document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Element {
    /// Name, with its prefix if it has one.
    pub(super) name: String,
    /// Attributes in their order.
    pub(super) attributes: Vec<(String, String)>,
    /// Elements in it.
    pub(super) children: Vec<Self>,
    /// All text directly in it.
    pub(super) text: String,
    /// Line of its beginning, counted from 1.
    pub(super) line: usize,
}

/// Fault of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// Line, counted from 1.
    pub(super) line: usize,
    /// The fault, with what is expected.
    pub(super) reason: String,
}

impl Element {
    /// Value of an attribute.
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(own, _)| own == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Value of an attribute that the element must have.
    pub(super) fn required(&self, name: &str) -> Result<&str, Fault> {
        let missing = || self.fault(format!("`<{}>` has no attribute `{name}`", self.name));
        self.attribute(name).ok_or_else(missing)
    }

    /// Fault at the line of the element.
    pub(super) fn fault(&self, reason: impl Into<String>) -> Fault {
        Fault {
            line: self.line,
            reason: reason.into(),
        }
    }
}

/// Reads a document. Returns its root element.
pub(super) fn root_of(text: &str) -> Result<Element, Fault> {
    let rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader { rest, line: 1 };
    let (mut open, mut root) = (Vec::<Element>::new(), None);
    while !reader.rest.is_empty() {
        let line = reader.line;
        let fault = |reason: String| Fault { line, reason };
        let whole = match reader.token()? {
            Token::Nothing => continue,
            Token::Text(text) => {
                match open.last_mut() {
                    Some(element) => element.text.push_str(&text),
                    None if text.trim().is_empty() => {}
                    None => return Err(fault("there is text outside of the root element".into())),
                }
                continue;
            }
            Token::Start(_) | Token::Whole(_) if root.is_some() => {
                return Err(fault("there is a second root element; expected one".into()));
            }
            Token::Start(_) | Token::Whole(_) if open.len() >= DEPTH => {
                return Err(fault(format!(
                    "elements are more than {DEPTH} deep in each other"
                )));
            }
            Token::Start(element) => {
                open.push(element);
                continue;
            }
            Token::Whole(element) => element,
            Token::End(name) => match open.pop() {
                Some(element) if element.name == name => element,
                Some(Element { name: own, line, .. }) => {
                    return Err(fault(format!(
                        "`</{name}>` does not end `<{own}>` of line {line}; expected `</{own}>`"
                    )));
                }
                None => return Err(fault(format!("`</{name}>` ends no element"))),
            },
        };
        match open.last_mut() {
            Some(parent) => parent.children.push(whole),
            None => root = Some(whole),
        }
    }
    match open.pop() {
        Some(element) => Err(element.fault(format!("`<{0}>` does not end; expected `</{0}>`", element.name))),
        None => root.ok_or(Fault {
            line: reader.line,
            reason: "there is no element".into(),
        }),
    }
}

/// Part of a document.
enum Token {
    /// Beginning of an element.
    Start(Element),
    /// Element without content.
    Whole(Element),
    /// End of an element of this name.
    End(String),
    Text(String),
    /// Comment, or processing instruction.
    Nothing,
}

/// Rest of a document, with its line.
struct Reader<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Reader<'a> {
    fn fault(&self, reason: impl Into<String>) -> Fault {
        Fault {
            line: self.line,
            reason: reason.into(),
        }
    }

    /// Takes this many bytes.
    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.line += taken.matches('\n').count();
        self.rest = rest;
        taken
    }

    /// Takes a text, if the rest begins with it.
    fn takes(&mut self, text: &str) -> bool {
        let begins = self.rest.starts_with(text);
        if begins {
            self.take(text.len());
        }
        begins
    }

    /// Takes everything before `end`, and `end`.
    fn until(&mut self, end: &str, what: &str) -> Result<&'a str, Fault> {
        let Some(at) = self.rest.find(end) else {
            return Err(self.fault(format!("{what} does not end; expected `{end}`")));
        };
        let taken = self.take(at);
        self.take(end.len());
        Ok(taken)
    }

    fn token(&mut self) -> Result<Token, Fault> {
        if self.takes("<!--") {
            self.until("-->", "a comment")?;
            return Ok(Token::Nothing);
        }
        if self.takes("<![CDATA[") {
            return Ok(Token::Text(self.until("]]>", "a CDATA section")?.into()));
        }
        if self.rest.starts_with("<!") {
            return Err(self.fault("a declaration `<!...>` is not read; remove it"));
        }
        if self.takes("<?") {
            return self.instruction();
        }
        if self.takes("</") {
            let name = self.name()?;
            self.space();
            return match self.takes(">") {
                true => Ok(Token::End(name)),
                false => Err(self.fault(format!("`</{name}` is not followed by `>`"))),
            };
        }
        if self.takes("<") {
            return self.element();
        }
        let text = self.rest.find('<').unwrap_or(self.rest.len());
        let unescaped = self.unescaped(&self.rest[..text])?;
        self.take(text);
        Ok(Token::Text(unescaped))
    }

    /// Processing instruction. The declaration must not name another encoding than that of the text.
    fn instruction(&mut self) -> Result<Token, Fault> {
        let line = self.line;
        let body = self.until("?>", "a processing instruction")?;
        let Some((_, encoding)) = body
            .strip_prefix("xml ")
            .and_then(|body| body.split_once("encoding"))
        else {
            return Ok(Token::Nothing);
        };
        let named = encoding.trim_start_matches([' ', '=', '\t']);
        let named = named.split(['"', '\'']).nth(1).unwrap_or_default();
        match named.to_ascii_lowercase().as_str() {
            "utf-8" | "utf8" | "us-ascii" | "ascii" => Ok(Token::Nothing),
            _ => Err(Fault {
                line,
                reason: format!("the encoding is `{named}`; expected UTF-8"),
            }),
        }
    }

    /// Takes white space. Returns whether there was some.
    fn space(&mut self) -> bool {
        let bytes = self.rest.len() - self.rest.trim_start().len();
        !self.take(bytes).is_empty()
    }

    fn name(&mut self) -> Result<String, Fault> {
        let ends = |c: char| !(c.is_alphanumeric() || "_:.-".contains(c));
        let bytes = self.rest.find(ends).unwrap_or(self.rest.len());
        let first = self.rest.chars().next().filter(|_| bytes > 0);
        match first {
            Some(c) if c.is_alphabetic() || c == '_' => Ok(self.take(bytes).into()),
            _ => Err(self.fault(
                "expected a name after `<`, `</` or the space in an element; write `<` in text as `&lt;`",
            )),
        }
    }

    /// Element after its `<`, up to its `>`.
    fn element(&mut self) -> Result<Token, Fault> {
        let mut element = Element {
            line: self.line,
            name: self.name()?,
            ..Element::default()
        };
        loop {
            let space = self.space();
            if self.takes("/>") {
                return Ok(Token::Whole(element));
            }
            if self.takes(">") {
                return Ok(Token::Start(element));
            }
            if !space {
                let name = &element.name;
                return Err(self.fault(format!("`<{name}` is not followed by a space, `>` or `/>`")));
            }
            let (name, value) = self.attribute()?;
            if element.attribute(&name).is_some() {
                let of = &element.name;
                return Err(self.fault(format!("`<{of}>` has the attribute `{name}` twice")));
            }
            element.attributes.push((name, value));
        }
    }

    fn attribute(&mut self) -> Result<(String, String), Fault> {
        let name = self.name()?;
        self.space();
        let follows = self.takes("=");
        self.space();
        let quote = ["\"", "'"].into_iter().find(|quote| follows && self.takes(quote));
        let Some(quote) = quote else {
            return Err(self.fault(format!(
                "the attribute `{name}` has no value; expected {name}=\"...\""
            )));
        };
        let value = self.until(quote, &format!("the attribute `{name}`"))?;
        if value.contains('<') {
            return Err(self.fault(format!("the attribute `{name}` has a `<`; write it as `&lt;`")));
        }
        Ok((name, self.unescaped(value)?))
    }

    /// Text with its references replaced.
    fn unescaped(&self, text: &str) -> Result<String, Fault> {
        let (mut whole, mut rest) = (String::with_capacity(text.len()), text);
        while let Some((before, after)) = rest.split_once('&') {
            let found = after
                .split_once(';')
                .and_then(|(name, rest)| Some((character(name)?, rest)));
            let Some((character, next)) = found else {
                return Err(self.fault("`&` is not followed by lt; gt; amp; quot; apos; or #NUMBER;"));
            };
            whole.push_str(before);
            whole.push(character);
            rest = next;
        }
        whole.push_str(rest);
        Ok(whole)
    }
}

/// Character that a reference names.
fn character(name: &str) -> Option<char> {
    match name {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let digits = name.strip_prefix('#')?;
            let (digits, radix) = digits.strip_prefix('x').map_or((digits, 10), |hex| (hex, 16));
            let all = digits.chars().all(|digit| digit.is_digit(radix));
            let code = u32::from_str_radix(digits, radix).ok().filter(|_| all);
            code.and_then(char::from_u32)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_attributes_and_text_are_read_with_their_lines() {
        let text = "\u{feff}<?xml version=\"1.0\" encoding='UTF-8'?>\n<!-- <no> -->\n<a b = '1 > \"0\"' c=\"&lt;&#65;&#x42;\">\n\
                    one<d\n/><![CDATA[<&]]>&amp;\n</a >\n";
        let root = root_of(text).unwrap();
        assert_eq!((root.name.as_str(), root.line), ("a", 3));
        assert_eq!(
            (root.attribute("b"), root.attribute("c")),
            (Some("1 > \"0\""), Some("<AB"))
        );
        assert_eq!(root.attribute("d"), None);
        assert_eq!(root.text, "\none<&&\n");
        assert_eq!((root.children[0].name.as_str(), root.children[0].line), ("d", 4));
    }

    #[test]
    fn what_is_not_well_formed_is_refused_at_its_line() {
        for (text, line, says) in [
            ("", 1, "there is no element"),
            ("<a>\n</b>", 2, "does not end `<a>` of line 1"),
            ("\n<a>\n", 2, "expected `</a>`"),
            ("<a/>\n<b/>", 2, "second root"),
            ("<a/>\nx", 1, "text outside"),
            ("</a>", 1, "ends no element"),
            ("<a\nb=1/>", 2, "b=\"...\""),
            ("<a b/>", 1, "`b` has no value"),
            ("<a b=\"1\"c=\"2\"/>", 1, "not followed by a space"),
            ("<a b=\"1\" b=\"2\"/>", 1, "twice"),
            ("<a b=\"<\"/>", 1, "&lt;"),
            ("<a>1 < 2</a>", 1, "expected a name"),
            ("<a>&nbsp;</a>", 1, "`&` is not followed"),
            ("<a>&#xd800;</a>", 1, "`&` is not followed"),
            ("<a>&#+65;</a>", 1, "`&` is not followed"),
            ("<!DOCTYPE a>\n<a/>", 1, "declaration"),
            ("<a>\n<!-- </a>", 2, "a comment does not end"),
            (
                "<?xml version='1.0' encoding='latin1'?><a/>",
                1,
                "`latin1`; expected UTF-8",
            ),
        ] {
            let fault = root_of(text).unwrap_err();
            assert!(fault.reason.contains(says), "{text}: {fault:?}");
            assert_eq!(fault.line, line, "{text}: {fault:?}");
        }
        let deep = "<a>".repeat(DEPTH + 1);
        assert!(root_of(&deep).unwrap_err().reason.contains("deep"));
    }
}
