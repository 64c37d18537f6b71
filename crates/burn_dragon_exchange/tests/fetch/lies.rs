//! Servers that lie: each lie is refused, and nothing of what came can be seen.

use crate::support::{Model, Place};
use burn_dragon_exchange::api::fetch::FetchError;
use burn_dragon_testing::server::{Files, Reply, Request, Server};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const BPK: &str = "/m/model.bpk";

/// A server with a model whole or in parts, which changes its answers to questions for its weights.
fn changed(
    model: &Model,
    parts: bool,
    change: impl Fn(&Request, Reply) -> Reply + Send + Sync + 'static,
) -> Server {
    let files = Files::default();
    match parts {
        true => model.in_parts(&files, "/m"),
        false => model.whole(&files, "/m"),
    }
    Server::start(move |request| {
        let reply = files.reply(request);
        match request.path.ends_with(".bpk") {
            true => change(request, reply),
            false => reply,
        }
    })
}

#[test]
fn a_part_that_is_declared_shorter_or_longer_than_its_manifest_says_is_refused_at_once() {
    for by in [-100i64, 100] {
        let (place, model) = (Place::new(), Model::new(1));
        let server = changed(&model, true, move |_, mut reply| {
            reply.declared = Some(Some(reply.body.len().saturating_add_signed(by as isize) as u64));
            reply
        });
        let error = place.refuses(&server.url(BPK), &["declares", "must have"]);
        assert!(error.is_bad_input());
    }
}

#[test]
fn a_part_that_goes_on_behind_its_end_is_cut_off() {
    let (place, model) = (Place::new(), Model::new(1));
    let server = changed(&model, true, |_, mut reply| {
        reply.body.extend([7; 100]);
        reply.declared = Some(None);
        reply
    });
    assert!(
        place
            .refuses(&server.url(BPK), &["longer than its"])
            .is_bad_input()
    );
    assert_eq!(place.drafted(), 0);
}

#[test]
fn an_endless_part_is_cut_off() {
    let (mut place, model) = (Place::new(), Model::new(1));
    place.fetcher.limits.at_once = 1;
    let server = changed(&model, true, |_, mut reply| {
        reply.endless = true;
        reply
    });
    place.refuses(&server.url(BPK), &["longer than its"]);
    assert!(server.sent() < 64 << 20, "{}", server.sent());
    assert_eq!(place.drafted(), 0);
}

#[test]
fn an_endless_file_is_cut_off_at_the_bound() {
    let (mut place, model) = (Place::new(), Model::new(1));
    place.fetcher.limits.bytes = 1 << 20;
    let server = changed(&model, false, |_, mut reply| {
        reply.endless = true;
        reply
    });
    let error = place.refuses(&server.url(BPK), &["1048576", "BURN_DRAGON_MAX_BYTES"]);
    assert!(matches!(error, FetchError::TooLarge { .. }));
    assert!(server.sent() < 64 << 20, "{}", server.sent());
    assert_eq!(place.drafted(), 0);
}

#[test]
fn a_huge_declared_length_is_refused_before_anything_is_taken() {
    let (place, model) = (Place::new(), Model::new(1));
    let server = changed(&model, false, |_, mut reply| {
        reply.declared = Some(Some(1 << 50));
        reply
    });
    place.refuses(&server.url(BPK), &["1125899906842624 bytes", "at most"]);
}

#[test]
fn a_file_that_is_declared_longer_than_it_is_never_becomes_a_model() {
    let (place, model) = (Place::new(), Model::new(1));
    let server = changed(&model, false, |_, mut reply| {
        reply.declared = Some(Some(reply.body.len() as u64 + 100));
        reply
    });
    place.refuses(&server.url(BPK), &[]);
}

#[test]
fn a_file_that_is_declared_shorter_than_it_is_is_no_model() {
    let (place, model) = (Place::new(), Model::new(1));
    let server = changed(&model, false, |_, mut reply| {
        reply.declared = Some(Some(reply.body.len() as u64 - 100));
        reply
    });
    assert!(
        place
            .refuses(&server.url(BPK), &["model.bpk is refused"])
            .is_bad_input()
    );
    assert_eq!(place.drafted(), 0);
}

#[test]
fn a_file_without_a_declared_length_is_taken_if_it_is_whole() {
    let (place, model) = (Place::new(), Model::new(1));
    let server = changed(&model, false, |_, mut reply| {
        reply.declared = Some(None);
        reply
    });
    place.gives(&server.url(BPK), &model);
    // Where only the end of the connection tells the end of the file, a cut is found by the file's own hash.
    let (place, model) = (Place::new(), Model::new(1));
    let server = changed(&model, false, |_, mut reply| {
        reply.declared = Some(None);
        reply.cut = Some(40_000);
        reply
    });
    place.refuses(&server.url(BPK), &["refused"]);
}

#[test]
fn wrong_bytes_are_never_seen_and_never_left() {
    for parts in [true, false] {
        for place_of in [0usize, 5_000] {
            let (place, model) = (Place::new(), Model::new(1));
            let server = changed(&model, parts, move |request, mut reply| {
                if !parts || request.path.contains("part-00001") {
                    reply.body[place_of] ^= 1;
                }
                reply
            });
            assert!(place.refuses(&server.url(BPK), &["refused"]).is_bad_input());
            // A part beside the wrong one may have been under way, and goes on from its draft next time.
            let wrong = if parts { "draft/coming/1" } else { "draft/coming/0" };
            let left = place.all().into_iter().filter(|path| path.ends_with(wrong));
            assert_eq!(left.collect::<Vec<_>>(), Vec::<PathBuf>::new());
        }
    }
}

#[test]
fn a_gzip_bomb_is_not_unpacked() {
    for encoding in ["gzip", "br", "deflate", "zstd"] {
        let (place, model) = (Place::new(), Model::new(1));
        let server = changed(&model, false, move |_, reply| {
            reply.with("Content-Encoding", encoding)
        });
        assert!(
            place
                .refuses(&server.url(BPK), &[encoding, "compressed"])
                .is_bad_input()
        );
    }
}

#[test]
fn a_loop_of_redirects_ends() {
    let (place, model) = (Place::new(), Model::new(1));
    let server = changed(&model, false, |_, _| Reply::redirect(BPK));
    assert!(
        place
            .refuses(&server.url(BPK), &["more than 8 times"])
            .is_bad_input()
    );
    assert_eq!(server.count(BPK), 9);
}

#[test]
fn a_redirect_to_a_file_another_scheme_another_host_or_nowhere_is_not_followed() {
    for (to, says) in [
        ("file:///etc/passwd", "`file`"),
        ("ftp://127.0.0.1/x", "`ftp`"),
        ("data:text/plain,x", "https://"),
        ("http://user:secret@127.0.0.1/x", "user name"),
        ("http://example.org/model.bpk", "without https"),
        ("//example.org/model.bpk", "without https"),
        ("/../../etc/passwd", "`..`"),
        ("http://", "host"),
        ("http://h/a b", "byte"),
    ] {
        let (place, model) = (Place::new(), Model::new(1));
        let server = changed(&model, false, move |_, _| Reply::redirect(to));
        assert!(
            place
                .refuses(&server.url(BPK), &["not followed", says])
                .is_bad_input(),
            "{to}"
        );
    }
    let (place, model) = (Place::new(), Model::new(1));
    let server = changed(&model, false, |_, _| Reply::new(302, ""));
    place.refuses(&server.url(BPK), &["without a target"]);
}

#[test]
fn a_server_that_sends_nothing_is_given_up() {
    let (mut place, model) = (Place::new(), Model::new(1));
    place.fetcher.limits.silence = Duration::from_millis(200);
    let server = changed(&model, false, |_, mut reply| {
        reply.slow = Some((Duration::from_secs(2), 1 << 20));
        reply
    });
    let start = Instant::now();
    assert!(!place.refuses(&server.url(BPK), &["cannot fetch"]).is_bad_input());
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[test]
fn a_server_that_drips_is_given_up() {
    let (mut place, model) = (Place::new(), Model::new(1));
    place.fetcher.limits.silence = Duration::from_millis(400);
    let server = changed(&model, false, |_, mut reply| {
        reply.slow = Some((Duration::from_millis(50), 1)); // never silent, and done in an hour
        reply
    });
    let start = Instant::now();
    place.refuses(&server.url(BPK), &["bytes in"]);
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[test]
fn a_range_that_was_not_asked_for_is_refused() {
    for (range, says) in [
        ("bytes 0-9/100", "asked for"),
        ("bytes 30001-69999/70000", "asked for"),
        ("bytes 30000-29999/70000", "asked for"),
        ("bytes 30000-99999999/100000000", "asked for"),
        ("pages 1-2/3", "Content-Range"),
        ("", "Content-Range"),
    ] {
        let (place, model) = (Place::new(), Model::new(1));
        let server = changed(&model, false, move |request, mut reply| {
            reply.cut = Some(30_000);
            match request.header("range") {
                Some(_) => reply.with("Content-Range", range),
                None => reply,
            }
        });
        assert!(place.refuses(&server.url(BPK), &[says]).is_bad_input(), "{range}");
        assert_eq!(place.drafted(), 0);
    }
}

#[test]
fn a_part_of_a_file_is_not_taken_for_the_whole() {
    let (place, model) = (Place::new(), Model::new(1));
    let server = changed(&model, false, |_, mut reply| {
        reply.status = 206;
        reply.with("Content-Range", "bytes 0-9/10")
    });
    place.refuses(&server.url(BPK), &["206"]);
}

#[test]
fn an_endless_head_is_refused() {
    let (place, model) = (Place::new(), Model::new(1));
    let server = changed(&model, false, |_, reply| {
        reply.with("X-Long", "x".repeat(200_000))
    });
    place.refuses(&server.url(BPK), &["64 KiB"]);
}

#[test]
fn a_page_that_says_sorry_with_status_200_is_no_model() {
    let place = Place::new();
    let server = Server::start(|_| Reply::new(200, "<html>Please log in</html>").with("ETag", "\"page\""));
    assert!(place.refuses(&server.url(BPK), &["parts.json"]).is_bad_input());
    let server = Server::start(|request| match request.path.ends_with(".json") {
        true => Reply::new(404, ""),
        false => Reply::new(200, "<html>Please log in</html>"),
    });
    assert!(place.refuses(&server.url(BPK), &["model.bpk"]).is_bad_input());
}

#[test]
fn official_weights_that_are_none_never_become_visible() {
    let (weights, config) = Model::new(1).official();
    let half = weights[..weights.len() / 2].to_vec();
    let mut flipped = weights.clone();
    *flipped.last_mut().unwrap() ^= 1;
    for (bytes, says) in [
        (half, "safetensors"),
        (b"<html>Please log in</html>".to_vec(), "safetensors"),
        (b"<html>".to_vec(), "safetensors"),
        (flipped, "sha256"),
    ] {
        let (place, mended) = (Place::new(), Arc::new(AtomicBool::new(false)));
        let (weights, config, mend) = (weights.clone(), config.clone(), mended.clone());
        let server = Server::start(move |request| match request.path.as_str() {
            "/m/x.safetensors" => {
                let body = if mend.load(Ordering::Relaxed) {
                    &weights
                } else {
                    &bytes
                };
                let mut reply = Reply::new(200, body.clone()).with("ETag", "\"same\"");
                reply.declared = Some(None);
                reply
            }
            "/m/config.json" => Reply::new(200, config.clone()),
            _ => Reply::new(404, ""),
        });
        let url = server.url("/m/x.safetensors");
        assert!(place.refuses(&url, &[says, "x.safetensors"]).is_bad_input());
        mended.store(true, Ordering::Relaxed);
        assert!(place.fetch(&url).unwrap().config.is_some());
    }
}

#[test]
fn a_configuration_that_is_no_json_never_becomes_visible() {
    let (weights, _) = Model::new(1).official();
    for (config, says) in [
        ("<html>Please log in</html>".to_string(), "JSON"),
        ("{\"n_layer\": 2".to_string(), "JSON"),
        ("[]".to_string(), "JSON"),
        (format!("{{\"a\": {}", "[".repeat(100_000)), "JSON"),
        (" ".repeat(2 << 20), "longer than"),
    ] {
        let (place, files) = (Place::new(), Files::default());
        files.put("/m/x.safetensors", weights.clone());
        files.put("/m/config.json", config);
        let server = Server::of(&files);
        let url = server.url("/m/x.safetensors");
        assert!(place.refuses(&url, &[says, "config.json"]).is_bad_input());
    }
}
