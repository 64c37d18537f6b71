//! Files of a model on a server, and their checks before they become visible.

use super::address::Address;
use super::cache::{Draft, Kept, Locked, Record, hash_of};
use super::download::RangedDownload;
use super::error::FetchError;
use super::http::{Client, Linked};
use super::location::{Form, Location};
use super::partial_file::Note;
use super::progress::{Event, Meter};
use super::ranged::Landed;
use super::segments::at_once;
use crate::official::ForeignFile;
use burn_dragon_checkpoint::api::expert::{MAX_MANIFEST, Os, PartEntry, sha256, unmarked, write_atomic};
use burn_dragon_checkpoint::api::{CheckpointError, ModelFile, PartsManifest, read_parts};
use serde::de::IgnoredAny;
use std::collections::BTreeMap;
use std::path::Path;

/// File name of the configuration beside official weights.
pub(super) const CONFIG: &str = "config.json";

/// Limit on the size of a configuration in bytes.
const MAX_CONFIG: u64 = 1 << 20;

impl Client {
    /// Fetches a model into the draft, in the first form that exists.
    pub(super) fn obtain(
        &self,
        location: &Location,
        lock: &Locked<'_>,
        kept: Option<&Record>,
        meter: &Meter<'_>,
    ) -> Result<Record, FetchError> {
        let mut denied = None;
        for form in &location.forms {
            let got = match form {
                Form::Parts(name) => self.parts(location, name, lock, kept, meter),
                Form::Whole(name) | Form::Official(name) | Form::Data(name) => {
                    self.one(location, name, lock, meter, form)
                }
            };
            match got {
                Ok(record) => return Ok(record),
                Err(FetchError::NotFound { .. }) => {}
                // A server that forbids listing also answers "forbidden" for a missing file.
                Err(error @ FetchError::Denied { .. }) => denied = Some(error),
                Err(error) => return Err(error),
            }
        }
        let names: Vec<&str> = location.forms.iter().map(Form::name).collect();
        let what = match names.as_slice() {
            [name] => format!("there is no {name}"),
            [.., _] | [] => format!("there is no file with one of the names {}", names.join(", ")),
        };
        let hint = match location.id {
            Some(_) => "; the id of a hub's repository is OWNER/NAME, and no such path exists here either",
            None => "",
        };
        Err(denied.unwrap_or_else(|| FetchError::NotFound {
            address: location.site.to_string(),
            reason: format!("{what}{hint}"),
        }))
    }

    fn parts(
        &self,
        location: &Location,
        name: &str,
        lock: &Locked<'_>,
        kept: Option<&Record>,
        meter: &Meter<'_>,
    ) -> Result<Record, FetchError> {
        let address = location.file(name, None);
        let (text, etag, linked) = self.text(&address, MAX_MANIFEST, meter)?;
        let hash = sha256(&text);
        let mut record = Record::new(location, name, etag, linked);
        if let Some(same) = kept.filter(|kept| kept.files.get(name).is_some_and(|file| file.sha256 == hash)) {
            record.files.clone_from(&same.files);
            return Ok(record);
        }
        let manifest = PartsManifest::parse(&text, Path::new(&address.to_string()))?;
        if manifest.position(name).is_some() {
            return Err(FetchError::refused(
                address,
                "the manifest lists itself as a part",
            ));
        }
        let (bytes, limit) = (manifest.bytes(), self.limits().bytes);
        if bytes > limit {
            let given = format!("{bytes} bytes in parts");
            return Err(FetchError::TooLarge {
                address: address.to_string(),
                given,
                limit,
            });
        }
        let draft = lock.draft(&format!("parts {hash}"))?;
        meter.expect(bytes);
        at_once(
            self.limits().at_once,
            meter,
            &manifest.parts,
            |index, part, meter| {
                let address = location.file(&part.path, record.commit.as_deref());
                self.part(&address, part, index, &draft, meter)
            },
        )?;
        write_atomic(&Os, &draft.file(name), |sink| sink.write_all(&text))?;
        meter.tell(Event::Checking);
        read_parts(&draft.file(name), |_| {}).map_err(|error| unsound(lock, &address, &error))?;
        let parts = manifest.parts.iter().map(|part| {
            let (bytes, sha256) = (part.bytes, part.sha256.clone());
            (part.path.clone(), Kept { bytes, sha256 })
        });
        record.files = parts.collect();
        let bytes = text.len() as u64;
        record
            .files
            .insert(name.to_string(), Kept { bytes, sha256: hash });
        Ok(record)
    }

    fn part(
        &self,
        address: &Address,
        part: &PartEntry,
        index: usize,
        draft: &Draft,
        meter: &Meter<'_>,
    ) -> Result<(), FetchError> {
        let file = draft.file(&part.path);
        // A part that was complete in an earlier try is checked again with all the others.
        if file
            .symlink_metadata()
            .is_ok_and(|found| found.is_file() && found.len() == part.bytes)
        {
            meter.add(part.bytes);
            return Ok(());
        }
        let into = draft.coming(index);
        let download = RangedDownload {
            address,
            into: &into,
            segment: None,
            total: Some(part.bytes),
            most: part.bytes,
        };
        let landed = self
            .download(&download, None, meter)
            .map_err(|error| match error {
                FetchError::NotFound { address, reason } => {
                    FetchError::refused(address, format!("the manifest names it as a part, but {reason}"))
                }
                // A manifest without its parts is an error: no other form is tried.
                FetchError::Denied {
                    address,
                    status,
                    remedy,
                } => {
                    let but = format!("the server denies access to it (status {status}): {remedy}");
                    FetchError::refused(address, format!("the manifest names it as a part, but {but}"))
                }
                error => error,
            })?;
        check_hash(address, &landed, &part.sha256, &into)?;
        Note::remove(&into);
        Ok(draft.settle(index, &part.path)?)
    }

    /// Fetches one file: a `.bpk`, official weights with their configuration, or data.
    fn one(
        &self,
        location: &Location,
        name: &str,
        lock: &Locked<'_>,
        meter: &Meter<'_>,
        form: &Form,
    ) -> Result<Record, FetchError> {
        let address = location.file(name, None);
        let draft = lock.draft(&format!("file {address}"))?;
        let into = draft.coming(0);
        let landed = self.whole(&address, &into, meter)?;
        let linked = landed.linked.clone().unwrap_or_default();
        if let Some(sha256) = linked.sha256() {
            check_hash(&address, &landed, &sha256, &into)?;
        }
        Note::remove(&into);
        draft.settle(0, name)?;
        let file = draft.file(name);
        meter.tell(Event::Checking);
        let sound = match form {
            Form::Data(_) => Ok(()),
            Form::Official(_) => ForeignFile::safetensors(&file).map(drop),
            Form::Parts(_) | Form::Whole(_) => ModelFile::read(&file).map(drop),
        };
        sound.map_err(|error| unsound(lock, &address, &error))?;
        let mut record = Record::new(location, name, landed.etag, linked);
        let (bytes, sha256) = (landed.bytes, landed.sha256);
        record.files.insert(name.to_string(), Kept { bytes, sha256 });
        if matches!(form, Form::Official(_)) {
            self.config(location, &mut record, &draft, meter)?;
        }
        Ok(record)
    }

    /// Fetches the configuration beside official weights, if there is one. A caller can load the weights with another
    /// one.
    fn config(
        &self,
        location: &Location,
        record: &mut Record,
        draft: &Draft,
        meter: &Meter<'_>,
    ) -> Result<(), FetchError> {
        let address = location.file(CONFIG, record.commit.as_deref());
        let text = match self.text(&address, MAX_CONFIG, meter) {
            Ok((text, ..)) => text,
            Err(FetchError::NotFound { .. } | FetchError::Denied { .. }) => return Ok(()),
            Err(error) => return Err(error),
        };
        // Only checked to be a JSON object. Its keys are checked when it is used; the user may give another
        // configuration.
        serde_json::from_slice::<BTreeMap<String, IgnoredAny>>(unmarked(&text)).map_err(|error| {
            FetchError::refused(&address, format!("it does not read as a JSON object: {error}"))
        })?;
        let path = draft.file(CONFIG);
        write_atomic(&Os, &path, |sink| sink.write_all(&text))?;
        let (bytes, sha256) = hash_of(&path)?;
        record.files.insert(CONFIG.to_string(), Kept { bytes, sha256 });
        Ok(())
    }
}

impl Record {
    fn new(location: &Location, name: &str, etag: Option<String>, linked: Linked) -> Self {
        Self {
            source: location.key.clone(),
            probe: name.to_string(),
            etag,
            linked: linked.etag,
            commit: linked.commit,
            version: String::new(),
            files: BTreeMap::new(),
        }
    }
}

fn check_hash(address: &Address, landed: &Landed, expected: &str, file: &Path) -> Result<(), FetchError> {
    if landed.sha256 == expected {
        return Ok(());
    }
    Note::remove(file);
    let _ = std::fs::remove_file(file); // the error that matters is the other one
    let given = &landed.sha256;
    Err(FetchError::refused(
        address,
        format!("its sha256 is {given}, expected {expected}"),
    ))
}

/// Removes a complete download that is not a model.
fn unsound(lock: &Locked<'_>, address: &Address, error: &CheckpointError) -> FetchError {
    let _ = lock.discard(); // the error that matters is the other one
    let reason = match error {
        CheckpointError::Corrupt { reason, .. } => reason.clone(),
        error => error.to_string(),
    };
    FetchError::refused(address, reason)
}
