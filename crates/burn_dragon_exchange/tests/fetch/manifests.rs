//! Manifests that reach for more than files beside them.

use crate::support::{Model, Place, sealed};
use burn_dragon_testing::server::{Files, Reply, Server};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const BPK: &str = "/m/model.bpk";
const MANIFEST: &str = "/m/model.bpk.parts.json";

/// A server with a model in parts, whose manifest was changed.
fn with(model: &Model, change: impl Fn(&mut Value)) -> Server {
    let files = Files::default();
    model.in_parts(&files, "/m");
    let mut manifest = serde_json::from_slice(&model.manifest).unwrap();
    change(&mut manifest);
    files.put(MANIFEST, sealed(&manifest));
    Server::of(&files)
}

/// A manifest is refused with these words, before any part is asked for.
#[track_caller]
fn refused(change: impl Fn(&mut Value), says: &str) {
    let (place, model) = (Place::new(), Model::new(1));
    let server = with(&model, change);
    assert!(
        place
            .refuses(&server.url(BPK), &["parts.json", says])
            .is_bad_input()
    );
    assert_eq!(server.lines(), ["GET /m/model.bpk.parts.json"]);
}

#[test]
fn names_that_are_no_plain_names_are_refused_and_never_followed() {
    for name in [
        "../x",
        "..",
        "a/../../x",
        "/etc/passwd",
        "//host/share",
        "http://127.0.0.1/x",
        "file:///etc/passwd",
        "C:\\x",
        "C:x",
        "\\\\host\\share",
        "a\\b",
        "a/b",
        "a\0b",
        ".hidden",
        "~root",
        "CON",
        "com1.bpk",
        "a b",
        "%2e%2e%2fx",
        "",
    ] {
        refused(
            |manifest| manifest["parts"][1]["path"] = json!(name),
            "plain file name",
        );
    }
    refused(
        |manifest| manifest["parts"][0]["path"] = json!("x".repeat(1 << 20)),
        "plain file name",
    );
    refused(
        |manifest| manifest["source_file"] = json!("../model.bpk"),
        "plain file name",
    );
}

#[test]
fn a_part_without_a_hash_is_refused() {
    for hash in ["", "0", "ZZ", &"A".repeat(64)] {
        refused(
            |manifest| manifest["parts"][0]["sha256"] = json!(hash),
            "hexadecimal",
        );
    }
    refused(
        |manifest| {
            manifest["parts"][0].as_object_mut().unwrap().remove("sha256");
        },
        "sha256",
    );
    refused(|manifest| manifest["parts"][0]["sha256"] = Value::Null, "null");
}

#[test]
fn a_part_that_is_there_twice_is_refused() {
    refused(
        |manifest| {
            let part = manifest["parts"][0].clone();
            manifest["parts"].as_array_mut().unwrap().push(part);
        },
        "twice",
    );
}

#[test]
fn a_million_parts_are_refused() {
    let (place, files) = (Place::new(), Files::default());
    let part = json!({"path": "x.bpk", "bytes": 1, "sha256": "0".repeat(64), "tensors": ["a"]}).to_string();
    let parts = vec![part; 1_000_000].join(",");
    files.put(MANIFEST, format!("{{\"version\":1,\"parts\":[{parts}]}}"));
    let server = Server::of(&files);
    assert!(place.refuses(&server.url(BPK), &["longer than"]).is_bad_input());
    assert_eq!(server.lines().len(), 1);
    // Within the bound of its length, but more than there may be.
    refused(
        |manifest| {
            let parts = manifest["parts"].as_array_mut().unwrap();
            let parts_of = |index: usize| json!({"path": format!("{index}"), "bytes": 1, "sha256": "0".repeat(64), "tensors": [index.to_string()]});
            parts.extend((0..5000).map(parts_of));
        },
        "4096",
    );
}

#[test]
fn a_part_that_takes_the_name_of_its_manifest_is_refused() {
    refused(
        |manifest| manifest["parts"][0]["path"] = json!("model.bpk.parts.json"),
        "itself",
    );
}

#[test]
fn sizes_beyond_the_bound_are_refused_before_anything_is_taken() {
    for bytes in [1u64 << 40, u64::MAX] {
        refused(
            |manifest| {
                manifest["parts"][0]["bytes"] = json!(bytes);
                manifest["parts"][1]["bytes"] = json!(bytes);
            },
            "at most",
        );
    }
}

#[test]
fn a_manifest_that_was_changed_on_its_way_is_refused() {
    let (place, model, files) = (Place::new(), Model::new(1), Files::default());
    let text = String::from_utf8(model.manifest.clone()).unwrap();
    files.put(MANIFEST, text.replace("\"version\": 1", "\"version\":  1"));
    let server = Server::of(&files);
    assert!(
        place
            .refuses(&server.url(BPK), &["parts.json", "changed or damaged"])
            .is_bad_input()
    );
}

#[test]
fn an_endless_manifest_is_refused() {
    let place = Place::new();
    let server = Server::start(|_| {
        let mut reply = Reply::new(200, " ".repeat(1 << 16));
        reply.endless = true;
        reply
    });
    assert!(place.refuses(&server.url(BPK), &["longer than"]).is_bad_input());
    assert!(server.sent() < 64 << 20);
}

#[test]
fn a_part_of_another_model_is_refused() {
    let (place, model, other) = (Place::new(), Model::new(1), Model::new(2));
    let files = Files::default();
    model.in_parts(&files, "/m");
    files.put("/m/model.bpk.part-00001.bpk", other.parts[1].1.clone());
    let server = Server::of(&files);
    assert!(
        place
            .refuses(&server.url(BPK), &["part-00001", "sha256"])
            .is_bad_input()
    );
    // With the stranger's hash in the manifest, the whole does not fit together.
    let place = Place::new();
    let mut manifest: Value = serde_json::from_slice(&model.manifest).unwrap();
    let theirs: Value = serde_json::from_slice(&other.manifest).unwrap();
    manifest["parts"][1] = theirs["parts"][1].clone();
    files.put(MANIFEST, sealed(&manifest));
    assert!(place.refuses(&server.url(BPK), &["refused"]).is_bad_input());
}

#[test]
fn a_part_that_is_not_there_is_the_manifests_fault() {
    let (place, model, files) = (Place::new(), Model::new(1), Files::default());
    model.in_parts(&files, "/m");
    files.remove("/m/model.bpk.part-00001.bpk");
    let server = Server::of(&files);
    assert!(
        place
            .refuses(&server.url(BPK), &["part-00001", "404"])
            .is_bad_input()
    );
}

#[test]
fn a_part_that_is_not_given_out_is_the_manifests_fault_too() {
    let (place, model, files) = (Place::new(), Model::new(1), Files::default());
    model.in_parts(&files, "/m");
    model.whole(&files, "/m");
    let server = Server::start(move |request| match request.path.ends_with("part-00001.bpk") {
        true => Reply::new(403, ""),
        false => files.reply(request),
    });
    assert!(
        place
            .refuses(&server.url(BPK), &["part-00001", "403", "HF_TOKEN"])
            .is_bad_input()
    );
}

#[test]
fn a_manifest_that_drips_is_given_up() {
    let (mut place, model, files) = (Place::new(), Model::new(1), Files::default());
    place.fetcher.limits.silence = Duration::from_millis(400);
    model.in_parts(&files, "/m");
    let server = Server::start(move |request| {
        let mut reply = files.reply(request);
        reply.slow = Some((Duration::from_millis(20), 1)); // never silent, and done in a minute
        reply
    });
    let start = Instant::now();
    place.refuses(&server.url(BPK), &["bytes in"]);
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[test]
fn a_manifest_that_takes_too_long_is_given_up_however_steadily_it_comes() {
    let mut place = Place::new();
    place.fetcher.limits.silence = Duration::from_millis(100);
    place.fetcher.limits.tries = 2;
    let server = Server::start(|_| {
        let mut reply = Reply::new(200, " ".repeat(1024));
        (reply.endless, reply.slow) = (true, Some((Duration::from_millis(10), 1024)));
        reply
    });
    let start = Instant::now();
    place.refuses(&server.url(BPK), &["cannot fetch"]);
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[test]
fn names_that_the_cache_uses_itself_do_no_harm() {
    for name in [
        "lock",
        "record.json",
        "of",
        "coming",
        "files",
        "0",
        "0.from",
        "draft",
    ] {
        let (place, model, files) = (Place::new(), Model::new(1), Files::default());
        let mut manifest: Value = serde_json::from_slice(&model.manifest).unwrap();
        manifest["parts"][0]["path"] = json!(name);
        model.in_parts(&files, "/m");
        files.put(MANIFEST, sealed(&manifest));
        files.put(&format!("/m/{name}"), model.parts[0].1.clone());
        let server = Server::of(&files);
        place.gives(&server.url(BPK), &model);
        let again = place.gives(&server.url(BPK), &model);
        assert!(again.cached);
    }
}
