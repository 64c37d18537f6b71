//! Names from files and servers.

/// Whether an untrusted name is a plain file name on every system: no path, no drive, no device, not hidden, and no
/// character that is special in a shell or a terminal.
pub fn is_plain_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '+');
    let stem = name.split('.').next().unwrap_or_default().to_ascii_uppercase();
    let numbered = |device: &str| {
        let number = stem.strip_prefix(device);
        number.is_some_and(|number| number.len() == 1 && number.bytes().all(|digit| digit.is_ascii_digit()))
    };
    let is_device =
        matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL") || numbered("COM") || numbered("LPT");
    (1..=200).contains(&name.len())
        && name.chars().all(plain)
        && !name.starts_with(['.', '-'])
        && !name.ends_with('.')
        && !is_device
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_names_and_others() {
        for name in [
            "model.bpk",
            "model.bpk.part-00000.bpk",
            "a",
            "A+b_c-1.x",
            "console.bpk",
        ] {
            assert!(is_plain_name(name), "{name}");
        }
        let others = [
            "",
            ".",
            "..",
            "../a",
            "a/b",
            "/a",
            "\\a",
            "a\\b",
            "C:a",
            "C:\\a",
            "\\\\host\\a",
            "//host/a",
            ".hidden",
            "-rf",
            "a b",
            "a\0",
            "a\n",
            "a.",
            "NUL",
            "nul.bpk",
            "com1",
            "lpt9.bpk",
            "http://x/a",
            "file:a",
            "~",
            "~a",
            "a*",
            "ä",
            "%2e%2e",
        ];
        for name in others {
            assert!(!is_plain_name(name), "{name:?}");
        }
        assert!(!is_plain_name(&"a".repeat(201)));
    }
}
