//! Characters of Omniglot, read from its archive.

use burn_dragon_vision::api::{Colours, Picture};
use std::error::Error;
use std::io::Read;
use std::path::Path;

/// Names and first drawings of characters spread over the alphabets, bright on dark.
pub(crate) fn characters(folder: &Path, count: usize) -> Result<Vec<(String, Picture)>, Box<dyn Error>> {
    let file = std::fs::File::open(folder.join("images_background_small1.zip"))?;
    let mut archive = zip::ZipArchive::new(file)?;
    let mut names: Vec<String> = archive
        .file_names()
        .filter(|name| name.ends_with("_01.png"))
        .map(String::from)
        .collect();
    names.sort_unstable();
    let step = (names.len() / count).max(1);
    let chosen: Vec<String> = names.into_iter().step_by(step).take(count).collect();
    chosen
        .into_iter()
        .map(|name| Ok((short(&name), picture(&mut archive, &name)?)))
        .collect()
}

/// `Alphabet/character`.
fn short(name: &str) -> String {
    let parts: Vec<&str> = name.split('/').collect();
    parts[1..parts.len() - 1].join("/")
}

fn picture(archive: &mut zip::ZipArchive<std::fs::File>, name: &str) -> Result<Picture, Box<dyn Error>> {
    let mut bytes = Vec::new();
    archive.by_name(name)?.read_to_end(&mut bytes)?;
    let gray = image::load_from_memory(&bytes)?.to_luma8();
    let (width, height) = (gray.width() as usize, gray.height() as usize);
    let pixels = gray.into_raw().into_iter().map(|ink| 255 - ink).collect();
    Ok(Picture::new(height, width, Colours::Gray, pixels))
}
