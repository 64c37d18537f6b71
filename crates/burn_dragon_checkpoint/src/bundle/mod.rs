//! Export of a model: one self-describing file, and the same model in parts.
//!
//! ```text
//! model.bpk                  the whole
//! model.bpk.parts.json       what the parts are: names, bytes, hashes, tensors
//! model.bpk.page.json        for a web page: what the model is, before any of it is fetched (feature `web`)
//! model.bpk.part-00000.bpk   each a complete burnpack: some whole tensors, and all metadata of the model
//! ```
//!
//! Parts are made for downloads. Several are fetched at once, each is checked by itself, and after an interruption no
//! part is fetched twice. They are added in any order ([`Assembly`]). The assembly returns a model only when every
//! tensor came exactly once and the [hash](crate::model::ModelFile::hash) of the model is that in the manifest.

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
