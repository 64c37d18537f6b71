//! Tests of `layers.rs`.

use super::*;
use toml::Table;

fn table(layers: Layers) -> Table {
    layers.resolve::<Table>().unwrap().value
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn what_is_assigned_is_known_however_it_is_written() {
    let layers = Layers::new().embedded("base.toml", "[a]\nb = 1").unwrap();
    assert!(!layers.assigns("a.b"));
    for typed in ["a.b=2", "a={ b = 2 }"] {
        let layers = layers.clone().assignment(typed).unwrap();
        assert!(layers.assigns("a.b") && !layers.assigns("a.c"), "{typed}");
    }
}

#[test]
fn later_layers_win() {
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), "f.toml", "b = 2\nc = 2\nd = 2");
    let layers = Layers::new()
        .embedded("base.toml", "a = 1\nb = 1\nc = 1\nd = 1")
        .unwrap();
    let layers = layers
        .file(file)
        .unwrap()
        .assignment("c=3")
        .unwrap()
        .assignment("d=3")
        .unwrap();
    assert_eq!(
        table(layers.value("--d", "d", 4)),
        toml::from_str("a = 1\nb = 2\nc = 3\nd = 4").unwrap()
    );
}

#[test]
fn a_forgotten_key_is_as_if_never_said_and_a_later_layer_may_say_it_again() {
    let layers = Layers::new().embedded("base.toml", "[a]\nb = 1\nc = 1").unwrap();
    let layers = layers.assignment("a.b=2").unwrap().without("a.b");
    assert_eq!(table(layers.clone()), toml::from_str("a = { c = 1 }").unwrap());
    assert_eq!(table(layers.clone().without("x.y")), table(layers.clone()));
    let again = layers.value("--b", "a.b", 3);
    assert_eq!(table(again), toml::from_str("a = { b = 3, c = 1 }").unwrap());
}

#[test]
fn extends_is_relative_to_the_file_and_resolved_first() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "root.toml", "a = 1\nb = 1\nc = 1\nd = 1");
    write(
        folder.path(),
        "parts/two.toml",
        "extends = '../root.toml'\nb = 2\nc = 2\nd = 2",
    );
    write(folder.path(), "parts/three.toml", "c = 3\nd = 3");
    let top = write(
        folder.path(),
        "top.toml",
        "extends = ['parts/two.toml', 'parts/three.toml']\nd = 4",
    );
    let value = table(Layers::new().file(top).unwrap());
    assert_eq!(value, toml::from_str("a = 1\nb = 2\nc = 3\nd = 4").unwrap());
}

#[test]
fn two_files_may_extend_the_same_one() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "root.toml", "a = 1");
    write(folder.path(), "l.toml", "extends = 'root.toml'");
    write(folder.path(), "r.toml", "extends = 'root.toml'");
    let top = write(folder.path(), "top.toml", "extends = ['l.toml', 'r.toml']");
    assert_eq!(
        table(Layers::new().file(top).unwrap()),
        toml::from_str("a = 1").unwrap()
    );
}

#[test]
fn a_cycle_shows_its_chain() {
    let folder = tempfile::tempdir().unwrap();
    let a = write(folder.path(), "a.toml", "extends = 'b.toml'");
    write(folder.path(), "b.toml", "extends = 'c.toml'");
    write(folder.path(), "c.toml", "extends = 'b.toml'");
    let error = Layers::new().file(a).unwrap_err();
    let ConfigError::Cycle { chain } = &error else {
        panic!("{error}")
    };
    let names: Vec<_> = chain
        .iter()
        .map(|path| path.file_name().unwrap().to_str().unwrap())
        .collect();
    assert_eq!(names, ["b.toml", "c.toml", "b.toml"]);
}

#[test]
fn files_that_multiply_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    for level in 0..30 {
        let next = level + 1;
        let text = format!("extends = ['{next}.toml', '{next}.toml']");
        write(folder.path(), &format!("{level}.toml"), &text);
    }
    let last = write(folder.path(), "30.toml", "a = 1");
    assert!(Layers::new().file(last).is_ok());
    let error = Layers::new().file(folder.path().join("0.toml")).unwrap_err();
    assert!(error.to_string().contains("at most 256 files"), "{error}");
    let endless = format!("extends = [{}]", "'30.toml', ".repeat(300));
    let error = Layers::new()
        .file(write(folder.path(), "endless.toml", &endless))
        .unwrap_err();
    assert!(matches!(error, ConfigError::Extends { .. }), "{error}");
}

#[test]
fn an_unreadable_file_is_named_with_the_reason() {
    let error = Layers::new().file("no/such/file.toml").unwrap_err();
    assert!(
        matches!(&error, ConfigError::Read { source, .. } if source.kind() == std::io::ErrorKind::NotFound)
    );
    assert!(error.to_string().contains("no/such/file.toml"), "{error}");
}

#[test]
fn a_mark_before_a_file_is_no_part_of_it_and_utf_16_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let marked = write(folder.path(), "f.toml", "\u{feff}a = 1\nb 2");
    let error = Layers::new().file(&marked).unwrap_err().to_string();
    assert!(error.contains("f.toml:2:3: not valid TOML"), "{error}");
    fs::write(&marked, "\u{feff}a = 1").unwrap();
    assert_eq!(
        table(Layers::new().file(&marked).unwrap()),
        toml::from_str("a = 1").unwrap()
    );
    let wide: Vec<u8> = "\u{feff}a = 1"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    fs::write(&marked, wide).unwrap();
    let error = Layers::new().file(&marked).unwrap_err();
    assert!(matches!(error, ConfigError::Encoding { .. }), "{error}");
    assert!(error.to_string().contains("iconv -f UTF-16 -t UTF-8 "), "{error}");
    fs::write(&marked, b"a = '\xe9'").unwrap();
    let error = Layers::new().file(&marked).unwrap_err().to_string();
    assert!(error.contains("f.toml: ") && error.contains("utf-8"), "{error}");
}

#[test]
fn a_syntax_error_names_file_line_and_column() {
    let error = Layers::new().embedded("base.toml", "a = 1\nbb = \n").unwrap_err();
    assert!(error.to_string().starts_with("base.toml:2:6: "), "{error}");
}

#[test]
fn extends_must_be_names_and_cannot_be_embedded() {
    let folder = tempfile::tempdir().unwrap();
    let number = write(folder.path(), "f.toml", "x = 1\nextends = [3]");
    let error = Layers::new().file(number).unwrap_err().to_string();
    assert!(
        error.contains("f.toml:2") && error.contains("list of file names"),
        "{error}"
    );
    let error = Layers::new()
        .embedded("base.toml", "extends = 'x.toml'")
        .unwrap_err();
    assert!(matches!(error, ConfigError::Extends { .. }), "{error}");
}

#[test]
fn an_assignment_is_toml_or_else_a_bare_string() {
    let cases = [
        ("k=100", Value::Integer(100)),
        ("k=1e-3", Value::Float(1e-3)),
        ("k=true", Value::Boolean(true)),
        ("k=[1, 2]", Value::Array(vec![1.into(), 2.into()])),
        ("k='1'", Value::String("1".into())),
        ("k=data/*.txt", Value::String("data/*.txt".into())),
        ("k=a=b", Value::String("a=b".into())),
        ("k=2026-11-20", Value::String("2026-11-20".into())),
        ("k=1\nz = 2", Value::String("1\nz = 2".into())),
        ("k=", Value::String(String::new())),
        ("k= 5\n", Value::Integer(5)),
        ("k= \"a \" ", Value::String("a ".into())),
        ("k=Hello\n", Value::String("Hello\n".into())),
        ("k= two words ", Value::String(" two words ".into())),
        ("k=\n\n", Value::String("\n\n".into())),
        ("k=2026-11-20\n", Value::String("2026-11-20\n".into())),
        (" k =1", Value::Integer(1)),
    ];
    for (text, expected) in cases {
        assert_eq!(
            table(Layers::new().assignment(text).unwrap())["k"],
            expected,
            "{text}"
        );
    }
}

#[test]
fn an_assignment_without_key_or_equals_sign_is_refused() {
    for text in [
        "training.max_steps",
        "=1",
        "a..b=1",
        ".a=1",
        &format!("a{}=1", ".a".repeat(9000)),
    ] {
        let error = Layers::new().assignment(text).unwrap_err();
        assert!(matches!(error, ConfigError::Assignment { .. }), "{error}");
    }
}

#[test]
fn the_order_of_assignments_does_not_matter_to_a_changed_type() {
    let layers = Layers::new()
        .embedded("base", "s = { type = 'cosine', old = 1 }")
        .unwrap();
    let layers = layers
        .assignment("s.gamma=0.5")
        .unwrap()
        .assignment("s.type=step")
        .unwrap();
    assert_eq!(
        table(layers),
        toml::from_str("s = { type = 'step', gamma = 0.5 }").unwrap()
    );
}
