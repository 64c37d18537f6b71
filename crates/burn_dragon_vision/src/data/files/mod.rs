//! Pictures in folders and archives: `train/CLASS/FILE` and `val/CLASS/FILE`.

mod archive;
mod config;
mod listing;
#[cfg(test)]
mod tests;

pub use self::config::FolderConfig;

use self::archive::Archive;
use self::listing::{Entry, Listing, Place};
use super::decode::decode;
use super::part::{Part, PartBuilder, Pictures};
use super::shape::{Fit, PictureShape};
use crate::error::VisionError;
use crate::picture::Picture;
use burn_dragon_core::api::{FreeMemory, Need};
use rayon::prelude::*;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

/// Maximum length of a file, bytes.
const LONGEST_FILE: u64 = 256 << 20;

/// Number of files that are decoded at once, before they are hashed in order.
const AT_ONCE: usize = 1024;

/// Number of skipped files that are named.
const NAMED: usize = 5;

/// How files become pictures.
#[derive(Debug)]
struct Reader {
    archives: Vec<Archive>,
    shape: PictureShape,
    fit: Fit,
    max_pixels: u64,
}

impl Reader {
    /// The picture of a file, or the reason why it has none.
    fn picture(&self, entry: &Entry) -> Result<Picture, String> {
        let bytes = match &entry.place {
            Place::File(path) => file_bytes(path),
            Place::Archived { archive, index } => self.archives[*archive].bytes(*index, LONGEST_FILE),
        }?;
        let decoded = decode(&bytes, self.max_pixels)?;
        Ok(self.fit.apply(&decoded, self.shape))
    }
}

fn file_bytes(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LONGEST_FILE + 1).read_to_end(&mut bytes));
    read.map_err(|error| format!("cannot be read: {error}"))?;
    check_length(bytes.len() as u64)?;
    Ok(bytes)
}

/// Refuses a file that is longer than any that is read.
fn check_length(bytes: u64) -> Result<(), String> {
    if bytes > LONGEST_FILE {
        return Err(format!("is longer than {} MiB", LONGEST_FILE >> 20));
    }
    Ok(())
}

/// Files of the pictures of a part, in order.
#[derive(Debug)]
pub(super) struct Files {
    entries: Vec<Entry>,
    reader: Arc<Reader>,
}

impl Files {
    /// Decodes a picture again.
    pub(super) fn read(&self, index: usize) -> Result<Picture, VisionError> {
        let entry = &self.entries[index];
        self.reader.picture(entry).map_err(|reason| VisionError::Format {
            name: entry.name.clone(),
            reason: format!("{reason} (when the run began, it was a picture)"),
        })
    }
}

impl FolderConfig {
    /// Reads every file once: pictures for the hashes and the cache, and the files that are none.
    ///
    /// # Errors
    /// If there are no files, one part has no picture, too many files are skipped, or there is too little memory.
    pub(crate) fn load(&self, shape: PictureShape) -> Result<Pictures, VisionError> {
        self.validate()?;
        let (listing, archives) = Listing::of(self)?;
        let reader = Arc::new(Reader {
            archives,
            shape,
            fit: self.fit,
            max_pixels: self.max_pixels,
        });
        let files = listing.train.len() + listing.validation.len();
        let cached = files.min((self.cache_mib << 20) / shape.numbers());
        let need = Need::of("the cache of pictures").with("pictures", (cached * shape.numbers()) as u64);
        FreeMemory::room_for(&need, || "use a smaller dataset.cache_mib".into())?;
        let mut skipped = Vec::new();
        let train = read_part(&reader, listing.train, cached, &mut skipped);
        let validation = read_part(&reader, listing.validation, cached - train.held(), &mut skipped);
        self.judge(&skipped, files)?;
        for (name, part) in [("training", &train), ("validation", &validation)] {
            if part.is_empty() {
                return Err(VisionError::NoPictures { part: name });
            }
        }
        let mut notes = listing.notes;
        if !skipped.is_empty() {
            notes.push(in_words(&skipped, files));
        }
        Ok(Pictures {
            train,
            validation,
            classes: listing.classes,
            notes,
        })
    }

    /// Refuses more skipped files than allowed.
    fn judge(&self, skipped: &[String], files: usize) -> Result<(), VisionError> {
        if skipped.len() as f64 > self.max_skipped * files as f64 {
            return Err(VisionError::Skipped {
                files: in_words(skipped, files),
                most: self.max_skipped,
            });
        }
        Ok(())
    }
}

/// Reads the pictures of a part, holds the first `cached`, and adds to `skipped` what is none.
fn read_part(reader: &Arc<Reader>, entries: Vec<Entry>, cached: usize, skipped: &mut Vec<String>) -> Part {
    let mut part = PartBuilder::new(reader.shape, cached);
    let mut accepted = Vec::with_capacity(entries.len());
    let mut entries = entries.into_iter();
    loop {
        let some: Vec<Entry> = entries.by_ref().take(AT_ONCE).collect();
        if some.is_empty() {
            break;
        }
        let pictures: Vec<_> = some.par_iter().map(|entry| reader.picture(entry)).collect();
        for (entry, picture) in some.into_iter().zip(pictures) {
            match picture {
                Ok(picture) => {
                    part.push(&picture, entry.label);
                    accepted.push(entry);
                }
                Err(reason) => skipped.push(format!("{} {reason}", entry.name)),
            }
        }
    }
    part.finish(Some(Files {
        entries: accepted,
        reader: Arc::clone(reader),
    }))
}

/// Number of skipped files, and the first ones with their reasons.
fn in_words(skipped: &[String], files: usize) -> String {
    let first = &skipped[..skipped.len().min(NAMED)];
    let more = match skipped.len() - first.len() {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    format!(
        "{} of {files} files skipped: {}{more}",
        skipped.len(),
        first.join("; ")
    )
}
