//! Models from a server or a hub, as verified local files.
//!
//! ```no_run
//! use burn_dragon_exchange::api::fetch::{Fetcher, Source};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let source = Source::of("owner/name@v1".as_ref())?;
//! let fetched = Fetcher::from_env()?.fetch(&source, &|event| eprintln!("{event:?}"))?;
//! println!("{}", fetched.path.display());
//! # Ok(())
//! # }
//! ```
//!
//! | file | what |
//! |---|---|
//! | `source.rs`, `address.rs` | meaning of a given MODEL, and the addresses that are allowed |
//! | `cache.rs` | places of the files, their commit, the lock of the writer |
//! | `http.rs`, `retry.rs`, `pace.rs` | one request and its redirects; retries; slow servers |
//! | `requests.rs` | requests before the download of a file |
//! | `download.rs`, `ranged.rs`, `partial_file.rs`, `segments.rs` | resumable download of a range; parallel segments |
//! | `location.rs`, `models.rs` | files of a model, and their checks |
//! | `data.rs` | data files of a server or of a data set on a hub |
//! | `hub.rs`, `upload.rs`, `lfs.rs` | addresses and token of a hub; upload of files |
//!
//! A server cannot choose a name, a length or a location. See `docs/fetching.md`.

mod address;
mod cache;
mod data;
mod download;
mod error;
mod http;
mod hub;
mod lfs;
mod limits;
mod location;
mod models;
mod pace;
mod partial_file;
mod progress;
mod ranged;
mod requests;
mod retry;
mod segments;
mod source;
mod upload;

pub use address::Address;
pub use cache::root as cache_root;
pub use data::DataFile;
pub use error::FetchError;
pub use hub::{ENDPOINT, Hub};
pub use limits::Limits;
pub use progress::Event;
pub use source::{HubId, MAIN, Source};
pub use upload::{Upload, Uploaded, upload};

use burn_dragon_checkpoint::api::CheckpointError;
use cache::{CacheFolder, Record, label};
use http::Client;
use location::Location;
use progress::Meter;
use requests::Freshness;
use std::env;
use std::path::PathBuf;

/// Downloader of models into a cache.
#[derive(Clone, Debug)]
pub struct Fetcher {
    /// Folder of the cache.
    pub cache: PathBuf,
    /// Hub of the repository ids.
    pub hub: Hub,
    /// Use the cache only, without any request.
    pub offline: bool,
    /// Limits on time, size and number of tries.
    pub limits: Limits,
}

/// Files of a fetched model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// File for a loader: a `.bpk`, the manifest of parts, or `.safetensors`.
    pub path: PathBuf,
    /// Configuration beside official weights.
    pub config: Option<PathBuf>,
    /// All files.
    pub files: Vec<PathBuf>,
    /// Size of all files in bytes.
    pub bytes: u64,
    /// Commit; `None` if the hub did not give one.
    pub commit: Option<String>,
    /// Whether the files were in the cache already.
    pub cached: bool,
}

impl Fetcher {
    /// A fetcher configured by the environment: `BURN_DRAGON_CACHE_DIR`, `BURN_DRAGON_OFFLINE`,
    /// `BURN_DRAGON_MAX_BYTES`, `HF_ENDPOINT`, `HF_TOKEN`.
    ///
    /// # Errors
    /// If one of them has no valid value.
    pub fn from_env() -> Result<Self, FetchError> {
        let of = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let offline = of("BURN_DRAGON_OFFLINE").is_some_and(|value| !matches!(value.as_str(), "0" | "false"));
        let mut limits = Limits::default();
        if let Some(bytes) = of("BURN_DRAGON_MAX_BYTES") {
            limits.bytes = bytes.parse().map_err(|_| FetchError::Source {
                given: format!("BURN_DRAGON_MAX_BYTES={bytes}"),
                reason: "it is not a number of bytes".into(),
            })?;
        }
        Ok(Self {
            cache: cache_root()?,
            hub: Hub::from_env()?,
            offline,
            limits,
        })
    }

    /// Fetches a model and returns its verified files. They come from the cache if the server confirms that they are
    /// current, or if no server is asked; otherwise they are downloaded. A local source is returned unchanged. `tell`
    /// receives the events, from several threads.
    ///
    /// # Errors
    /// If there is no such model, the server cannot be reached, or its answer is not valid. Nothing of an invalid
    /// answer is kept.
    pub fn fetch(&self, source: &Source, tell: &(dyn Fn(Event) + Sync)) -> Result<Fetched, FetchError> {
        let location = match source {
            Source::Local(path) => {
                return Ok(Fetched {
                    path: path.clone(),
                    config: None,
                    files: vec![path.clone()],
                    bytes: 0,
                    commit: None,
                    cached: true,
                });
            }
            Source::Address(address) => Location::address(address)?,
            Source::Hub(id) => Location::hub(&self.hub, id),
        };
        let folder = CacheFolder::new(
            &self.cache,
            &location.key,
            location.site.host(),
            &label(&location.name),
        );
        self.obtain(&location, &folder, &source.to_string(), tell)
    }

    /// Files of a location. `what` names it in an error.
    fn obtain(
        &self,
        location: &Location,
        folder: &CacheFolder,
        what: &str,
        tell: &(dyn Fn(Event) + Sync),
    ) -> Result<Fetched, FetchError> {
        if self.offline {
            return self.cached(what, folder);
        }
        let meter = Meter::new(tell);
        let lock = folder.lock(&meter)?;
        let record = folder.record();
        let kept = record.and_then(|record| folder.verified(&record).map(|folder| (record, folder)));
        if let Some((record, folder)) = kept.as_ref().filter(|_| location.pinned) {
            return Ok(Fetched::of(record, folder, true));
        }
        let client = Client::new(&self.limits, location.hub.as_ref().and_then(Hub::token));
        if let Some((record, folder)) = &kept {
            match client.freshness(location, record, &meter) {
                Freshness::Same => return Ok(Fetched::of(record, folder, true)),
                Freshness::Unknown(reason) => {
                    meter.tell(Event::Unasked { reason });
                    return Ok(Fetched::of(record, folder, true));
                }
                Freshness::Other => {}
            }
        }
        let record = client.obtain(location, &lock, kept.as_ref().map(|(record, _)| record), &meter);
        let record = record.map_err(|error| match (error, &kept) {
            (FetchError::NotFound { address, reason }, Some(_)) => FetchError::NotFound {
                address,
                reason: format!("{reason}; to use the model in the cache, add --offline"),
            },
            (error, _) => error,
        })?;
        let committed = lock.commit(&record)?;
        let record = folder.record().unwrap_or(record);
        Ok(Fetched::of(&record, &committed, false))
    }

    fn cached(&self, what: &str, folder: &CacheFolder) -> Result<Fetched, FetchError> {
        let Some(record) = folder.record() else {
            return Err(FetchError::Offline {
                what: what.to_string(),
                cache: self.cache.display().to_string(),
            });
        };
        match folder.verified(&record) {
            Some(folder) => Ok(Fetched::of(&record, &folder, true)),
            None => {
                let reason = "files of it are damaged or gone; fetch it again, without --offline";
                Err(CheckpointError::corrupt(folder.path(), reason).into())
            }
        }
    }
}

impl Fetched {
    fn of(record: &Record, folder: &std::path::Path, cached: bool) -> Self {
        let config = record.probe.ends_with(".safetensors") && record.files.contains_key(models::CONFIG);
        Self {
            path: folder.join(&record.probe),
            config: config.then(|| folder.join(models::CONFIG)),
            files: record.files.keys().map(|name| folder.join(name)).collect(),
            bytes: record.files.values().map(|kept| kept.bytes).sum(),
            commit: record.commit.clone(),
            cached,
        }
    }
}
