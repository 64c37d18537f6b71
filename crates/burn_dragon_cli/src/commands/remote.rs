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
            true => Err(Usage(without("a remote model cannot be downloaded"))),
            false => Ok(path.clone()),
        }
    }

    /// Message about the missing feature.
    fn without(what: &str) -> String {
        format!(
            "{what}: this program was built without the feature `fetch`; build it with `cargo build --release -p burn_dragon_cli`"
        )
    }
}

#[cfg(not(feature = "fetch"))]
pub(super) use without::find;
