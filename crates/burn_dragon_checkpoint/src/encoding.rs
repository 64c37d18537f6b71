//! Text encodings. Text is read as UTF-8, with or without a byte-order mark; UTF-16 and UTF-32 are recognised and
//! refused.
//!
//! Editors on Windows write a byte-order mark (U+FEFF) before a text, and its shells write UTF-16. The mark is not part
//! of the text. UTF-16 read as bytes would be another text, in which every second symbol is NUL.

use std::fmt;
use std::path::Path;

/// Byte-order mark of UTF-8.
const MARK: &[u8] = "\u{feff}".as_bytes();

/// Number of bytes at the start of a text that are examined for its encoding.
pub const SAMPLE: usize = 64 << 10;

/// Minimum number of units in a text without a mark before it can be recognised as another encoding than UTF-8.
const FEWEST: usize = 4;

/// Text without its byte-order mark.
pub fn unmarked(mut text: &[u8]) -> &[u8] {
    while let Some(rest) = text.strip_prefix(MARK) {
        text = rest;
    }
    text
}

/// Text encoding other than UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Foreign {
    units: Units,
    order: Order,
    /// Whether the text begins with a byte-order mark.
    marked: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Units {
    Of16Bits,
    Of32Bits,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Little,
    Big,
}

impl fmt::Display for Foreign {
    /// Name of the encoding for `iconv`. Without the byte order if the mark gives it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.units {
            Units::Of16Bits => "UTF-16",
            Units::Of32Bits => "UTF-32",
        })?;
        f.write_str(match (self.marked, self.order) {
            (true, _) => "",
            (false, Order::Little) => "LE",
            (false, Order::Big) => "BE",
        })
    }
}

impl Foreign {
    /// Encoding of a text, recognised from its first [`SAMPLE`] bytes: by the byte-order mark, or, for text that is
    /// mostly ASCII, by the zero bytes beside the letters. `None` for UTF-8, and for bytes that are not text.
    pub fn of(start: &[u8]) -> Option<Self> {
        // UTF-32 first: its little-endian mark begins with the mark of UTF-16.
        let forms = [
            (Units::Of32Bits, Order::Little),
            (Units::Of32Bits, Order::Big),
            (Units::Of16Bits, Order::Little),
            (Units::Of16Bits, Order::Big),
        ];
        let start = &start[..start.len().min(SAMPLE)];
        let forms = [true, false].map(|marked| forms.map(|(units, order)| Self { units, order, marked }));
        forms.into_iter().flatten().find(|form| form.fits(start))
    }

    /// Shell command that converts a file from this encoding to UTF-8.
    pub fn conversion(self, path: &Path) -> String {
        let file = quoted(&path.to_string_lossy());
        let packed = path
            .extension()
            .is_some_and(|name| name.eq_ignore_ascii_case("gz"));
        match packed {
            true => format!("gunzip -c {file} | iconv -f {self} -t UTF-8 > NEW.txt"),
            false => format!("iconv -f {self} -t UTF-8 {file} > NEW.txt"),
        }
    }

    /// Whether bytes are text in this encoding. A file of numbers can begin with the bytes of a mark, but the bytes
    /// after it are then no valid characters.
    fn fits(self, start: &[u8]) -> bool {
        let text = match self.marked {
            true => start.strip_prefix(self.mark()),
            false => Some(start),
        };
        let Some(characters) = text.and_then(|text| self.characters(text)) else {
            return false;
        };
        let count = |of: fn(char) -> bool| characters.iter().filter(|&&c| of(c)).count();
        let (total, plain) = (characters.len(), count(is_plain));
        let controls = count(|c| c.is_control() && !is_plain(c));
        let of_text = count(|c| c == '\0') == 0 && controls * 100 <= total;
        of_text && (self.marked || (total >= FEWEST && plain * 4 >= total * 3))
    }

    /// Characters of bytes in this encoding; `None` if they are not valid. An incomplete character at the end is
    /// ignored.
    fn characters(self, text: &[u8]) -> Option<Vec<char>> {
        match self.units {
            Units::Of32Bits => {
                let units = text.as_chunks::<4>().0.iter().map(|&unit| match self.order {
                    Order::Little => u32::from_le_bytes(unit),
                    Order::Big => u32::from_be_bytes(unit),
                });
                units.map(char::from_u32).collect()
            }
            Units::Of16Bits => {
                let units = text.as_chunks::<2>().0.iter().map(|&unit| match self.order {
                    Order::Little => u16::from_le_bytes(unit),
                    Order::Big => u16::from_be_bytes(unit),
                });
                let mut read: Vec<_> = char::decode_utf16(units).collect();
                read.pop_if(|last| last.is_err());
                read.into_iter().collect::<Result<_, _>>().ok()
            }
        }
    }

    fn mark(self) -> &'static [u8] {
        match (self.units, self.order) {
            (Units::Of16Bits, Order::Little) => &[0xff, 0xfe],
            (Units::Of16Bits, Order::Big) => &[0xfe, 0xff],
            (Units::Of32Bits, Order::Little) => &[0xff, 0xfe, 0, 0],
            (Units::Of32Bits, Order::Big) => &[0, 0, 0xfe, 0xff],
        }
    }
}

/// Name quoted for a shell.
fn quoted(name: &str) -> String {
    let needs_none = |c: char| c.is_alphanumeric() || "/._-+,:@%=".contains(c);
    match name.chars().all(needs_none) {
        true => name.into(),
        false => format!("'{}'", name.replace('\'', r"'\''")),
    }
}

/// Whether a character is common in text: printable ASCII, a line end or a tab.
fn is_plain(c: char) -> bool {
    matches!(c, ' '..='~' | '\t' | '\n' | '\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    }

    fn utf32(text: &str, bytes: fn(u32) -> [u8; 4]) -> Vec<u8> {
        text.chars().map(u32::from).flat_map(bytes).collect()
    }

    fn name(bytes: &[u8]) -> Option<String> {
        Foreign::of(bytes).map(|foreign| foreign.to_string())
    }

    #[test]
    fn a_mark_is_taken_off_and_nothing_else() {
        assert_eq!(unmarked("\u{feff}a\u{feff}".as_bytes()), "a\u{feff}".as_bytes());
        assert_eq!(unmarked("\u{feff}\u{feff}a".as_bytes()), b"a");
        assert_eq!(unmarked(b"\xef\xbba"), b"\xef\xbba");
        assert_eq!(unmarked(b""), b"");
    }

    #[test]
    fn utf_16_and_utf_32_are_known_by_their_mark_in_any_language() {
        for text in [
            "\u{feff}",
            "\u{feff}to be",
            "\u{feff}日本語のテキスト\n",
            "\u{feff}Где 🐉",
        ] {
            assert_eq!(name(&utf16(text, u16::to_le_bytes)).as_deref(), Some("UTF-16"));
            assert_eq!(name(&utf16(text, u16::to_be_bytes)).as_deref(), Some("UTF-16"));
            assert_eq!(name(&utf32(text, u32::to_le_bytes)).as_deref(), Some("UTF-32"));
            assert_eq!(name(&utf32(text, u32::to_be_bytes)).as_deref(), Some("UTF-32"));
            assert_eq!(name(text.as_bytes()), None, "{text}");
        }
        // A file that was cut in the middle of a unit, and a sample that ends within a pair.
        let mut cut = utf16("\u{feff}🐉🐉", u16::to_le_bytes);
        cut.truncate(cut.len() - 1);
        assert_eq!(name(&cut).as_deref(), Some("UTF-16"));
    }

    #[test]
    fn without_a_mark_they_are_known_by_the_zeros_beside_the_letters() {
        for text in ["To be, or not to be.\r\n", "“Größe” — it was said\n"] {
            assert_eq!(name(&utf16(text, u16::to_le_bytes)).as_deref(), Some("UTF-16LE"));
            assert_eq!(name(&utf16(text, u16::to_be_bytes)).as_deref(), Some("UTF-16BE"));
            assert_eq!(name(&utf32(text, u32::to_le_bytes)).as_deref(), Some("UTF-32LE"));
            assert_eq!(name(&utf32(text, u32::to_be_bytes)).as_deref(), Some("UTF-32BE"));
            assert_eq!(name(text.as_bytes()), None);
        }
        let long = "all work and no play\n".repeat(10_000);
        assert_eq!(name(&utf16(&long, u16::to_le_bytes)).as_deref(), Some("UTF-16LE"));
    }

    #[test]
    fn the_way_to_convert_a_file_can_be_typed_as_it_stands() {
        let foreign = Foreign::of(&utf16("\u{feff}a", u16::to_le_bytes)).unwrap();
        for (path, command) in [
            ("a/b.txt", "iconv -f UTF-16 -t UTF-8 a/b.txt > NEW.txt"),
            ("it's.txt", r"iconv -f UTF-16 -t UTF-8 'it'\''s.txt' > NEW.txt"),
            (
                "a b.txt.gz",
                "gunzip -c 'a b.txt.gz' | iconv -f UTF-16 -t UTF-8 > NEW.txt",
            ),
        ] {
            assert_eq!(foreign.conversion(Path::new(path)), command);
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_left_alone() {
        let noise = |mut state: u32| {
            std::iter::repeat_with(move || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            })
        };
        let random: Vec<u8> = noise(1).take(4000).collect();
        assert_eq!(name(&random), None);
        for mark in [&[0xff, 0xfe][..], &[0xfe, 0xff], &[0xff, 0xfe, 0, 0]] {
            for rest in [&random[..], &[0; 100], &[1, 0, 0, 0].repeat(25)] {
                assert_eq!(name(&[mark, rest].concat()), None, "{mark:?}");
            }
        }
        let numbers = |most: u16| noise(2).take(4000).map(move |byte| u16::from(byte) % most);
        for most in [65, 256] {
            let small: Vec<u8> = numbers(most).flat_map(u16::to_le_bytes).collect();
            assert_eq!(name(&small), None, "numbers below {most}, two bytes each");
            let wide: Vec<u8> = numbers(most).map(u32::from).flat_map(u32::to_le_bytes).collect();
            assert_eq!(name(&wide), None, "numbers below {most}, four bytes each");
        }
        assert_eq!(name(&[0; 4000]), None);
        assert_eq!(name(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0"), None);
        assert_eq!(name(b""), None);
        assert_eq!(name(b"a\0b\0"), None);
    }
}
