//! A model as it is handed out: one self-describing file, and that file in parts.
//!
//! ```text
//! model.bpk                  the whole
//! model.bpk.parts.json       what the parts are: names, bytes, hashes, tensors
//! model.bpk.page.json        for a web page: what the model is, before any of it is fetched (feature `web`)
//! model.bpk.part-00000.bpk   each a complete burnpack: some whole tensors, and everything the model says of itself
//! ```
//!
//! Parts are for those who fetch: several at once, each checked by itself, and none of them twice after a cut. They are
//! taken in any order ([`Assembly`]); a model comes out only when every tensor came exactly once and the model is, by
//! its [hash](crate::model::ModelFile::hash), the one that was taken apart.

mod assembly;
mod export;
mod manifest;
#[cfg(feature = "web")]
mod page;

pub use assembly::{Assembly, PartsProgress, read_parts};
pub use export::{ExportOptions, Exported, PART, export, export_name};
pub use manifest::{MAX_MANIFEST, MAX_PARTS, PartEntry, PartsManifest, manifest_of, part_name};
#[cfg(feature = "web")]
pub use page::{ManifestEntry, PageHead, PageIndex};

#[cfg(test)]
mod tests;
