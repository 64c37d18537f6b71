//! Location of MODEL: a remote one is downloaded into the cache first.

#[cfg(feature = "fetch")]
mod fetched;
#[cfg(feature = "fetch")]
mod shown;

#[cfg(feature = "fetch")]
pub(super) use fetched::{fetch, find};
#[cfg(feature = "fetch")]
pub(super) use shown::Shown;

#[cfg(not(feature = "fetch"))]
mod without {
    use crate::exit::Usage;
    use burn_dragon::api::exchange::ModelPath;

    /// Path of a model on this machine; this build knows no other.
    pub(in crate::commands) fn find(path: &ModelPath, _offline: bool) -> Result<ModelPath, Usage> {
        match path.path.to_string_lossy().contains("://") {
            true => Err(Usage(without("an address cannot be fetched"))),
            false => Ok(path.clone()),
        }
    }

    /// What is missing, and how to get it.
    fn without(what: &str) -> String {
        format!(
            "{what}: this program was built without `fetch`; cargo build --release -p burn_dragon_cli has it"
        )
    }
}

#[cfg(not(feature = "fetch"))]
pub(super) use without::find;
