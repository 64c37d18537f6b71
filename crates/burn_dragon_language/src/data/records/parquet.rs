//! Records of Parquet files.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use ::parquet::file::reader::{FileReader, SerializedFileReader};
use ::parquet::record::reader::RowIter;
use ::parquet::record::{Field, Row};
use ::parquet::schema::types::Type;

use super::{Place, RecordText, Records};
use crate::error::LanguageError;
use serde_json::{Map, Value};

/// Opens a file. Only the columns of the text are read.
pub(super) fn open(path: &Path, text: RecordText) -> Result<Records, LanguageError> {
    let mut place = Place::file(path);
    let file = File::open(path).map_err(|source| LanguageError::Read {
        path: path.into(),
        source,
    })?;
    let reader = SerializedFileReader::new(file).map_err(|error| place.error(error.to_string()))?;
    let columns = columns(&reader, &fields(&text), &place)?;
    let rows = RowIter::from_file_into(Box::new(reader)).project(Some(columns));
    let rows = rows.map_err(|error| place.error(error.to_string()))?;
    Ok(Box::new(rows.map(move |row| {
        place.record += 1;
        let row = row.map_err(|error| place.error(error.to_string()))?;
        let field = |name: &str| column(&row, name).map(json);
        text.document(&place, field, || {
            row.get_column_iter().map(|(name, _)| name.clone()).collect()
        })
    })))
}

/// Names of the fields that are read.
fn fields(text: &RecordText) -> Vec<&str> {
    match text {
        RecordText::Fields(template) => template.fields().collect(),
        RecordText::Messages(chat) => vec![&chat.messages],
    }
}

/// Schema of the columns of these fields.
fn columns(
    reader: &SerializedFileReader<File>,
    fields: &[&str],
    place: &Place,
) -> Result<Type, LanguageError> {
    let schema = reader.metadata().file_metadata().schema();
    let all = schema.get_fields();
    for field in fields {
        if !all.iter().any(|column| column.name() == *field) {
            let names: Vec<&str> = all.iter().map(|column| column.name()).collect();
            return Err(place.error(format!(
                "there is no field `{field}`; it has {}",
                names.join(", ")
            )));
        }
    }
    let wanted = all.iter().filter(|column| fields.contains(&column.name()));
    let wanted: Vec<Arc<Type>> = wanted.cloned().collect();
    let columns = Type::group_type_builder(schema.name())
        .with_fields(wanted)
        .build();
    columns.map_err(|error| place.error(error.to_string()))
}

fn column<'a>(row: &'a Row, name: &str) -> Option<&'a Field> {
    let mut columns = row.get_column_iter();
    columns
        .find(|(column, _)| *column == name)
        .map(|(_, field)| field)
}

/// A value as JSON: a list of texts or numbers is their text with spaces between them, a list of groups a list of objects.
fn json(field: &Field) -> Value {
    match field {
        Field::Null => Value::Null,
        Field::Group(row) => row
            .get_column_iter()
            .map(|(name, field)| (name.clone(), json(field)))
            .collect::<Map<String, Value>>()
            .into(),
        Field::ListInternal(list)
            if list
                .elements()
                .iter()
                .any(|field| matches!(field, Field::Group(_))) =>
        {
            list.elements().iter().map(json).collect()
        }
        field => text(field).into(),
    }
}

/// A value as text: a string without quotes, a null as nothing, a list with spaces.
fn text(field: &Field) -> String {
    match field {
        Field::Null => String::new(),
        Field::Str(text) => text.clone(),
        Field::Bytes(bytes) => String::from_utf8_lossy(bytes.data()).into_owned(),
        Field::ListInternal(list) => {
            let elements: Vec<String> = list.elements().iter().map(text).collect();
            elements.join(" ")
        }
        field => field.to_string(),
    }
}
