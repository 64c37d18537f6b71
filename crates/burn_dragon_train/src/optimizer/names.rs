//! Parameters by name or by pattern.

use crate::config::nearest;
use crate::error::TrainError;

/// Whether an entry of a list of parameters means the parameter `name`. The entry is a name, or a pattern in which `*`
/// stands for any text: `decoder_*`.
pub(crate) fn means(entry: &str, name: &str) -> bool {
    let Some((first, rest)) = entry.split_once('*') else {
        return entry == name;
    };
    let Some(mut left) = name.strip_prefix(first) else {
        return false;
    };
    let parts: Vec<&str> = rest.split('*').collect();
    let Some((last, middle)) = parts.split_last() else {
        return true;
    };
    for part in middle {
        match left.find(part) {
            Some(at) => left = &left[at + part.len()..],
            None => return false,
        }
    }
    left.ends_with(last)
}

/// Refuses an entry that means no parameter of the model. `key` is the full key of the list.
pub(crate) fn check(key: &'static str, entries: &[String], known: &[&str]) -> Result<(), TrainError> {
    let none = |entry: &&String| !known.iter().any(|name| means(entry, name));
    let Some(entry) = entries.iter().find(none) else {
        return Ok(());
    };
    let names: Vec<String> = known.iter().map(ToString::to_string).collect();
    Err(TrainError::UnknownParameter {
        key,
        name: entry.clone(),
        nearest: nearest(&entry.replace('*', ""), &names).map(str::to_owned),
        known: names.join(", "),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text_and_a_name_only_for_itself() {
        for (entry, name, meant) in [
            ("embed", "embed", true),
            ("embed", "embedding", false),
            ("decoder_*", "decoder_x", true),
            ("decoder_*", "encoder", false),
            ("*", "a.b", true),
            ("*coder*", "encoder", true),
            ("*coder*", "decoder_x", true),
            ("*_x", "decoder_x", true),
            ("*_x", "decoder_xy", false),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("a*b*c", "a.b.c", true),
            ("a*b*c", "a.c.b", false),
        ] {
            assert_eq!(means(entry, name), meant, "{entry} {name}");
        }
    }

    #[test]
    fn an_entry_that_means_nothing_is_answered_with_the_nearest_name() {
        let refused = |entry: &str| {
            let known = ["embed", "decoder_x", "lm_head"];
            let error = check("training.freeze", &[entry.into()], &known).unwrap_err();
            error.to_string()
        };
        for (entry, nearest) in [
            ("embd", "embed"),
            ("encoder_*", "decoder_x"),
            ("lmhead", "lm_head"),
        ] {
            let said = refused(entry);
            for part in ["training.freeze", entry, nearest, "embed, decoder_x, lm_head"] {
                assert!(said.contains(part), "{said}");
            }
            assert!(said.contains(&format!("did you mean `{nearest}`?")), "{said}");
        }
        assert!(!refused("zzzz").contains("did you mean"));
    }
}
