//! What is fetched once.

use crate::support::{Model, Place};
use burn_dragon_exchange::api::fetch::{Event, FetchError, Source};
use burn_dragon_testing::server::{Files, Reply, Server};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

const BPK: &str = "/m/model.bpk";

fn given_out(model: &Model, parts: bool) -> (Files, Server) {
    let files = Files::default();
    match parts {
        true => model.in_parts(&files, "/m"),
        false => model.whole(&files, "/m"),
    }
    let server = Server::of(&files);
    (files, server)
}

#[test]
fn a_model_that_is_still_the_newest_is_not_fetched_again() {
    for parts in [true, false] {
        let (place, model) = (Place::new(), Model::new(1));
        let (_, server) = given_out(&model, parts);
        let first = place.gives(&server.url(BPK), &model);
        let (sent, asked) = (server.sent(), server.asked().len());
        let again = place.gives(&server.url(BPK), &model);
        assert!(again.cached && !first.cached);
        assert_eq!(again.path, first.path);
        assert_eq!(server.sent(), sent);
        let asked = server.asked().split_off(asked);
        assert_eq!(asked.len(), 1);
        assert!(asked[0].header("if-none-match").is_some());
    }
}

#[test]
fn a_new_version_is_fetched_and_lies_beside_the_old_one() {
    for parts in [true, false] {
        let (place, old, new) = (Place::new(), Model::new(1), Model::new(2));
        let (files, server) = given_out(&old, parts);
        let first = place.gives(&server.url(BPK), &old);
        match parts {
            true => new.in_parts(&files, "/m"),
            false => new.whole(&files, "/m"),
        }
        let second = place.gives(&server.url(BPK), &new);
        assert_ne!(first.path, second.path);
        assert!(!second.cached && first.path.exists());
    }
}

#[test]
fn the_same_bytes_under_a_new_etag_are_one_version() {
    let (place, model) = (Place::new(), Model::new(1));
    for parts in [true, false] {
        let (files, server) = given_out(&model, parts);
        let first = place.gives(&server.url(BPK), &model);
        match parts {
            true => files.put("/m/model.bpk.parts.json", model.manifest.clone()),
            false => files.put(BPK, model.bytes.clone()),
        }
        let count = server.count("/m/model.bpk.part-00000.bpk");
        assert_eq!(place.gives(&server.url(BPK), &model).path, first.path);
        assert_eq!(server.count("/m/model.bpk.part-00000.bpk"), count);
        // And the new ETag is the one that is asked with.
        assert!(place.gives(&server.url(BPK), &model).cached);
    }
}

#[test]
fn two_addresses_never_share_a_place() {
    let (place, one, two) = (Place::new(), Model::new(1), Model::new(2));
    let files = Files::default();
    one.whole(&files, "/a");
    two.whole(&files, "/b");
    let server = Server::of(&files);
    place.gives(&server.url("/a/model.bpk"), &one);
    place.gives(&server.url("/b/model.bpk"), &two);
    place.gives(&server.url("/a/model.bpk"), &one);
}

#[test]
fn a_server_that_is_gone_leaves_what_is_in_the_cache_and_says_so() {
    let (place, model) = (Place::new(), Model::new(1));
    let (files, server) = given_out(&model, false);
    let gone = Arc::new(AtomicBool::new(false));
    drop(server);
    let is_gone = gone.clone();
    let server = Server::start(move |request| match is_gone.load(Ordering::Relaxed) {
        true => Reply::new(503, ""),
        false => files.reply(request),
    });
    place.gives(&server.url(BPK), &model);
    gone.store(true, Ordering::Relaxed);
    let asked = server.asked().len();
    assert!(place.gives(&server.url(BPK), &model).cached);
    assert_eq!(server.asked().len() - asked, 2); // it is not waited for long
    let events = place.events.lock().unwrap();
    assert!(
        events.iter().any(|event| matches!(event, Event::Unasked { .. })),
        "{events:?}"
    );
}

#[test]
fn a_model_that_is_gone_from_its_server_is_an_error_that_names_the_cache() {
    let (place, model) = (Place::new(), Model::new(1));
    let (files, server) = given_out(&model, false);
    place.gives(&server.url(BPK), &model);
    files.remove(BPK);
    let error = place.fetch(&server.url(BPK)).unwrap_err().to_string();
    assert!(
        error.contains("nothing at") && error.contains("--offline"),
        "{error}"
    );
}

#[test]
fn offline_nobody_is_asked() {
    let (mut place, model) = (Place::new(), Model::new(1));
    let (_, server) = given_out(&model, true);
    place.fetcher.offline = true;
    let error = place.refuses(
        &server.url(BPK),
        &["not in the cache", "--offline", "BURN_DRAGON_OFFLINE"],
    );
    assert!(matches!(error, FetchError::Offline { .. }) && !error.is_bad_input());
    place.fetcher.offline = false;
    place.gives(&server.url(BPK), &model);
    let asked = server.asked().len();
    place.fetcher.offline = true;
    assert!(place.gives(&server.url(BPK), &model).cached);
    assert_eq!(server.asked().len(), asked);
}

#[test]
fn a_damaged_file_of_the_cache_is_fetched_again_or_refused_offline() {
    for damage in ["flip", "cut", "remove"] {
        let (mut place, model) = (Place::new(), Model::new(1));
        let (_, server) = given_out(&model, false);
        let path = place.gives(&server.url(BPK), &model).path;
        let mut bytes = model.bytes.clone();
        match damage {
            "flip" => {
                bytes[30_000] ^= 1;
                std::fs::write(&path, &bytes).unwrap();
            }
            "cut" => std::fs::write(&path, &bytes[..100]).unwrap(),
            _ => std::fs::remove_file(&path).unwrap(),
        }
        place.fetcher.offline = true;
        let error = place.fetch(&server.url(BPK)).unwrap_err();
        assert!(
            error.is_bad_input() && error.to_string().contains("damaged"),
            "{error}"
        );
        place.fetcher.offline = false;
        assert!(!place.gives(&server.url(BPK), &model).cached);
    }
}

#[test]
fn a_record_of_nonsense_is_as_none() {
    for text in ["", "{}", "[1]", "\u{0}", r#"{"version":"../../x"}"#] {
        let (place, model) = (Place::new(), Model::new(1));
        let (_, server) = given_out(&model, false);
        let path = place.gives(&server.url(BPK), &model).path;
        std::fs::write(path.parent().unwrap().with_file_name("record.json"), text).unwrap();
        place.gives(&server.url(BPK), &model);
    }
}

#[test]
fn of_two_at_once_one_fetches_and_the_other_waits() {
    for parts in [true, false] {
        let (place, model) = (Arc::new(Place::new()), Model::new(1));
        let files = Files::default();
        match parts {
            true => model.in_parts(&files, "/m"),
            false => model.whole(&files, "/m"),
        }
        let server = Server::start(move |request| {
            let mut reply = files.reply(request);
            reply.slow = Some((Duration::from_millis(20), 16 << 10));
            reply
        });
        let (url, start) = (server.url(BPK), Arc::new(Barrier::new(3)));
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let (place, url, start) = (place.clone(), url.clone(), start.clone());
                std::thread::spawn(move || {
                    start.wait();
                    place.fetch(&url).unwrap().cached
                })
            })
            .collect();
        let cached = threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .filter(|cached| *cached)
            .count();
        assert_eq!(cached, 2);
        let weights = if parts { "/m/model.bpk.part-00000.bpk" } else { BPK };
        let full = server
            .asked()
            .into_iter()
            .filter(|request| request.path == weights && request.header("if-none-match").is_none());
        assert_eq!(full.count(), 1);
        assert!(place.events.lock().unwrap().contains(&Event::Waiting));
    }
}

#[test]
fn what_is_local_is_given_back_as_it_is() {
    let place = Place::new();
    let fetched = place
        .fetcher
        .fetch(&Source::Local("some/where".into()), &|_| {})
        .unwrap();
    assert_eq!(fetched.path, std::path::Path::new("some/where"));
    assert!(place.all().is_empty());
}
