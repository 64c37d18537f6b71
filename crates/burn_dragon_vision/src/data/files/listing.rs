//! Which files there are, without reading them.

use super::FolderConfig;
use super::archive::Archive;
use crate::error::VisionError;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Names of the folder of the validation part, in the order in which they are looked for.
const VALIDATION: [&str; 3] = ["val", "validation", "test"];

/// A file that should be a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Name for a person: the path, or the archive and the name in it.
    pub(super) name: String,
    /// Where it is.
    pub(super) place: Place,
    /// Number of its class.
    pub(super) label: Option<u32>,
}

/// Where a file is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// A file of the disk.
    File(PathBuf),
    /// A file of an archive, both by number.
    Archived { archive: usize, index: usize },
}

/// Files of both parts, sorted by class, archive and name.
#[derive(Debug)]
pub(super) struct Listing {
    /// Files of the training part.
    pub(super) train: Vec<Entry>,
    /// Files of the validation part.
    pub(super) validation: Vec<Entry>,
    /// Names of the classes, sorted.
    pub(super) classes: Vec<String>,
    /// What a person should know of them.
    pub(super) notes: Vec<String>,
}

/// A file with the names of its folders. The order of the fields is the order of the files.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Found {
    class: Option<String>,
    archive: usize,
    name: String,
    place: Place,
}

/// Files by the name of their part.
type Parts = BTreeMap<String, Vec<Found>>;

impl Listing {
    /// Files of a folder or of archives, and these archives.
    ///
    /// # Errors
    /// If a folder or an archive cannot be read, or a part is missing.
    pub(super) fn of(config: &FolderConfig) -> Result<(Self, Vec<Archive>), VisionError> {
        let paths = match &config.path {
            Some(folder) if folder.join("train").is_dir() => {
                let listing = Self::of_parts(of_folder(folder)?, folder, |found| found.name.clone())?;
                return Ok((listing, Vec::new()));
            }
            Some(folder) if folder.is_dir() => archives_of(folder)?,
            Some(archive) => vec![archive.clone()],
            None => config.paths.clone(),
        };
        let archives = paths
            .iter()
            .map(|path| Archive::open(path))
            .collect::<Result<Vec<_>, _>>()?;
        let name = |found: &Found| format!("{}: {}", paths[found.archive].display(), found.name);
        let named = config.path.as_ref().unwrap_or(&paths[0]);
        let listing = Self::of_parts(of_archives(&archives), named, name)?;
        Ok((listing, archives))
    }

    fn of_parts(mut parts: Parts, path: &Path, name: impl Fn(&Found) -> String) -> Result<Self, VisionError> {
        let missing = |what: &str| VisionError::Format {
            name: path.display().to_string(),
            reason: format!(
                "has no {what}; expected train/CLASS/FILE and val/CLASS/FILE (or validation, or test)"
            ),
        };
        let mut train = parts
            .remove("train")
            .ok_or_else(|| missing("pictures in train"))?;
        let held_out = VALIDATION.iter().find(|name| parts.contains_key(**name));
        let held_out = held_out.ok_or_else(|| missing("pictures in val, validation or test"))?;
        let mut validation = parts.remove(*held_out).unwrap_or_default();
        let unused = parts
            .keys()
            .map(|unused| format!("{unused} is not read: {held_out} is the validation part"));
        let notes = unused.collect();
        let classes = classes_of(&mut train, &mut validation, path)?;
        let entries = |mut found: Vec<Found>| {
            found.sort();
            let entry = |found: &Found| Entry {
                name: name(found),
                place: found.place.clone(),
                label: found.class.as_ref().and_then(|class| {
                    let number = classes.binary_search(class).ok()?;
                    u32::try_from(number).ok()
                }),
            };
            found.iter().map(entry).collect()
        };
        Ok(Self {
            train: entries(train),
            validation: entries(validation),
            classes,
            notes,
        })
    }
}

/// Names of the classes. If there are any, files without a class are removed.
fn classes_of(
    train: &mut Vec<Found>,
    validation: &mut Vec<Found>,
    path: &Path,
) -> Result<Vec<String>, VisionError> {
    let of = |found: &[Found]| -> BTreeSet<String> {
        found.iter().filter_map(|file| file.class.clone()).collect()
    };
    let (classes, held_out) = (of(train), of(validation));
    if let Some(unknown) = held_out.difference(&classes).next() {
        return Err(VisionError::Format {
            name: path.display().to_string(),
            reason: format!("has validation pictures of the class {unknown}, but no training pictures of it"),
        });
    }
    if !classes.is_empty() {
        train.retain(|file| file.class.is_some());
        validation.retain(|file| file.class.is_some());
    }
    Ok(classes.into_iter().collect())
}

fn is_hidden(name: &str) -> bool {
    name.starts_with('.')
}

/// Files of `folder/PART/CLASS/FILE` and `folder/PART/FILE`.
fn of_folder(folder: &Path) -> Result<Parts, VisionError> {
    let mut parts = Parts::new();
    for part in ["train"].iter().chain(&VALIDATION) {
        let folder = folder.join(part);
        if !folder.is_dir() {
            continue;
        }
        let mut found = Vec::new();
        for (name, path) in entries_of(&folder)? {
            if !path.is_dir() {
                found.push(of_file(None, &path));
                continue;
            }
            let files = entries_of(&path)?.into_iter().filter(|(_, path)| !path.is_dir());
            found.extend(files.map(|(_, path)| of_file(Some(name.clone()), &path)));
        }
        parts.insert((*part).to_string(), found);
    }
    parts.retain(|_, found| !found.is_empty());
    Ok(parts)
}

fn of_file(class: Option<String>, path: &Path) -> Found {
    Found {
        class,
        archive: 0,
        name: path.display().to_string(),
        place: Place::File(path.into()),
    }
}

/// Names and paths in a folder, without hidden ones.
fn entries_of(folder: &Path) -> Result<Vec<(String, PathBuf)>, VisionError> {
    let read = |source| VisionError::Read {
        path: folder.into(),
        source,
    };
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder).map_err(read)? {
        let entry = entry.map_err(read)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !is_hidden(&name) {
            entries.push((name, entry.path()));
        }
    }
    Ok(entries)
}

/// ZIP archives of a folder, sorted by name.
fn archives_of(folder: &Path) -> Result<Vec<PathBuf>, VisionError> {
    let is_zip = |path: &PathBuf| {
        path.extension()
            .is_some_and(|end| end.eq_ignore_ascii_case("zip"))
    };
    let mut paths: Vec<_> = entries_of(folder)?.into_iter().map(|(_, path)| path).collect();
    paths.retain(is_zip);
    paths.sort();
    if paths.is_empty() {
        return Err(VisionError::Format {
            name: folder.display().to_string(),
            reason:
                "has neither a folder train nor ZIP archives; expected train/CLASS/FILE and val/CLASS/FILE"
                    .into(),
        });
    }
    Ok(paths)
}

/// Files of `PART/CLASS/FILE` and `PART/FILE` in archives, under any folders.
fn of_archives(archives: &[Archive]) -> Parts {
    let mut parts = Parts::new();
    let is_part = |name: &str| name == "train" || VALIDATION.contains(&name);
    for (archive, file) in archives.iter().enumerate() {
        for (index, name) in file.names() {
            let steps: Vec<&str> = name.split(['/', '\\']).collect();
            if steps.iter().any(|step| is_hidden(step) || *step == "__MACOSX") {
                continue;
            }
            let (part, class) = match steps.as_slice() {
                [.., part, class, _] if is_part(part) => (*part, Some((*class).to_string())),
                [.., part, _] if is_part(part) => (*part, None),
                _ => continue,
            };
            let found = Found {
                class,
                archive,
                name: name.clone(),
                place: Place::Archived { archive, index },
            };
            parts.entry(part.to_string()).or_default().push(found);
        }
    }
    parts
}
