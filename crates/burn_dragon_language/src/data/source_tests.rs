//! Files of text as a person names them: which are read, once each, as which documents, and what is said about it.

use std::fs;
use std::io::Write;
use std::path::Path;

use super::*;

fn gz(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// A folder with these files.
fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    folder
}

fn load_with(paths: &[&str], separator: Option<&str>, base: &Path) -> Result<Vec<String>, LanguageError> {
    let documents = text(paths, separator).load(Split::Train, base)?.into_inner();
    Ok(documents
        .into_iter()
        .map(|document| String::from_utf8(document.into_text()).unwrap())
        .collect())
}

/// What is said about these paths, level first.
fn said_with(paths: &[&str], separator: Option<&str>, base: &Path) -> Vec<String> {
    let source = text(paths, separator);
    let documents = source.load(Split::Train, base).unwrap();
    let notes = documents.notes().iter();
    notes.map(|note| format!("{}: {note}", note.level())).collect()
}

fn said(paths: &[&str], base: &Path) -> Vec<String> {
    said_with(paths, None, base)
}

fn text(paths: &[&str], separator: Option<&str>) -> SourceConfig {
    SourceConfig::Text(TextConfig {
        paths: paths.iter().map(ToString::to_string).collect(),
        document_separator: separator.map(Into::into),
    })
}

fn load(paths: &[&str], base: &Path) -> Result<Vec<String>, LanguageError> {
    load_with(paths, None, base)
}

#[test]
fn of_many_files_the_first_are_named() {
    let text = |count: usize| {
        let paths = (0..count).map(|number| format!("/secret/{number}.txt")).collect();
        let source = SourceConfig::Text(TextConfig {
            paths,
            document_separator: None,
        });
        source.in_words()
    };
    assert_eq!(text(2), "text: 0.txt, 1.txt");
    assert!(text(8).ends_with("6.txt, 7.txt"), "{}", text(8));
    assert!(text(5000).ends_with("7.txt and 4992 more"), "{}", text(5000));
}

#[test]
fn a_folder_gives_its_text_files_by_name_to_the_bottom() {
    let folder = folder(&[
        ("in/b.md", b"b"),
        ("in/a/z.text", b"a/z"),
        ("in/c.txt.gz", &gz("c")),
        ("in/d.csv", b"d"),
        ("in/.hidden/e.txt", b"e"),
    ]);
    assert_eq!(load(&["in"], folder.path()).unwrap(), ["a/z", "b", "c"]);
}

#[test]
fn a_pattern_gives_its_files_by_name_and_no_file_is_read_twice() {
    let folder = folder(&[("b1.csv", b"1"), ("b2.csv", b"2"), ("a.csv", b"a")]);
    assert_eq!(
        load(&["b?.csv", "*.csv"], folder.path()).unwrap(),
        ["1", "2", "a"]
    );
    let absolute = folder.path().join("b*.csv");
    assert_eq!(
        load(&[absolute.to_str().unwrap()], Path::new("/nowhere")).unwrap(),
        ["1", "2"]
    );
}

#[test]
fn a_base_folder_that_looks_like_a_pattern_is_taken_by_its_name() {
    let folder = folder(&[("[1]/a.txt", b"a"), ("1/a.txt", b"wrong")]);
    assert_eq!(load(&["*.txt"], &folder.path().join("[1]")).unwrap(), ["a"]);
}

#[test]
fn a_separator_cuts_a_file_into_documents_and_blank_ones_are_dropped() {
    let folder = folder(&[
        ("a.txt", b"one<|>two<|> \n<|>three<"),
        ("b.txt", b"one\n\ntwo\n\n\n\n"),
    ]);
    assert_eq!(
        load_with(&["a.txt"], Some("<|>"), folder.path()).unwrap(),
        ["one", "two", "three<"]
    );
    assert_eq!(
        load_with(&["b.txt"], Some("\n\n"), folder.path()).unwrap(),
        ["one\n\n", "two\n\n"]
    );
}

#[test]
fn a_missing_file_is_an_error_that_names_it_and_its_like() {
    let folder = folder(&[("tales.txt", b"a"), ("other.txt", b"b")]);
    let error = load(&["talse.txt"], folder.path()).unwrap_err();
    let LanguageError::MissingPath { path, similar } = &error else {
        panic!("{error}")
    };
    assert_eq!(*path, folder.path().join("talse.txt"));
    assert_eq!(similar, &["tales.txt"]);
}

#[test]
fn a_pattern_without_a_match_is_an_error() {
    let folder = folder(&[("a.txt", b"a")]);
    let error = load(&["*.csv"], folder.path()).unwrap_err();
    assert!(
        matches!(&error, LanguageError::Glob { pattern, .. } if pattern == "*.csv"),
        "{error}"
    );
    assert!(error.to_string().contains("matches no file"), "{error}");
    let error = load(&["a[.txt"], folder.path()).unwrap_err();
    assert!(error.to_string().contains("is not valid"), "{error}");
}

#[test]
fn a_folder_without_text_is_an_error() {
    let folder = folder(&[("in/d.csv", b"d")]);
    let error = load(&["in"], folder.path()).unwrap_err();
    assert!(matches!(error, LanguageError::NoTextInFolder { .. }), "{error}");
}

#[test]
fn a_broken_gz_is_an_error() {
    let whole = gz("some text that is long enough to be cut");
    let folder = folder(&[
        ("no.txt.gz", b"plain text"),
        ("cut.txt.gz", &whole[..whole.len() - 9]),
    ]);
    for name in ["no.txt.gz", "cut.txt.gz"] {
        let error = load(&[name], folder.path()).unwrap_err();
        assert!(
            matches!(&error, LanguageError::BadGzip { path, .. } if path.ends_with(name)),
            "{error}"
        );
    }
}

#[test]
fn no_paths_or_an_empty_separator_is_an_error() {
    let error = load(&[], Path::new(".")).unwrap_err();
    assert!(
        matches!(error, LanguageError::Config { key: "paths", .. }),
        "{error}"
    );
    let error = load_with(&["a"], Some(""), Path::new(".")).unwrap_err();
    assert!(
        matches!(
            error,
            LanguageError::Config {
                key: "document_separator",
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_working_folder_that_looks_like_a_pattern_is_taken_by_its_name_now_and_when_it_is_read_again() {
    let folder = folder(&[
        ("p[1]/a.txt", b"mine"),
        ("p[1]/c.csv", b"table"),
        ("p1/b.txt", b"other"),
    ]);
    let here = folder.path().join("p[1]");
    for (typed, expected) in [
        ("*.txt", "mine"),
        ("a.txt", "mine"),
        (".", "mine"),
        ("../p[1]/c.*", "table"),
    ] {
        assert_eq!(load(&[typed], &here).unwrap(), [expected], "{typed}");
        let mut config = DatasetConfig {
            source: text(&[typed], None),
            validation: Some(Box::new(text(&[typed], None))),
            ..DatasetConfig::default()
        };
        config.make_absolute(&here).unwrap();
        let saved = config.clone();
        for source in [&config.source, config.validation.as_ref().unwrap()] {
            let documents = source.load(Split::Train, Path::new("/elsewhere")).unwrap();
            assert_eq!(
                documents.into_inner(),
                [expected.as_bytes().to_vec()],
                "{typed}: {config:?}"
            );
        }
        config.make_absolute(Path::new("/elsewhere")).unwrap(); // as a resumed run does
        assert_eq!(config, saved);
    }
}

#[test]
fn a_saved_file_that_is_gone_is_missing_and_never_a_pattern() {
    let folder = folder(&[("a[1].txt", b"mine"), ("a1.txt", b"other")]);
    let mut config = DatasetConfig {
        source: text(&["a[1].txt"], None),
        ..DatasetConfig::default()
    };
    let notes = config.make_absolute(folder.path()).unwrap();
    assert!(
        matches!(&notes[..], [Note::ByItsName { entry, .. }] if entry == "a[1].txt"),
        "{notes:?}"
    );
    assert_eq!(config.make_absolute(Path::new("/")).unwrap(), []);
    fs::remove_file(folder.path().join("a[1].txt")).unwrap();
    let error = config.source.load(Split::Train, Path::new("/")).unwrap_err();
    let LanguageError::MissingPath { path, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(*path, folder.path().join("a[1].txt"));
    assert_eq!(config.in_words(), "text: a[1].txt");
}

#[test]
fn what_is_taken_by_its_name_though_it_looks_like_a_pattern_is_said() {
    let folder = folder(&[("p[1]/a.txt", b"mine"), ("p1/a.txt", b"other")]);
    assert_eq!(load(&["p[1]/*.txt"], folder.path()).unwrap(), ["mine"]);
    let said = said(&["p[1]/*.txt"], folder.path());
    assert!(
        said[0].starts_with("note: \"p[1]/*.txt\" looks like a pattern, but ")
            && said[0].contains("p[1] exists"),
        "{said:?}"
    );
    assert_eq!(load(&["p[0-9]/*.txt"], folder.path()).unwrap(), ["other"]);
    assert_eq!(load(&["p[[]1[]]/*.txt"], folder.path()).unwrap(), ["mine"]);
}

#[cfg(unix)]
#[test]
fn a_working_folder_whose_name_is_not_utf_8_is_read_and_refused_where_it_would_have_to_be_written_down() {
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path().join(std::ffi::OsStr::from_bytes(b"w\xff"));
    if fs::create_dir(&here).is_err() {
        return; // a file system that has only UTF-8
    }
    fs::write(here.join("a.txt"), "a").unwrap();
    assert_eq!(load(&["*.txt"], &here).unwrap(), ["a"]);
    let mut config = DatasetConfig {
        source: text(&["a.txt"], None),
        ..DatasetConfig::default()
    };
    let error = config.make_absolute(&here).unwrap_err();
    assert!(
        matches!(error, LanguageError::Config { key: "paths", .. }),
        "{error}"
    );
    config.source = text(&["/a.txt"], None);
    config.make_absolute(&here).unwrap();
}

#[cfg(unix)]
#[test]
fn linked_folders_are_entered_by_no_pattern_and_that_is_said() {
    let folder = folder(&[("d/a.txt", b"a"), ("d/sub/b.txt", b"b")]);
    std::os::unix::fs::symlink("..", folder.path().join("d/sub/up")).unwrap();
    for entry in ["d/**/*.txt", "d", "d/**", "**/*.txt", "d/**/**/*.txt", "d/*.txt"] {
        let expected = if entry == "d/*.txt" {
            &["a"][..]
        } else {
            &["a", "b"]
        };
        assert_eq!(load(&[entry], folder.path()).unwrap(), expected, "{entry}");
        let said = said(&[entry], folder.path());
        let links = said.iter().filter(|note| note.contains("d/sub/up"));
        assert_eq!(
            links.count(),
            usize::from(entry != "d/*.txt"),
            "{entry}: {said:?}"
        );
    }
    // Where a link is named, it is followed.
    assert_eq!(load(&["d/sub/up/*.txt"], folder.path()).unwrap(), ["a"]);
    assert_eq!(load(&["*/sub/up/a.txt"], folder.path()).unwrap(), ["a"]);
    let error = load(&["d/sub/u*/*.txt"], folder.path()).unwrap_err().to_string();
    assert!(
        error.contains("behind the link") && error.contains("d/sub/up"),
        "{error}"
    );
}

#[cfg(unix)]
#[test]
fn a_file_of_many_names_is_read_once() {
    let folder = folder(&[("z/s.txt", b"s"), ("t.txt", b"t")]);
    std::os::unix::fs::symlink("z/s.txt", folder.path().join("link.txt")).unwrap();
    std::os::unix::fs::symlink("z", folder.path().join("zz")).unwrap();
    fs::hard_link(folder.path().join("z/s.txt"), folder.path().join("hard.txt")).unwrap();
    let entries = [
        "z/s.txt",
        "z/../z/s.txt",
        "link.txt",
        "hard.txt",
        "zz/s.txt",
        "z",
        "*/*.txt",
        "**/*.txt",
    ];
    assert_eq!(load(&entries, folder.path()).unwrap(), ["s", "t"]);
    let said = said(&entries, folder.path());
    assert!(!said.iter().any(|note| note.contains("same text")), "{said:?}"); // they are no copies
}

#[test]
fn a_text_that_two_files_hold_is_read_once_and_both_are_named() {
    let folder = folder(&[
        ("s.txt", b"text"),
        ("s.txt.gz", &gz("text")),
        ("t.txt", "\u{feff}text".as_bytes()),
        ("other.txt", b"other"),
        ("blank1.txt", b""),
        ("blank2.txt", b""),
    ]);
    assert_eq!(load(&["."], folder.path()).unwrap(), ["other", "text"]);
    let said = said(&["."], folder.path());
    assert_eq!(said.len(), 1, "{said:?}");
    for part in ["note: ", "read once", "s.txt.gz as in ", "t.txt as in "] {
        assert!(said[0].contains(part), "`{part}` is not in {said:?}");
    }
}

#[test]
fn one_rule_hides_files_from_folders_and_patterns_unless_they_are_named() {
    let folder = folder(&[
        ("a.txt", b"a"),
        (".h.txt", b"hidden"),
        (".d/b.txt", b"in hidden"),
        ("a.txt~", b"backup"),
        (".a.txt.swp", b"swap"),
        ("a.txt.swo", b"swap too"),
        ("#a.txt#", b"edited"),
        ("#1.txt", b"first"),
    ]);
    for entry in ["*", "**", "**/*", "*.txt*", "?[hatd]*", "[!b]*", "*/*", "."] {
        let loaded = load(&[entry], folder.path());
        let loaded = loaded.unwrap_or_else(|error| vec![error.to_string()]);
        for hidden in ["hidden", "in hidden", "backup", "swap", "swap too", "edited"] {
            assert!(!loaded.contains(&hidden.to_string()), "{entry}: {loaded:?}");
        }
        let any = loaded.contains(&"first".into()) || loaded[0].contains("left out");
        assert!(any, "{entry}: {loaded:?}");
    }
    for (entry, expected) in [
        (".h.txt", "hidden"),
        (".h*", "hidden"),
        (".d/*.txt", "in hidden"),
        (".d", "in hidden"),
        (".[d]/*", "in hidden"),
        ("a.txt~", "backup"),
        ("*~", "backup"),
        (".a.txt.swp", "swap"),
        (".*.swp", "swap"),
        ("#*#", "edited"),
    ] {
        assert_eq!(load(&[entry], folder.path()).unwrap(), [expected], "{entry}");
    }
}

#[test]
fn a_pattern_reaches_as_deep_as_it_says() {
    let folder = folder(&[
        ("1.txt", b"1"),
        ("a/2.txt", b"2"),
        ("a/b/3.txt", b"3"),
        ("a/b/c/4.txt", b"4"),
        ("c/x/c/5.txt", b"5"),
    ]);
    for (entry, expected) in [
        ("*.txt", &["1"][..]),
        ("*/*.txt", &["2"]),
        ("**/*.txt", &["1", "2", "3", "4", "5"]),
        ("a/**/*.txt", &["2", "3", "4"]),
        ("**/b/*.txt", &["3"]),
        ("**/c/*", &["4", "5"]),
        ("**/c/**/*", &["4", "5"]),
        ("*/b/3.txt", &["3"]),
        ("a/*/../2.txt", &["2"]),
        ("./a/**", &["2", "3", "4"]),
    ] {
        assert_eq!(load(&[entry], folder.path()).unwrap(), expected, "{entry}");
    }
}

#[test]
fn folders_that_a_pattern_matches_are_named() {
    let folder = folder(&[("part1/a.txt", b"a"), ("b.txt", b"b")]);
    assert_eq!(load(&["*"], folder.path()).unwrap(), ["b"]);
    let said = said(&["*"], folder.path());
    assert!(
        said[0].contains("part1") && said[0].contains("/**/*.txt"),
        "{said:?}"
    );
    let error = load(&["part*"], folder.path()).unwrap_err().to_string();
    assert!(
        error.contains("only the folder") && error.contains("part1"),
        "{error}"
    );
    let error = load(&["nowhere/*.txt"], folder.path()).unwrap_err().to_string();
    assert!(
        error.contains("there is no folder") && error.contains("nowhere"),
        "{error}"
    );
}

#[cfg(unix)]
#[test]
fn a_link_that_leads_to_nothing_is_called_that_and_suggested_to_nobody() {
    let folder = folder(&[("in/a.txt", b"a")]);
    for (link, target) in [("tales.txt", "gone.txt"), ("in/b.txt", "gone.txt"), ("l", "l")] {
        std::os::unix::fs::symlink(target, folder.path().join(link)).unwrap();
    }
    for (entry, named) in [
        ("tales.txt", "tales.txt"),
        ("l", "l"),
        ("l/x.txt", "l"),
        ("l/*.txt", "l"),
    ] {
        let error = load(&[entry], folder.path()).unwrap_err();
        let LanguageError::DanglingLink { path, .. } = &error else {
            panic!("{entry}: {error}")
        };
        assert_eq!(*path, folder.path().join(named));
        assert!(!error.to_string().contains("did you mean"), "{error}");
    }
    let LanguageError::MissingPath { similar, .. } = load(&["tale.txt"], folder.path()).unwrap_err() else {
        panic!()
    };
    assert!(similar.is_empty(), "{similar:?}");
    for entry in ["in", "in/*.txt", "in/**"] {
        assert_eq!(load(&[entry], folder.path()).unwrap(), ["a"]);
        let said = said(&[entry], folder.path());
        assert!(
            said[0].contains("broken links") && said[0].contains("b.txt"),
            "{said:?}"
        );
    }
}

#[test]
fn an_empty_entry_is_not_the_whole_folder() {
    let folder = folder(&[("a.txt", b"a")]);
    let error = load(&[""], folder.path()).unwrap_err();
    assert!(
        matches!(error, LanguageError::Config { key: "paths", .. }),
        "{error}"
    );
}

#[test]
fn a_mark_before_a_text_is_no_symbol_of_it_packed_or_not() {
    let folder = folder(&[
        ("a.txt", "\u{feff}one\n\ntwo".as_bytes()),
        ("b.txt.gz", &gz("\u{feff}three")),
        ("c.txt", "\u{feff}".as_bytes()),
    ]);
    assert_eq!(
        load_with(&["."], Some("\n\n"), folder.path()).unwrap(),
        ["one\n\n", "two", "three"]
    );
}

#[test]
fn utf_16_is_refused_with_the_file_and_the_way_to_convert_it() {
    let wide: Vec<u8> = "\u{feff}To be"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(&wide[2..]).unwrap();
    let folder = folder(&[("a.txt", &wide), ("b.txt.gz", &encoder.finish().unwrap())]);
    for (name, command) in [
        ("a.txt", "iconv -f UTF-16 -t UTF-8"),
        ("b.txt.gz", "| iconv -f UTF-16LE"),
    ] {
        let error = load(&[name], folder.path()).unwrap_err();
        assert!(
            matches!(&error, LanguageError::Encoding { path, .. } if path.ends_with(name)),
            "{error}"
        );
        assert!(error.to_string().contains(command), "{error}");
    }
}

#[test]
fn a_separator_that_never_occurs_is_said_with_the_reason() {
    let folder = folder(&[
        ("lf.txt", b"one\n\ntwo\n"),
        ("crlf.txt", b"one\r\n\r\ntwo\r\n\r\nthree\r\n"),
        ("mixed.txt", b"one\n\ntwo\r\n\r\nthree"),
        ("end.txt", b"one\n---\n"),
    ]);
    let said = |paths: &[&str], separator| said_with(paths, Some(separator), folder.path());
    for (paths, separator, level, says) in [
        (
            &["crlf.txt"][..],
            "\n\n",
            "warning",
            &[
                "\"\\n\\n\" never occurs",
                "CRLF",
                "\"\\r\\n\\r\\n\" occurs 2 times",
            ][..],
        ),
        (
            &["lf.txt"],
            "\r\n\r\n",
            "warning",
            &["never occurs", "LF (\\n)", "\"\\n\\n\" occurs once"],
        ),
        (
            &["lf.txt"],
            "\\n\\n",
            "warning",
            &["a backslash and a letter", "\"\\n\\n\""],
        ),
        (
            &["lf.txt"],
            "<|>",
            "warning",
            &["\"<|>\" never occurs in ", "lf.txt, which is one document"],
        ),
        (
            &["lf.txt", "crlf.txt"],
            "<|>",
            "warning",
            &["in any of the 2 files"],
        ),
        (&["lf.txt", "end.txt"], "\n\n", "note", &["in some"]),
        (
            &["lf.txt", "crlf.txt"],
            "\n\n",
            "warning",
            &["in 1 of 2 files", "crlf.txt", "CRLF"],
        ),
        (
            &["mixed.txt"],
            "\n\n",
            "warning",
            &[
                "does not divide the text at \"\\r\\n\\r\\n\", which occurs once",
                "mixed.txt",
            ],
        ),
        (&["end.txt"], "---\n", "warning", &["all text is on one side"]),
    ] {
        let said = said(paths, separator);
        assert_eq!(said.len(), 1, "{paths:?} {separator:?}: {said:?}");
        assert!(said[0].starts_with(level), "{said:?}");
        for part in says.iter().filter(|part| **part != "in some") {
            assert!(said[0].contains(part), "`{part}` is not in {said:?}");
        }
    }
    for (paths, separator) in [
        (&["lf.txt"][..], "\n\n"),
        (&["lf.txt", "crlf.txt"], "\n"),
        (&["crlf.txt"], "\r\n"),
    ] {
        assert_eq!(said(paths, separator), [""; 0], "{paths:?} {separator:?}");
    }
}

#[test]
fn ten_thousand_files_are_read_quickly() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..10_000 {
        fs::write(folder.path().join(format!("{number}.txt")), number.to_string()).unwrap();
    }
    for entry in [".", "*.txt", "**/*.txt"] {
        let started = std::time::Instant::now();
        assert_eq!(load(&[entry], folder.path()).unwrap().len(), 10_000);
        assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
    }
}
