//! A cache of its own for each test, and models to give out.

use burn::tensor::Device;
use burn_dragon_checkpoint::api::expert::sha256;
use burn_dragon_checkpoint::api::{
    ExportOptions, Kinds, ModelFile, ModelInfo, ModelKind, PartsManifest, export,
};
use burn_dragon_core::api::{Dragon, DragonConfig};
use burn_dragon_exchange::api::fetch::{Event, FetchError, Fetched, Fetcher, Hub, Limits, Source};
use burn_dragon_exchange::api::{ModelPath, OfficialConfig, write_safetensors};
use burn_dragon_language::api::{LANGUAGE, model_file};
use burn_dragon_testing::server::Files;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;
use tempfile::TempDir;

/// The families that are known.
pub(crate) fn kinds() -> Kinds {
    Kinds::new([&LANGUAGE as &dyn ModelKind])
}

/// A cache that is gone with the test, and what is asked of it.
pub(crate) struct Place {
    _folder: TempDir,
    pub(crate) fetcher: Fetcher,
    pub(crate) events: Mutex<Vec<Event>>,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self::with_hub("http://127.0.0.1:9", None)
    }

    pub(crate) fn with_hub(endpoint: &str, token: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let fetcher = Fetcher {
            cache: folder.path().join("cache"),
            hub: Hub::new(endpoint, token.map(str::to_string)).unwrap(),
            offline: false,
            limits: impatient(),
        };
        Self {
            _folder: folder,
            fetcher,
            events: Mutex::default(),
        }
    }

    pub(crate) fn fetch(&self, given: &str) -> Result<Fetched, FetchError> {
        let source = Source::remote(given, None)?;
        self.fetcher
            .fetch(&source, &|event| self.events.lock().unwrap().push(event))
    }

    /// Fetched, and what was fetched is this model.
    #[track_caller]
    pub(crate) fn gives(&self, given: &str, model: &Model) -> Fetched {
        let fetched = self.fetch(given).unwrap();
        assert_eq!(
            ModelPath::new(&fetched.path).load(&kinds()).unwrap().model.hash(),
            model.hash
        );
        fetched
    }

    /// Refused with these words, and nothing of it can be seen or used.
    #[track_caller]
    pub(crate) fn refuses(&self, given: &str, says: &[&str]) -> FetchError {
        let error = self.fetch(given).unwrap_err();
        let text = error.to_string();
        for part in says {
            assert!(text.contains(part), "`{part}` is not in: {text}");
        }
        assert_eq!(self.visible(), Vec::<PathBuf>::new(), "{text}");
        error
    }

    /// Files that a person or a loader could take for fetched ones: all but locks and drafts.
    pub(crate) fn visible(&self) -> Vec<PathBuf> {
        let is_seen = |path: &PathBuf| {
            !path.ends_with("lock") && !path.components().any(|part| part.as_os_str() == "draft")
        };
        self.all().into_iter().filter(is_seen).collect()
    }

    /// All files of the cache.
    pub(crate) fn all(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        walk(&self.fetcher.cache, &mut files);
        files
    }

    /// The one file of a draft with this name, which a killed process would have left.
    #[track_caller]
    pub(crate) fn coming(&self, name: &str) -> PathBuf {
        let mut files = self.all();
        files.retain(|path| path.ends_with(Path::new("draft/coming").join(name)));
        assert_eq!(files.len(), 1, "{name} in {:?}", self.all());
        files.remove(0)
    }

    /// Bytes of drafts.
    pub(crate) fn drafted(&self) -> u64 {
        let coming = self
            .all()
            .into_iter()
            .filter(|path| path.to_string_lossy().contains("coming"));
        let is_data = |path: &PathBuf| {
            !path.to_string_lossy().ends_with(".from") && !path.to_string_lossy().ends_with(".plan")
        };
        coming
            .filter(is_data)
            .map(|path| path.metadata().unwrap().len())
            .sum()
    }
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.path() {
            path if path.is_dir() => walk(&path, files),
            path => files.push(path),
        }
    }
}

/// Bounds that a test can wait for.
pub(crate) fn impatient() -> Limits {
    Limits {
        connect: Duration::from_secs(5),
        silence: Duration::from_millis(1500),
        pause: Duration::from_millis(1),
        longest_pause: Duration::from_millis(300),
        tries: 4,
        ..Limits::default()
    }
}

/// A model as its files.
pub(crate) struct Model {
    pub(crate) bytes: Vec<u8>,
    pub(crate) manifest: Vec<u8>,
    pub(crate) parts: Vec<(String, Vec<u8>)>,
    pub(crate) hash: String,
}

impl Model {
    pub(crate) fn new(seed: u64) -> Self {
        let config = DragonConfig {
            n_neurons: 64,
            d_model: 16,
            ..DragonConfig::tiny()
        };
        let dragon = Dragon::new(&config, seed, &Device::flex()).unwrap();
        let file = model_file(&dragon, ModelInfo::default(), Some(r#"{"type":"byte"}"#.into()));
        let folder = tempfile::tempdir().unwrap();
        let options = ExportOptions {
            max_part_bytes: Some(8 << 10),
            ..ExportOptions::default()
        };
        let exported = export(file, &folder.path().join("model.bpk"), options).unwrap();
        let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
        let parts = (0..exported.parts).map(|index| {
            let name = format!("model.bpk.part-{index:05}.bpk");
            (name.clone(), read(&name))
        });
        Self {
            parts: parts.collect(),
            bytes: read("model.bpk"),
            manifest: read("model.bpk.parts.json"),
            hash: exported.model,
        }
    }

    /// The same as official weights, with their configuration.
    pub(crate) fn official(&self) -> (Vec<u8>, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("model.bpk"), &self.bytes).unwrap();
        let file = ModelFile::read(&path("model.bpk")).unwrap();
        write_safetensors(&file, &path("model.safetensors")).unwrap();
        let config = serde_json::to_string(&OfficialConfig::of_model(&file).unwrap()).unwrap();
        (std::fs::read(path("model.safetensors")).unwrap(), config)
    }

    /// Gives it out whole, in this folder of a server.
    pub(crate) fn whole(&self, files: &Files, folder: &str) {
        files.put(&format!("{folder}/model.bpk"), self.bytes.clone());
    }

    /// Gives it out in parts only.
    pub(crate) fn in_parts(&self, files: &Files, folder: &str) {
        files.put(&format!("{folder}/model.bpk.parts.json"), self.manifest.clone());
        for (name, bytes) in &self.parts {
            files.put(&format!("{folder}/{name}"), bytes.clone());
        }
    }
}

/// The text of a manifest as a liar would write it: under a hash of its own, if it is one at all.
pub(crate) fn sealed(manifest: &serde_json::Value) -> String {
    let Ok(mut manifest) = serde_json::from_value::<PartsManifest>(manifest.clone()) else {
        return manifest.to_string();
    };
    let text = |manifest: &PartsManifest| serde_json::to_string_pretty(manifest).unwrap() + "\n";
    manifest.manifest_sha256 = "0".repeat(64);
    manifest.manifest_sha256 = sha256(text(&manifest).as_bytes());
    text(&manifest)
}
