use std::io::Write;

use super::*;

fn read(name: &str, bytes: &[u8], template: &str) -> Result<Vec<String>, LanguageError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    let format = RecordFormat::of(&path).unwrap();
    let documents = open(&path, format, &Template::parse(template).unwrap().into(), None)?;
    documents
        .map(|document| Ok(String::from_utf8(document?.into_text()).unwrap()))
        .collect()
}

#[test]
fn json_lines_are_documents() {
    let lines = "{\"a\":\"x\\ny\",\"n\":1.5,\"z\":null}\n\n{\"a\":\"\u{e9}\",\"n\":[1,2],\"z\":{\"k\":[\"v\"]}}\n{\"a\":\" \",\"n\":\"\",\"z\":null}";
    let documents = read("a.jsonl", lines.as_bytes(), "{a}{n}{z}").unwrap();
    assert_eq!(documents, ["x\ny1.5", "\u{e9}1 2{\"k\":[\"v\"]}"]);
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(lines.as_bytes()).unwrap();
    assert_eq!(
        read("a.jsonl.gz", &packed.finish().unwrap(), "{a}{n}{z}").unwrap(),
        documents
    );
}

#[test]
fn a_line_that_is_no_object_is_named() {
    for (line, says) in [("[1]", "map"), ("{\"a\":", "EOF"), ("{\"b\":1}", "`a`")] {
        let error = read("a.jsonl", format!("{{\"a\":1}}\n\n{line}\n").as_bytes(), "{a}").unwrap_err();
        let error = error.to_string();
        assert!(error.contains("record 3") && error.contains(says), "{error}");
    }
}

#[test]
fn csv_and_tsv_have_a_line_of_names() {
    let csv = "\u{feff}Title,Poem\n\"A, b\",\"one\ntwo\"\nC,three\n";
    assert_eq!(
        read("a.csv", csv.as_bytes(), "{Title}: {Poem}").unwrap(),
        ["A, b: one\ntwo", "C: three"]
    );
    assert_eq!(read("a.tsv", b"x\ty\n1\t2,3\n", "{y}").unwrap(), ["2,3"]);
    let error = read("a.csv", b"a,b\n1,2\n3\n", "{a}").unwrap_err().to_string();
    assert!(error.contains("record 2"), "{error}");
}

#[cfg(feature = "parquet")]
mod parquet {
    use std::fs::File;
    use std::path::Path;
    use std::sync::Arc;

    use ::parquet::basic::Compression;
    use ::parquet::column::writer::ColumnWriter;
    use ::parquet::data_type::ByteArray;
    use ::parquet::file::properties::WriterProperties;
    use ::parquet::file::writer::SerializedFileWriter;
    use ::parquet::schema::parser::parse_message_type;

    use super::*;

    const SCHEMA: &str =
        "message m { required binary text (UTF8); optional int64 n; required binary other (UTF8);
        required group ids (LIST) { repeated group list { required int32 element; } } }";

    fn write(path: &Path, compression: Compression) {
        let properties = Arc::new(WriterProperties::builder().set_compression(compression).build());
        let schema = Arc::new(parse_message_type(SCHEMA).unwrap());
        let mut writer = SerializedFileWriter::new(File::create(path).unwrap(), schema, properties).unwrap();
        for group in 0..2 {
            let mut rows = writer.next_row_group().unwrap();
            while let Some(mut column) = rows.next_column().unwrap() {
                let text = |name: &str| -> Vec<ByteArray> {
                    (0..3)
                        .map(|row| ByteArray::from(format!("{name} {group} {row} \u{e9}").as_str()))
                        .collect()
                };
                match column.untyped() {
                    ColumnWriter::ByteArrayColumnWriter(typed) => {
                        typed.write_batch(&text("t"), None, None).unwrap();
                    }
                    ColumnWriter::Int64ColumnWriter(typed) => {
                        typed.write_batch(&[7, 8], Some(&[1, 0, 1]), None).unwrap();
                    }
                    ColumnWriter::Int32ColumnWriter(typed) => {
                        typed
                            .write_batch(&[1, 2, 3, 4], Some(&[1; 4]), Some(&[0, 1, 0, 0]))
                            .unwrap();
                    }
                    _ => unreachable!(),
                }
                column.close().unwrap();
            }
            rows.close().unwrap();
        }
        writer.close().unwrap();
    }

    #[test]
    fn rows_of_all_groups_are_documents() {
        let folder = tempfile::tempdir().unwrap();
        for compression in [Compression::UNCOMPRESSED, Compression::SNAPPY] {
            let path = folder.path().join("a.parquet");
            write(&path, compression);
            let read = |template: &str| -> Vec<String> {
                let documents = open(
                    &path,
                    RecordFormat::Parquet,
                    &Template::parse(template).unwrap().into(),
                    None,
                )
                .unwrap();
                documents
                    .map(|document| String::from_utf8(document.unwrap().into_text()).unwrap())
                    .collect()
            };
            let documents = read("{text}/{n}");
            assert_eq!(
                documents[..3],
                ["t 0 0 \u{e9}/7", "t 0 1 \u{e9}/", "t 0 2 \u{e9}/8"]
            );
            assert_eq!((documents.len(), &*documents[3]), (6, "t 1 0 \u{e9}/7"));
            assert_eq!(read("{ids}")[..3], ["1 2", "3", "4"]);
            let Err(error) = open(
                &path,
                RecordFormat::Parquet,
                &Template::parse("{body}").unwrap().into(),
                None,
            ) else {
                panic!("a column that is absent")
            };
            let error = error.to_string();
            assert!(
                error.contains("`body`") && error.contains("text, n, other, ids"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_file_that_is_no_parquet_is_refused() {
        for bytes in [&b"PAR1"[..], b"PAR1 what PAR1", b"", b"{\"a\":1}"] {
            assert!(matches!(
                super::read("a.parquet", bytes, "{a}"),
                Err(LanguageError::Record { .. })
            ));
        }
    }

    const TALKS: &str =
        "message m { optional group messages (LIST) { repeated group list { required group element {
        required binary content (UTF8); required binary role (UTF8); } } } }";

    /// Two conversations, of three messages and of two.
    fn write_talks(path: &Path) {
        let schema = Arc::new(parse_message_type(TALKS).unwrap());
        let file = File::create(path).unwrap();
        let properties = Arc::new(WriterProperties::builder().build());
        let mut writer = SerializedFileWriter::new(file, schema, properties).unwrap();
        let mut rows = writer.next_row_group().unwrap();
        for texts in [
            ["a", "b", "c", "d", "e"],
            ["user", "assistant", "user", "user", "assistant"],
        ] {
            let mut column = rows.next_column().unwrap().unwrap();
            let ColumnWriter::ByteArrayColumnWriter(typed) = column.untyped() else {
                panic!("texts are byte arrays")
            };
            let texts = texts.map(ByteArray::from);
            let levels = (&[2; 5], &[0, 1, 1, 0, 1]);
            typed.write_batch(&texts, Some(levels.0), Some(levels.1)).unwrap();
            column.close().unwrap();
        }
        rows.close().unwrap();
        writer.close().unwrap();
    }

    #[test]
    fn conversations_in_columns_are_those_in_lines() {
        let folder = tempfile::tempdir().unwrap();
        let [columns, lines] = ["a.parquet", "a.jsonl"].map(|name| folder.path().join(name));
        write_talks(&columns);
        let talk = |messages: &[(&str, &str)]| {
            let message =
                |(role, content): &(&str, &str)| serde_json::json!({ "role": role, "content": content });
            let messages: Vec<Value> = messages.iter().map(message).collect();
            format!("{}\n", serde_json::json!({ "messages": messages }))
        };
        let first = talk(&[("user", "a"), ("assistant", "b"), ("user", "c")]);
        let second = talk(&[("user", "d"), ("assistant", "e")]);
        std::fs::write(&lines, first + &second).unwrap();
        let read = |path: &Path| -> Vec<Document> {
            let format = RecordFormat::of(path).unwrap();
            let documents = open(path, format, &RecordText::Messages(ChatConfig::default()), None).unwrap();
            documents.map(Result::unwrap).collect()
        };
        assert_eq!(read(&columns), read(&lines));
        assert_eq!(read(&columns).len(), 2);
        assert_eq!(
            &*read(&columns)[1],
            "User: d\u{3}\nAssistant: e\u{3}\n".as_bytes()
        );
    }
}
