use super::*;
use crate::picture::Colours;
use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};
use std::io::{Cursor, Write};
use std::path::PathBuf;
use zip::write::SimpleFileOptions;

const SHAPE: PictureShape = PictureShape {
    size: 4,
    colours: Colours::Gray,
};

/// A PNG of 4 x 4 pixels of one brightness.
fn png(brightness: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    PngEncoder::new(&mut bytes)
        .write_image(&[brightness; 16], 4, 4, ExtendedColorType::L8)
        .unwrap();
    bytes
}

type Named = (String, Vec<u8>);

fn named(name: &str, bytes: Vec<u8>) -> Named {
    (name.to_string(), bytes)
}

/// Two classes, two pictures of each in both parts; brightness says which is which.
fn small() -> Vec<Named> {
    let mut files = Vec::new();
    for (part, base) in [("train", 0), ("val", 100)] {
        for (class, number) in [("dog", 20), ("cat", 10)] {
            for file in [2, 1] {
                files.push(named(
                    &format!("{part}/{class}/{file}.png"),
                    png(base + number + file),
                ));
            }
        }
    }
    files
}

fn write_folder(folder: &Path, files: &[Named]) {
    for (name, bytes) in files {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

fn write_zip(path: &Path, files: &[Named]) {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        zip.start_file(name.as_str(), SimpleFileOptions::default())
            .unwrap();
        zip.write_all(bytes).unwrap();
    }
    std::fs::write(path, zip.finish().unwrap().into_inner()).unwrap();
}

fn of(path: &Path) -> FolderConfig {
    FolderConfig {
        path: Some(path.into()),
        ..FolderConfig::default()
    }
}

/// Brightness and label of every picture of a part.
fn content(part: &Part) -> Vec<(u8, Option<u32>)> {
    let all: Vec<usize> = (0..part.len()).collect();
    let examples = part.batch(&all).unwrap();
    examples
        .into_iter()
        .map(|example| (example.picture.pixels()[0], example.label))
        .collect()
}

fn refusal(config: &FolderConfig) -> String {
    config.load(SHAPE).map(|_| ()).unwrap_err().to_string()
}

#[test]
fn pictures_are_sorted_by_class_and_name() {
    let folder = tempfile::tempdir().unwrap();
    write_folder(folder.path(), &small());
    let pictures = of(folder.path()).load(SHAPE).unwrap();
    assert_eq!(pictures.classes, ["cat", "dog"]);
    assert_eq!(
        content(&pictures.train),
        [(11, Some(0)), (12, Some(0)), (21, Some(1)), (22, Some(1))]
    );
    assert_eq!(
        content(&pictures.validation),
        [(111, Some(0)), (112, Some(0)), (121, Some(1)), (122, Some(1))]
    );
    assert!(pictures.notes.is_empty());
}

#[test]
fn an_archive_holds_the_same_pictures_as_a_folder_under_any_folders() {
    let folder = tempfile::tempdir().unwrap();
    write_folder(&folder.path().join("plain"), &small());
    let packed: Vec<Named> = small()
        .into_iter()
        .map(|(name, bytes)| (format!("set/v1/{name}"), bytes))
        .collect();
    write_zip(&folder.path().join("all.zip"), &packed);
    let plain = of(&folder.path().join("plain")).load(SHAPE).unwrap();
    let packed = of(&folder.path().join("all.zip")).load(SHAPE).unwrap();
    assert_eq!(plain.hashes(), packed.hashes());
    assert_eq!(content(&plain.train), content(&packed.train));
}

#[test]
fn several_archives_give_the_parts_together_and_equal_names_are_other_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let paths: Vec<PathBuf> = ["b.zip", "a.zip", "c.zip"]
        .map(|name| folder.path().join(name))
        .into();
    write_zip(&paths[0], &[named("train/cat/0.png", png(1))]);
    write_zip(
        &paths[1],
        &[named("train/cat/0.png", png(2)), named("train/dog/0.png", png(3))],
    );
    write_zip(&paths[2], &[named("test/dog/0.png", png(4))]);
    let listed = FolderConfig {
        paths,
        ..FolderConfig::default()
    };
    let pictures = listed.load(SHAPE).unwrap();
    assert_eq!(
        content(&pictures.train),
        [(1, Some(0)), (2, Some(0)), (3, Some(1))]
    );
    assert_eq!(content(&pictures.validation), [(4, Some(1))]);
    // A folder of archives: in the order of their names.
    let pictures = of(folder.path()).load(SHAPE).unwrap();
    assert_eq!(
        content(&pictures.train),
        [(2, Some(0)), (1, Some(0)), (3, Some(1))]
    );
}

#[test]
fn without_folders_for_classes_pictures_have_no_labels() {
    let folder = tempfile::tempdir().unwrap();
    write_folder(
        folder.path(),
        &[named("train/a.png", png(1)), named("val/b.png", png(2))],
    );
    let pictures = of(folder.path()).load(SHAPE).unwrap();
    assert_eq!(content(&pictures.train), [(1, None)]);
    assert!(pictures.classes.is_empty() && pictures.train.labels().is_none());
    // With them, a file beside them is not read.
    let folder = tempfile::tempdir().unwrap();
    write_folder(folder.path(), &small());
    write_folder(
        folder.path(),
        &[named("train/readme.txt", b"cats and dogs".to_vec())],
    );
    let pictures = of(folder.path()).load(SHAPE).unwrap();
    assert_eq!((pictures.train.len(), pictures.notes.len()), (4, 0));
}

#[test]
fn a_corrupt_picture_is_named_and_skipped() {
    let folder = tempfile::tempdir().unwrap();
    write_folder(folder.path(), &small());
    let odd = [
        named("train/cat/0_empty.png", Vec::new()),
        named("train/cat/1a_cut.png", png(1)[..40].to_vec()),
        named("train/dog/notes.txt", b"my dogs".to_vec()),
        named("train/dog/.hidden.png", b"not counted".to_vec()),
    ];
    write_folder(folder.path(), &odd);
    let strict = of(folder.path());
    let error = refusal(&strict);
    assert!(
        error.starts_with("3 of 11 files skipped: ") && error.contains("dataset.max_skipped"),
        "{error}"
    );
    let lenient = FolderConfig {
        max_skipped: 0.3,
        ..strict
    };
    let pictures = lenient.load(SHAPE).unwrap();
    assert_eq!(
        content(&pictures.train),
        [(11, Some(0)), (12, Some(0)), (21, Some(1)), (22, Some(1))]
    );
    let [note] = pictures.notes.as_slice() else {
        panic!("{:?}", pictures.notes)
    };
    for part in [
        "0_empty.png is empty",
        "1a_cut.png cannot be decoded",
        "notes.txt is not a picture",
    ] {
        assert!(note.contains(part), "{note}");
    }
    assert!(!note.contains("hidden"), "{note}");
}

#[test]
fn many_skipped_files_are_counted_and_the_first_ones_named() {
    let folder = tempfile::tempdir().unwrap();
    write_folder(folder.path(), &small());
    let odd: Vec<Named> = (0..9)
        .map(|i| named(&format!("train/cat/x{i}.png"), Vec::new()))
        .collect();
    write_folder(folder.path(), &odd);
    let error = refusal(&of(folder.path()));
    assert!(
        error.contains("9 of 17 files") && error.contains("x4.png is empty; and 4 more"),
        "{error}"
    );
    assert!(!error.contains("x5.png"), "{error}");
}

#[test]
fn what_the_cache_does_not_hold_is_the_same_picture() {
    // Two of them fill a MiB, five of them two, and eight of them three.
    let large = PictureShape {
        size: 592,
        colours: Colours::Gray,
    };
    let folder = tempfile::tempdir().unwrap();
    write_folder(folder.path(), &small());
    let load = |cache_mib| {
        let config = FolderConfig {
            cache_mib,
            ..of(folder.path())
        };
        config.load(large).unwrap()
    };
    let whole = load(3);
    for (cache, held) in [(0, [0, 0]), (1, [2, 0]), (2, [4, 1]), (3, [4, 4])] {
        let pictures = load(cache);
        assert_eq!([pictures.train.held(), pictures.validation.held()], held);
        assert_eq!(pictures.hashes(), whole.hashes());
        assert_eq!(content(&pictures.train), content(&whole.train));
        assert_eq!(
            pictures.validation.get(3).unwrap(),
            whole.validation.get(3).unwrap()
        );
    }
}

#[test]
fn a_file_that_changed_during_the_run_is_named() {
    let folder = tempfile::tempdir().unwrap();
    write_folder(folder.path(), &small());
    let config = FolderConfig {
        cache_mib: 0,
        ..of(folder.path())
    };
    let pictures = config.load(SHAPE).unwrap();
    std::fs::write(folder.path().join("train/dog/1.png"), b"").unwrap();
    let error = pictures.train.batch(&[0, 2]).unwrap_err().to_string();
    assert!(
        error.contains("dog/1.png: is empty (when the run began, it was a picture)"),
        "{error}"
    );
    pictures.train.get(3).unwrap();
}

#[test]
fn hashes_follow_pixels_and_labels_not_names() {
    let hashes = |files: &[Named]| {
        let folder = tempfile::tempdir().unwrap();
        write_folder(folder.path(), files);
        of(folder.path()).load(SHAPE).unwrap().hashes()
    };
    let plain = hashes(&small());
    let renamed: Vec<Named> = small()
        .into_iter()
        .map(|(name, bytes)| (name.replace(".png", ".jpg"), bytes))
        .collect();
    assert_eq!(plain, hashes(&renamed));
    let mut other = small();
    other[0].1 = png(77);
    assert_ne!(plain.training, hashes(&other).training);
    assert_eq!(plain.validation, hashes(&other).validation);
    let mut moved = small();
    moved[0].0 = "train/cat/9.png".into();
    assert_ne!(plain.training, hashes(&moved).training);
}

#[test]
fn the_validation_part_is_the_first_of_its_names() {
    let folder = tempfile::tempdir().unwrap();
    write_folder(folder.path(), &small());
    write_folder(folder.path(), &[named("test/cat/1.png", png(250))]);
    let pictures = of(folder.path()).load(SHAPE).unwrap();
    assert_eq!(pictures.validation.len(), 4);
    assert_eq!(pictures.notes, ["test is not read: val is the validation part"]);
}

#[test]
fn folders_without_the_parts_are_refused_with_what_is_expected() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    assert!(refusal(&of(path)).contains("has neither a folder train nor ZIP archives"));
    write_folder(path, &[named("train/cat/1.png", png(1))]);
    let error = refusal(&of(path));
    assert!(
        error.contains("has no pictures in val, validation or test; expected train/CLASS/FILE"),
        "{error}"
    );
    write_folder(path, &[named("val/fox/1.png", png(1))]);
    let error = refusal(&of(path));
    assert!(
        error.contains("has validation pictures of the class fox, but no training pictures"),
        "{error}"
    );
    let missing = refusal(&of(&path.join("nowhere.zip")));
    assert!(
        missing.contains("cannot read") && missing.contains("nowhere.zip"),
        "{missing}"
    );
    std::fs::write(path.join("bad.zip"), b"PK no archive").unwrap();
    let bad = refusal(&of(&path.join("bad.zip")));
    assert!(bad.contains("bad.zip: cannot be read as a ZIP archive"), "{bad}");
}

#[test]
fn a_part_of_which_nothing_is_left_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let files = [
        named("train/cat/1.png", png(1)),
        named("val/cat/1.png", Vec::new()),
    ];
    write_folder(folder.path(), &files);
    let config = FolderConfig {
        max_skipped: 1.0,
        ..of(folder.path())
    };
    assert!(refusal(&config).contains("the validation part has no pictures"));
}

#[test]
fn settings_that_cannot_be_are_refused_by_their_key() {
    for (text, key) in [
        ("", "dataset.path is absent"),
        (
            "path = 'a'\npaths = ['b.zip']",
            "dataset.paths stands beside dataset.path",
        ),
        ("path = 'a'\ncache_mib = 9999999", "dataset.cache_mib is 9999999"),
        ("path = 'a'\nmax_pixels = 0", "dataset.max_pixels is 0"),
        ("path = 'a'\nmax_skipped = 1.5", "dataset.max_skipped is 1.5"),
    ] {
        let config: FolderConfig = toml::from_str(text).unwrap();
        let error = config.validate().unwrap_err().to_string();
        assert!(error.starts_with(key), "{error}");
    }
}
