//! A hub's layout: revisions, commits, large files elsewhere, tokens.

use crate::support::{Model, Place, kinds};
use burn_dragon_exchange::api::ModelPath;
use burn_dragon_exchange::api::fetch::FetchError;
use burn_dragon_testing::server::{Files, Reply, Request, Server};
use sha2::{Digest, Sha256};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// A hub that gives small files itself and sends to another server for `.bpk` and `.safetensors`, as hubs do. The files
/// of a repository lie under its id; every revision is the one commit.
fn hub(files: &Files, elsewhere: &Server) -> Server {
    let (files, elsewhere) = (files.clone(), elsewhere.url(""));
    Server::start(move |request| {
        let Some((id, name)) = address(request) else {
            return Reply::new(404, "");
        };
        let path = format!("{id}/{name}");
        let asked = Request {
            path: path.clone(),
            ..request.clone()
        };
        let whole = files.reply(&Request {
            path: path.clone(),
            ..Request::default()
        });
        if whole.status == 404 {
            return whole;
        }
        let large = name.ends_with(".bpk") || name.ends_with(".safetensors");
        let reply = match large {
            true => Reply::redirect(format!("{elsewhere}{path}?signature=secret"))
                .with("X-Linked-Size", whole.body.len().to_string())
                .with("X-Linked-ETag", format!("\"{}\"", hex(&whole.body))),
            false => files.reply(&asked),
        };
        reply.with("X-Repo-Commit", COMMIT)
    })
}

/// `/owner/name/resolve/revision/file` as `/owner/name` and `file`.
fn address(request: &Request) -> Option<(String, String)> {
    let (id, rest) = request.path.split_once("/resolve/")?;
    let (_, name) = rest.split_once('/')?;
    Some((id.to_string(), name.to_string()))
}

/// The server for large files.
fn storage(files: &Files) -> Server {
    let files = files.clone();
    Server::start(move |request| {
        let path = request.path.split('?').next().unwrap().to_string();
        files.reply(&Request {
            path,
            ..request.clone()
        })
    })
}

#[test]
fn a_repository_is_fetched_by_its_id_and_the_token_stays_with_the_hub() {
    for parts in [true, false] {
        let (model, files) = (Model::new(1), Files::default());
        match parts {
            true => model.in_parts(&files, "/owner/name"),
            false => model.whole(&files, "/owner/name"),
        }
        let storage = storage(&files);
        let hub = hub(&files, &storage);
        let place = Place::with_hub(&hub.url(""), Some("hf_secret"));
        let fetched = place.gives("owner/name", &model);
        assert_eq!(fetched.commit.as_deref(), Some(COMMIT));
        assert!(hub.lines()[0].starts_with("GET /owner/name/resolve/main/model.bpk.parts.json"));
        for request in hub.asked() {
            assert_eq!(request.header("authorization"), Some("Bearer hf_secret"));
        }
        assert!(!storage.asked().is_empty());
        for request in storage.asked() {
            assert_eq!(request.header("authorization"), None);
        }
        if parts {
            // All parts are of the commit that the manifest is of, wherever the branch goes meanwhile.
            let part = format!("GET /owner/name/resolve/{COMMIT}/model.bpk.part-00000.bpk");
            assert!(hub.lines().contains(&part), "{:?}", hub.lines());
        }
    }
}

#[test]
fn an_address_that_is_not_the_hubs_never_hears_the_token() {
    let (model, files) = (Model::new(1), Files::default());
    model.whole(&files, "/m");
    let server = Server::of(&files);
    let hub = Server::of(&Files::default());
    let place = Place::with_hub(&hub.url(""), Some("hf_secret"));
    place.gives(&server.url("/m/model.bpk"), &model);
    assert!(
        server
            .asked()
            .iter()
            .all(|request| request.header("authorization").is_none())
    );
}

#[test]
fn a_redirect_back_to_the_hub_hears_the_token_and_one_to_another_port_does_not() {
    let (model, files) = (Model::new(1), Files::default());
    model.whole(&files, "/o/n/resolve/main");
    let other = storage(&files);
    let elsewhere = other.url("");
    let hub = Server::start(move |request| match request.path.ends_with(".json") {
        true => Reply::new(404, ""),
        false => Reply::redirect(format!("{elsewhere}{}", request.path)),
    });
    Place::with_hub(&hub.url(""), Some("hf_secret")).gives("o/n", &model);
    assert!(
        other
            .asked()
            .iter()
            .all(|request| request.header("authorization").is_none())
    );
    assert!(
        hub.asked()
            .iter()
            .all(|request| request.header("authorization").is_some())
    );
}

#[test]
fn an_unchanged_repository_is_not_fetched_again_and_large_files_are_known_by_the_hubs_word() {
    for parts in [true, false] {
        let (model, files) = (Model::new(1), Files::default());
        match parts {
            true => model.in_parts(&files, "/owner/name"),
            false => model.whole(&files, "/owner/name"),
        }
        let storage = storage(&files);
        let hub = hub(&files, &storage);
        let place = Place::with_hub(&hub.url(""), None);
        place.gives("owner/name", &model);
        let sent = storage.sent();
        assert!(place.gives("owner/name", &model).cached);
        assert_eq!(storage.sent(), sent);
    }
}

#[test]
fn a_commit_that_is_in_the_cache_asks_nobody() {
    let (model, files) = (Model::new(1), Files::default());
    model.in_parts(&files, "/owner/name");
    let storage = storage(&files);
    let hub = hub(&files, &storage);
    let place = Place::with_hub(&hub.url(""), None);
    let id = format!("owner/name@{COMMIT}");
    place.gives(&id, &model);
    let asked = hub.asked().len();
    assert!(place.gives(&id, &model).cached);
    assert_eq!(hub.asked().len(), asked);
}

#[test]
fn a_revision_is_asked_for_by_its_name() {
    let (model, files) = (Model::new(1), Files::default());
    model.whole(&files, "/owner/name");
    let storage = storage(&files);
    let hub = hub(&files, &storage);
    let place = Place::with_hub(&hub.url(""), None);
    place.gives("owner/name@v1.0", &model);
    place.gives("owner/name@refs/pr/7", &model);
    let lines = hub.lines().join("\n");
    assert!(
        lines.contains("/resolve/v1.0/") && lines.contains("/resolve/refs%2Fpr%2F7/"),
        "{lines}"
    );
}

#[test]
fn a_large_file_that_is_not_what_the_hub_says_is_refused() {
    let (model, other, files, wrong) = (Model::new(1), Model::new(2), Files::default(), Files::default());
    model.whole(&files, "/owner/name");
    other.whole(&wrong, "/owner/name");
    let storage = storage(&wrong);
    let hub = hub(&files, &storage);
    let place = Place::with_hub(&hub.url(""), None);
    assert!(
        place
            .refuses("owner/name", &["sha256", &hex(&model.bytes)])
            .is_bad_input()
    );
    assert_eq!(place.drafted(), 0);
}

#[test]
fn official_weights_come_with_their_configuration() {
    let (model, files) = (Model::new(1), Files::default());
    let (official, config) = model.official();
    files.put("/o/n/model.safetensors", official);
    files.put("/o/n/config.json", config);
    let storage = storage(&files);
    let hub = hub(&files, &storage);
    let place = Place::with_hub(&hub.url(""), None);
    let fetched = place.fetch("o/n").unwrap();
    let path = ModelPath {
        path: fetched.path,
        official_config: fetched.config,
        ..ModelPath::default()
    };
    assert_eq!(path.load(&kinds()).unwrap().model.hash(), model.hash);
    assert!(path.official_config.unwrap().ends_with("config.json"));
}

#[test]
fn a_private_repository_asks_for_a_token_and_a_missing_one_is_named() {
    let hub = Server::start(|_| Reply::new(401, ""));
    let error = Place::with_hub(&hub.url(""), None).refuses("owner/name", &["401", "HF_TOKEN"]);
    assert!(matches!(error, FetchError::Denied { .. }) && !error.is_bad_input());
    Place::with_hub(&hub.url(""), Some("x")).refuses("owner/name", &["not allowed to read"]);
    let hub = Server::of(&Files::default());
    Place::with_hub(&hub.url(""), None).refuses("owner/name", &["model.bpk", "OWNER/NAME", "no such path"]);
}
