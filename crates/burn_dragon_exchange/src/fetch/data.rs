//! Data files: any file of a server, or of a data set's repository on a hub.

use super::address::Address;
use super::cache::{CacheFolder, label};
use super::error::FetchError;
use super::hub::Hub;
use super::location::{Form, Location};
use super::progress::Event;
use super::source::HubId;
use super::{Fetched, Fetcher};
use burn_dragon_checkpoint::api::expert::is_plain_name;
use std::fmt::{self, Display};

/// File of data. Its content is not checked, except against the hash that a hub gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataFile {
    /// File on a server.
    Address(Address),
    /// File of a data set on the hub.
    Hub {
        /// Repository of the data set.
        id: HubId,
        /// Path in the repository, `data/train.parquet`.
        path: String,
    },
}

impl DataFile {
    /// The file at an address.
    ///
    /// # Errors
    /// If the address is not allowed, or its file name is not a plain one.
    pub fn at(address: &str) -> Result<Self, FetchError> {
        let refuse = |reason: String| FetchError::Source {
            given: address.to_string(),
            reason,
        };
        let parsed = Address::parse(address).map_err(refuse)?;
        match is_plain_name(parsed.name()) {
            true => Ok(Self::Address(parsed)),
            false => Err(refuse("its file name is not a plain one".into())),
        }
    }

    /// A file of a data set's repository, `OWNER/NAME`.
    ///
    /// # Errors
    /// If the repository, the revision or the path is not valid.
    pub fn of_hub(repo: &str, revision: &str, path: &str) -> Result<Self, FetchError> {
        let refuse = |reason: &str| FetchError::Source {
            given: format!("{path} of {repo}@{revision}"),
            reason: reason.into(),
        };
        let id = HubId::parse(&format!("{repo}@{revision}"));
        let id =
            id.ok_or_else(|| refuse("a data set is OWNER/NAME, a revision a branch, a tag or a commit"))?;
        match path.split('/').all(is_plain_name) {
            true => Ok(Self::Hub {
                id,
                path: path.into(),
            }),
            false => Err(refuse(
                "a path has plain names (letters, digits, `.`, `-`, `_`, `+`) and slashes",
            )),
        }
    }
}

impl Display for DataFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => write!(f, "{address}"),
            Self::Hub { id, path } => write!(f, "{path} of the data set {}@{}", id.repo, id.revision),
        }
    }
}

impl Location {
    fn data(hub: &Hub, file: &DataFile) -> Self {
        let (address, id) = match file {
            DataFile::Address(address) => (address.clone(), None),
            DataFile::Hub { id, path } => {
                // A hub keeps data sets in a folder of their own.
                let set = HubId {
                    repo: format!("datasets/{}", id.repo),
                    revision: id.revision.clone(),
                };
                (hub.files(&set).file(path), Some(id))
            }
        };
        Self {
            key: address.to_string(),
            name: match id {
                Some(id) => format!("{}-{}", id.repo.replace('/', "-"), address.name()),
                None => address.path().to_string(),
            },
            site: address.folder(),
            hub: id.map(|_| hub.clone()),
            id: None,
            pinned: id.is_some_and(HubId::is_commit),
            forms: vec![Form::Data(address.name().to_string())],
        }
    }
}

impl Fetcher {
    /// Fetches a data file, as [`fetch`](Self::fetch) a model: resumable, from the cache if it is current there.
    ///
    /// # Errors
    /// Those of [`fetch`](Self::fetch). Offline, the error names the file, its address and the folder of the cache.
    pub fn fetch_data(&self, file: &DataFile, tell: &(dyn Fn(Event) + Sync)) -> Result<Fetched, FetchError> {
        let location = Location::data(&self.hub, file);
        let folder = CacheFolder::new(
            &self.cache,
            &location.key,
            location.site.host(),
            &label(&location.name),
        );
        if self.offline && folder.record().is_none() {
            return Err(FetchError::Offline {
                what: format!("{file} ({})", location.key),
                cache: folder.path().display().to_string(),
            });
        }
        self.obtain(&location, &folder, &file.to_string(), tell)
    }
}
