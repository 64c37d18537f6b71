//! Download of models.

use super::Shown;
use burn_dragon::api::exchange::ModelPath;
use burn_dragon::api::exchange::fetch::{FetchError, Fetched, Fetcher, Source};

/// Path of a model on this machine, after a download if MODEL is an address or an id of a hub.
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

/// Files of a model, downloaded if necessary; progress on standard error.
pub(in crate::commands) fn fetch(source: &Source, offline: bool) -> Result<Fetched, FetchError> {
    let mut fetcher = Fetcher::from_env()?;
    fetcher.offline |= offline;
    let shown = Shown::new(&format!("fetching {source}"));
    let fetched = fetcher.fetch(source, &|event| shown.tell(event));
    shown.end();
    fetched
}
