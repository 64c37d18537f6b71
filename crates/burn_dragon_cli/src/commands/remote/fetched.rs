//! Models that are fetched.

use super::Shown;
use burn_dragon::api::exchange::ModelPath;
use burn_dragon::api::exchange::fetch::{FetchError, Fetched, Fetcher, Source};

/// A model's place on this machine: where MODEL is an address or an id of a hub, after it was fetched.
pub(in crate::commands) fn find(path: &ModelPath, offline: bool) -> Result<ModelPath, FetchError> {
    let source = Source::of(&path.path)?;
    if let Source::Local(_) = source {
        return Ok(path.clone());
    }
    let fetched = fetch(&source, offline)?;
    Ok(ModelPath {
        path: fetched.path,
        official_config: path.official_config.clone().or(fetched.config),
        ..path.clone()
    })
}

/// The files of a model, fetched if need be; progress on standard error.
pub(in crate::commands) fn fetch(source: &Source, offline: bool) -> Result<Fetched, FetchError> {
    let mut fetcher = Fetcher::from_env()?;
    fetcher.offline |= offline;
    let shown = Shown::new(&format!("fetching {source}"));
    let fetched = fetcher.fetch(source, &|event| shown.tell(event));
    shown.end();
    fetched
}
