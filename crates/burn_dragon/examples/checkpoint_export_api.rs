//! Export and import of a model: written as a whole and in parts, assembled from parts as they arrive, verified.
//!
//! `cargo run --release --example checkpoint_export_api`

use burn::tensor::Device;
use burn_dragon::api::checkpoint::{
    Assembly, CheckpointError, ExportOptions, ModelFile, ModelInfo, PartsManifest, Provenance,
    StoredPrecision, export, read_parts,
};
use burn_dragon::api::core::{Dragon, DragonConfig};
use burn_dragon::api::language::{self, model_file, model_hash};
use std::fs::File;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::temp_dir().join(format!("checkpoint_export_api-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let shown = show(&folder);
    std::fs::remove_dir_all(&folder)?;
    shown
}

fn show(folder: &std::path::Path) -> Result<(), Box<dyn std::error::Error>> {
    // A model with its metadata: shape, steps, tokenizer, origin, licence.
    let device = Device::flex();
    let dragon = Dragon::new(&DragonConfig::small(), 1337, &device)?;
    let info = ModelInfo {
        provenance: Some(Provenance {
            data: Some("nothing: these are initial weights".into()),
            license: Some("CC0-1.0".into()),
            ..Provenance::default()
        }),
        ..ModelInfo::default()
    };
    let model = model_file(&dragon, info, Some(r#"{"type":"byte"}"#.into()));

    // One file, and the same model in parts of at most 256 KiB of tensors; both stored in bf16.
    let options = ExportOptions {
        precision: StoredPrecision::Bf16,
        max_part_bytes: Some(256 << 10),
        overwrite: true,
    };
    let exported = export(model, &folder.join("model.bpk"), options)?;
    println!(
        "{} bytes, {} parts, model {}",
        exported.bytes,
        exported.parts,
        &exported.model[..12]
    );

    // The whole file, verified by the hash in it.
    let whole = ModelFile::read(&exported.file)?;
    println!("the whole is the model: {}", whole.hash() == exported.model);

    // The parts, in any order in which they may arrive from a network: here the last comes first.
    let manifest_path = exported.manifest.ok_or("no parts were written")?;
    let mut assembly = Assembly::new(PartsManifest::read(&manifest_path)?, &manifest_path);
    for index in (0..exported.parts).rev() {
        let name = assembly.manifest().parts[index].path.clone();
        let came = assembly.add(index, File::open(folder.join(&name))?)?;
        println!(
            "{name}: {} of {} parts, {} of {} bytes",
            came.parts, came.of, came.bytes, came.total
        );
    }
    let dragon = language::dragon(assembly.finish()?, &manifest_path, &device)?;
    println!(
        "the parts are the model: {}",
        model_hash(&dragon) == exported.model
    );

    // A part with one changed bit is refused.
    let part = folder.join(burn_dragon::api::expert::checkpoint::part_name("model.bpk", 0));
    let mut bytes = std::fs::read(&part)?;
    bytes[1000] ^= 1;
    std::fs::write(&part, bytes)?;
    match read_parts(&manifest_path, |_| {}) {
        Err(error @ CheckpointError::Corrupt { .. }) => println!("refused: {error}"),
        other => return Err(format!("a damaged part was taken: {:?}", other.map(|model| model.info)).into()),
    }
    Ok(())
}
