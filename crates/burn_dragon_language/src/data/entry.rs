//! Meaning of an entry of `paths`: the name of a file or folder, or a pattern that starts in a folder.

use std::fs;
use std::path::{Component, Path, PathBuf};

use glob::Pattern;

use super::note::Note;

/// Entry of `paths`, read part by part.
///
/// If a file or folder has exactly the name of a part, the part means it, even if it looks like a pattern. The pattern
/// begins at the first part that is not plain and has no such file or folder. A part in which every special character
/// is alone in brackets (`a[[]1[]]` for `a[1]`) always means that name. So a saved configuration means the same from
/// any folder and at any time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Leading parts that are plain names, from the folder in which relative entries start.
    pub(super) place: PathBuf,
    /// Parts of the pattern, as typed; empty if the entry is a name.
    pub(super) pattern: Vec<String>,
    /// File or folder whose name is exactly a part that looks like a pattern.
    by_its_name: Option<PathBuf>,
}

impl Entry {
    /// Parses an entry. Relative ones start from `base`, whose own name is never a pattern.
    pub(super) fn of(typed: &str, base: &Path) -> Self {
        let mut entry = Self {
            place: base.to_path_buf(),
            pattern: Vec::new(),
            by_its_name: None,
        };
        for component in Path::new(typed).components() {
            let part = component.as_os_str().to_string_lossy();
            if entry.pattern.is_empty() {
                match component {
                    Component::Normal(_) => entry.name(&part),
                    // A root replaces what was before it.
                    root_or_dots => entry.place.push(root_or_dots),
                }
            } else {
                entry.pattern.push(part.into_owned());
            }
        }
        entry
    }

    /// Adds a part after the leading parts.
    fn name(&mut self, part: &str) {
        if let Some(name) = plain(part) {
            self.place.push(name);
            return;
        }
        let by_name = self.place.join(part);
        if fs::symlink_metadata(&by_name).is_ok() {
            self.by_its_name.get_or_insert_with(|| by_name.clone());
            self.place = by_name;
        } else {
            self.pattern.push(part.into());
        }
    }

    /// Note that the entry, as it was `typed`, is read as a name, although it looks like a pattern.
    pub(super) fn note(&self, typed: &str) -> Option<Note> {
        self.by_its_name.clone().map(|path| Note::ByItsName {
            entry: typed.into(),
            path,
        })
    }

    /// The entry in a form that means the same from any folder; `None` if the name of its folder is not UTF-8.
    pub(super) fn absolute(&self) -> Option<String> {
        let mut path = PathBuf::new();
        for component in self.place.components() {
            match component {
                Component::Normal(name) => path.push(Pattern::escape(name.to_str()?)),
                root_or_dots => path.push(root_or_dots),
            }
        }
        path.extend(&self.pattern);
        path.to_str().map(str::to_owned)
    }
}

/// The plain name that a part of a path means, without brackets around special characters; `None` for a pattern.
pub(super) fn plain(part: &str) -> Option<String> {
    let mut name = String::new();
    let mut rest = part;
    while let Some(c) = rest.chars().next() {
        let escaped = ["[*]", "[?]", "[[]", "[]]"]
            .iter()
            .find(|&&escaped| rest.starts_with(escaped));
        match (escaped, c) {
            (Some(escaped), _) => {
                name.push_str(&escaped[1..2]);
                rest = &rest[escaped.len()..];
            }
            (None, '*' | '?' | '[') => return None,
            (None, c) => {
                name.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        folder
    }

    #[test]
    fn what_is_alone_in_brackets_is_itself() {
        for name in ["a[1].txt", "*", "[[]]", "a]b", "wh?t", "ä[*]", ""] {
            assert_eq!(plain(&Pattern::escape(name)).as_deref(), Some(name));
        }
        for pattern in ["*.txt", "a[12]", "a[[]*", "a[", "[]", "?"] {
            assert_eq!(plain(pattern), None, "{pattern}");
        }
    }

    #[test]
    fn a_pattern_begins_where_it_was_typed_and_not_in_the_name_of_its_folder() {
        let base = Path::new("/w/p[1]*");
        let entry = Entry::of("a/b*/../c/*.txt", base);
        assert_eq!(entry.place, base.join("a"));
        assert_eq!(entry.pattern, ["b*", "..", "c", "*.txt"]);
        assert_eq!(
            entry.absolute().as_deref(),
            Some("/w/p[[]1[]][*]/a/b*/../c/*.txt")
        );
        let absolute = Entry::of("/x/*.txt", base);
        assert_eq!(
            (absolute.place.as_path(), absolute.pattern.len()),
            (Path::new("/x"), 1)
        );
    }

    #[test]
    fn what_has_the_very_name_is_meant_by_it() {
        let folder = folder(&["p[1]", "p1"]);
        let entry = Entry::of("p[1]/*.txt", folder.path());
        assert_eq!(entry.place, folder.path().join("p[1]"));
        assert_eq!(entry.by_its_name, Some(folder.path().join("p[1]")));
        let entry = Entry::of("q[1]/*.txt", folder.path());
        assert_eq!((entry.place.as_path(), entry.by_its_name), (folder.path(), None));
    }

    #[test]
    fn an_entry_that_was_saved_means_the_same_whatever_has_come_or_gone_since() {
        let folder = folder(&["p[1]", "p1"]);
        for typed in ["p[1]/a.txt", "p[1]/*.txt", "p1/a]b.txt", "p?/*", "../x"] {
            let entry = Entry::of(typed, folder.path());
            let saved = entry.absolute().unwrap();
            let again = Entry::of(&saved, Path::new("/elsewhere"));
            assert_eq!(
                (&again.place, &again.pattern),
                (&entry.place, &entry.pattern),
                "{typed}"
            );
            assert_eq!(again.by_its_name, None);
            assert_eq!(again.absolute().unwrap(), saved);
        }
        let saved = Entry::of("p[1]/a.txt", folder.path()).absolute().unwrap();
        fs::remove_dir(folder.path().join("p[1]")).unwrap();
        let gone = Entry::of(&saved, Path::new("/elsewhere"));
        assert_eq!(gone.place, folder.path().join("p[1]/a.txt"));
        assert!(gone.pattern.is_empty(), "{gone:?}");
    }
}
