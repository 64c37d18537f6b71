//! Files to a hub, as one commit.

use crate::support::impatient;
use burn_dragon_exchange::api::fetch::{FetchError, Hub, HubId, Upload, Uploaded, upload};
use burn_dragon_testing::server::{Reply, Request, Server};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const LARGE: &[u8] = b"weights, of which there are many";

fn oid() -> String {
    Sha256::digest(LARGE)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// What a test makes of the hub.
#[derive(Clone, Copy, Default)]
struct Kind {
    /// The repository is there already.
    exists: bool,
    /// The large file is there already.
    has_large: bool,
    /// Bytes of a chunk, where the hub wants chunks.
    chunks: Option<usize>,
    /// The status of the commit, where it fails.
    fails: Option<u16>,
    /// Its answers come byte by byte.
    drips: bool,
}

struct World {
    hub: Server,
    storage: Server,
    stored: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    folder: TempDir,
}

impl World {
    fn new(kind: Kind) -> Self {
        let stored = Arc::new(Mutex::new(BTreeMap::new()));
        let into = stored.clone();
        let storage = Server::start(move |request| {
            assert_eq!(request.method, "PUT");
            into.lock()
                .unwrap()
                .insert(request.path.clone(), request.body.clone());
            Reply::new(200, "").with("ETag", format!("\"etag of {}\"", request.path))
        });
        let store = storage.url("");
        let hub = Server::start(move |request| answer(kind, &store, request));
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("README.md"), "# A card\n").unwrap();
        std::fs::write(folder.path().join("model.bpk"), LARGE).unwrap();
        Self {
            hub,
            storage,
            stored,
            folder,
        }
    }

    fn upload(&self, token: Option<&str>) -> Result<Uploaded, FetchError> {
        let hub = Hub::new(&self.hub.url(""), token.map(str::to_string)).unwrap();
        let files: Vec<PathBuf> = ["README.md", "model.bpk"]
            .map(|name| self.folder.path().join(name))
            .into();
        let what = Upload {
            id: HubId::parse("owner/name").unwrap(),
            private: true,
            message: "A \"message\"".into(),
            files,
        };
        upload(&hub, &impatient(), &what, &|_| {})
    }

    fn body(&self, path: &str) -> String {
        let asked = self.hub.asked();
        let request = asked.iter().find(|request| request.path == path);
        String::from_utf8(request.unwrap_or_else(|| panic!("no {path}")).body.clone()).unwrap()
    }
}

/// The answers of a hub, by its documented interface.
fn answer(kind: Kind, store: &str, request: &Request) -> Reply {
    let json =
        |status, value: Value| Reply::new(status, value.to_string()).with("Content-Type", "application/json");
    if request.header("authorization") != Some("Bearer hf_secret") {
        return json(401, json!({"error": "Invalid credentials"}));
    }
    match request.path.as_str() {
        "/api/repos/create" if kind.exists => {
            json(409, json!({"error": "You already created this model repo"}))
        }
        "/api/repos/create" if kind.drips => {
            let mut reply = json(200, json!({"url": "x".repeat(3000)}));
            reply.slow = Some((Duration::from_millis(10), 1)); // never silent, and done in half a minute
            reply
        }
        "/api/repos/create" => json(200, json!({"url": "x"})),
        "/api/models/owner/name/preupload/main" => json(
            200,
            json!({"files": [
                {"path": "README.md", "uploadMode": "regular", "shouldIgnore": false},
                {"path": "model.bpk", "uploadMode": "lfs", "shouldIgnore": false},
            ]}),
        ),
        "/owner/name.git/info/lfs/objects/batch" => {
            let verify = format!("http://{}/verify", request.header("host").unwrap());
            let upload = match kind.chunks {
                None => json!({"href": format!("{store}/one?sig=1"), "header": {"X-Stored": "yes"}}),
                Some(size) => {
                    let mut header = json!({"chunk_size": size.to_string()});
                    for number in 1..=LARGE.len().div_ceil(size) {
                        header[format!("{number:05}")] =
                            json!(format!("{store}/chunk-{number}?sig={number}"));
                    }
                    json!({"href": format!("http://{}/complete", request.header("host").unwrap()), "header": header})
                }
            };
            let actions = match kind.has_large {
                true => json!({}),
                false => json!({"upload": upload, "verify": {"href": verify}}),
            };
            json(
                200,
                json!({"transfer": "basic", "objects": [{"oid": oid(), "size": LARGE.len(), "actions": actions}]}),
            )
        }
        "/verify" | "/complete" => json(200, json!({})),
        "/api/models/owner/name/commit/main" => match kind.fails {
            Some(status) => json(status, json!({"error": "the card is\u{1b}[31m wrong"})),
            None => json(200, json!({"commitOid": "c0ffee", "commitUrl": "x"})),
        },
        _ => Reply::new(404, ""),
    }
}

#[test]
fn small_files_go_into_the_commit_and_large_ones_before_it() {
    for exists in [false, true] {
        let world = World::new(Kind {
            exists,
            ..Kind::default()
        });
        let uploaded = world.upload(Some("hf_secret")).unwrap();
        assert_eq!(uploaded.commit, "c0ffee");
        assert!(uploaded.address.ends_with("/owner/name"));
        let created: Value = serde_json::from_str(&world.body("/api/repos/create")).unwrap();
        assert_eq!(
            created,
            json!({"type": "model", "organization": "owner", "name": "name", "private": true})
        );
        assert_eq!(world.stored.lock().unwrap()["/one?sig=1"], LARGE);
        let commit = world.body("/api/models/owner/name/commit/main");
        let lines: Vec<Value> = commit
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(
            lines,
            [
                json!({"key": "header", "value": {"summary": "A \"message\"", "description": ""}}),
                json!({"key": "file", "value": {"path": "README.md", "content": "IyBBIGNhcmQK", "encoding": "base64"}}),
                json!({"key": "lfsFile", "value": {"path": "model.bpk", "algo": "sha256", "oid": oid(), "size": LARGE.len()}}),
            ]
        );
        let verified: Value = serde_json::from_str(&world.body("/verify")).unwrap();
        assert_eq!(verified, json!({"oid": oid(), "size": LARGE.len()}));
    }
}

#[test]
fn the_storage_never_hears_the_token_but_what_the_hub_gave_for_it() {
    let world = World::new(Kind::default());
    world.upload(Some("hf_secret")).unwrap();
    let asked = world.storage.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].header("authorization"), None);
    assert_eq!(asked[0].header("x-stored"), Some("yes"));
}

#[test]
fn a_large_file_goes_in_chunks_where_the_hub_wants_them() {
    let world = World::new(Kind {
        chunks: Some(10),
        ..Kind::default()
    });
    world.upload(Some("hf_secret")).unwrap();
    let stored = world.stored.lock().unwrap();
    let whole: Vec<u8> = (1..=4)
        .flat_map(|number| stored[&format!("/chunk-{number}?sig={number}")].clone())
        .collect();
    assert_eq!(whole, LARGE);
    let complete: Value = serde_json::from_str(&world.body("/complete")).unwrap();
    assert_eq!(
        complete["parts"][3],
        json!({"partNumber": 4, "etag": "\"etag of /chunk-4?sig=4\""})
    );
}

#[test]
fn a_large_file_that_the_hub_has_is_not_sent_again() {
    let world = World::new(Kind {
        has_large: true,
        ..Kind::default()
    });
    world.upload(Some("hf_secret")).unwrap();
    assert!(world.storage.asked().is_empty());
    assert!(world.body("/api/models/owner/name/commit/main").contains(&oid()));
}

#[test]
fn a_refusal_is_told_in_the_hubs_words_without_what_a_terminal_would_act_on() {
    let world = World::new(Kind {
        fails: Some(400),
        ..Kind::default()
    });
    let error = world.upload(Some("hf_secret")).unwrap_err().to_string();
    assert!(
        error.contains("400") && error.contains("the card is") && !error.contains('\u{1b}'),
        "{error}"
    );
}

#[test]
fn without_a_token_that_may_write_nothing_is_sent() {
    let world = World::new(Kind::default());
    let error = world.upload(None).unwrap_err();
    assert!(
        matches!(error, FetchError::Denied { .. }) && error.to_string().contains("HF_TOKEN"),
        "{error}"
    );
    assert!(world.hub.asked().is_empty());
    let error = world.upload(Some("wrong")).unwrap_err().to_string();
    assert!(
        error.contains("HF_TOKEN") && error.contains("Invalid credentials"),
        "{error}"
    );
    assert!(world.storage.asked().is_empty());
}

#[test]
fn a_hub_that_drips_does_not_hold_its_client() {
    let kind = Kind {
        drips: true,
        ..Kind::default()
    };
    let start = Instant::now();
    World::new(kind).upload(Some("hf_secret")).unwrap();
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
}
