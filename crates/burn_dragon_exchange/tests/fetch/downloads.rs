//! A good server, and connections that are not.

use crate::support::{Model, Place};
use burn_dragon_exchange::api::fetch::{Event, FetchError};
use burn_dragon_testing::server::{Files, Reply, Request, Server};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

const BPK: &str = "/m/model.bpk";

/// The bytes of answers that say what is not there.
const NOT_FOUND: u64 = "not found".len() as u64;

fn is_model(request: &Request) -> bool {
    request.path == BPK
}

/// A server that gives out a model whole, but for what is done to the n-th answer (from 0) to a question for it.
fn whole_but(
    model: &Model,
    change: impl Fn(usize, &Request, Reply) -> Reply + Send + Sync + 'static,
) -> Server {
    let files = Files::default();
    model.whole(&files, "/m");
    let count = AtomicUsize::new(0);
    Server::start(move |request| match files.reply(request) {
        reply if is_model(request) => change(count.fetch_add(1, Ordering::Relaxed), request, reply),
        reply => reply,
    })
}

/// The ranges that were asked for, in order.
fn ranges(server: &Server) -> Vec<Option<String>> {
    let asked = server.asked().into_iter().filter(is_model);
    asked
        .map(|request| request.header("range").map(str::to_string))
        .collect()
}

#[test]
fn a_model_in_one_file_arrives_and_nothing_else_was_asked() {
    let (place, model, files) = (Place::new(), Model::new(1), Files::default());
    model.whole(&files, "/m");
    let server = Server::of(&files);
    let fetched = place.gives(&server.url(BPK), &model);
    assert_eq!(
        server.lines(),
        ["GET /m/model.bpk.parts.json", "GET /m/model.bpk"]
    );
    assert_eq!((fetched.bytes, fetched.cached), (model.bytes.len() as u64, false));
    assert_eq!(std::fs::read(&fetched.path).unwrap(), model.bytes);
    let asked = server.asked();
    assert_eq!(asked[1].header("accept-encoding"), Some("identity"));
    assert_eq!(asked[1].header("authorization"), None);
    assert!(
        place
            .all()
            .iter()
            .all(|path| !path.to_string_lossy().contains("draft")),
        "{:?}",
        place.all()
    );
}

#[test]
fn the_address_of_a_folder_is_that_of_the_model_in_it() {
    let (place, model, files) = (Place::new(), Model::new(1), Files::default());
    model.in_parts(&files, "/m");
    let server = Server::of(&files);
    place.gives(&server.url("/m"), &model);
    place.gives(&server.url("/m/"), &model);
}

#[test]
fn a_model_in_parts_arrives_each_part_asked_once() {
    let (place, model, files) = (Place::new(), Model::new(1), Files::default());
    model.in_parts(&files, "/m");
    let server = Server::of(&files);
    let fetched = place.gives(&server.url(BPK), &model);
    assert!(model.parts.len() > 3, "{}", model.parts.len());
    for (name, _) in &model.parts {
        assert_eq!(server.count(&format!("/m/{name}")), 1);
    }
    assert_eq!(server.count(BPK), 0);
    assert!(fetched.path.ends_with("model.bpk.parts.json"));
    place.gives(&server.url("/m/model.bpk.parts.json"), &model);
    let events = place.events.lock().unwrap();
    let bytes: u64 = model.parts.iter().map(|(_, bytes)| bytes.len() as u64).sum();
    assert!(
        events.contains(&Event::Bytes {
            done: bytes,
            total: Some(bytes)
        }),
        "{events:?}"
    );
}

#[test]
fn a_cut_connection_is_gone_on_with_and_no_byte_comes_twice() {
    let (place, model) = (Place::new(), Model::new(1));
    let server = whole_but(&model, |count, _, mut reply| {
        reply.cut = [Some(20_000), Some(1), Some(0), None][count.min(3)];
        reply
    });
    place.gives(&server.url(BPK), &model);
    let asked = [
        None,
        Some("bytes=20000-"),
        Some("bytes=20001-"),
        Some("bytes=20001-"),
    ];
    assert_eq!(ranges(&server), asked.map(|range| range.map(str::to_string)));
    assert_eq!(server.sent(), model.bytes.len() as u64 + NOT_FOUND);
    let conditions = server
        .asked()
        .into_iter()
        .filter(|request| request.header("if-range").is_some());
    assert_eq!(conditions.count(), 3);
}

#[test]
fn cut_parts_are_gone_on_with_too() {
    let (place, model, files) = (Place::new(), Model::new(1), Files::default());
    model.in_parts(&files, "/m");
    let server = Server::start(move |request| {
        let mut reply = files.reply(request);
        let first = request.header("range").is_none();
        reply.cut = (first && request.path.contains("part-")).then_some(3000);
        reply
    });
    place.gives(&server.url(BPK), &model);
    let parts: u64 = model.parts.iter().map(|(_, bytes)| bytes.len() as u64).sum();
    assert_eq!(server.sent(), parts + model.manifest.len() as u64);
}

#[test]
fn a_process_that_was_interrupted_is_gone_on_with() {
    let (place, model) = (Place::new(), Model::new(1));
    let server = whole_but(&model, |count, _, mut reply| match count {
        0 => {
            reply.cut = Some(10_000);
            reply
        }
        1..=4 => Reply::new(503, ""),
        _ => reply,
    });
    let error = place.refuses(&server.url(BPK), &["cannot fetch", "503", "not fetched twice"]);
    assert!(
        matches!(error, FetchError::Network { .. }) && !error.is_bad_input(),
        "{error:?}"
    );
    assert_eq!(place.drafted(), 10_000);
    place.gives(&server.url(BPK), &model);
    assert_eq!(ranges(&server).last().unwrap().as_deref(), Some("bytes=10000-"));
    assert_eq!(server.sent(), model.bytes.len() as u64 + 2 * NOT_FOUND);
}

#[test]
fn parts_that_came_before_an_interruption_do_not_come_again() {
    let (place, model, files) = (Place::new(), Model::new(1), Files::default());
    let mut place = place;
    place.fetcher.limits.at_once = 1;
    model.in_parts(&files, "/m");
    let third = "/m/model.bpk.part-00002.bpk";
    let refuses = AtomicUsize::new(0);
    let server = Server::start(move |request| {
        match request.path == third && refuses.fetch_add(1, Ordering::Relaxed) < 4 {
            true => Reply::new(500, ""),
            false => files.reply(request),
        }
    });
    place.refuses(&server.url(BPK), &["part-00002", "500"]);
    place.gives(&server.url(BPK), &model);
    assert_eq!(server.count("/m/model.bpk.part-00000.bpk"), 1);
    assert_eq!(server.count("/m/model.bpk.part-00001.bpk"), 1);
}

#[test]
fn a_file_that_changes_between_tries_is_begun_anew_and_never_mixed() {
    let (place, old, new) = (Place::new(), Model::new(1), Model::new(2));
    let files = Files::default();
    old.whole(&files, "/m");
    let bytes = new.bytes.clone();
    let server = Server::start(move |request| {
        let mut reply = files.reply(request);
        if is_model(request) && request.header("range").is_none() && request.number == 1 {
            reply.cut = Some(30_000);
            files.put(BPK, bytes.clone());
        }
        reply
    });
    place.gives(&server.url(BPK), &new);
    assert_eq!(ranges(&server), [None, Some("bytes=30000-".to_string())]);
}

#[test]
fn a_206_of_another_version_is_not_taken() {
    let (place, model) = (Place::new(), Model::new(1));
    let server = whole_but(&model, |count, _, mut reply| {
        reply.cut = (count == 0).then_some(30_000);
        match count {
            1 => reply.with("ETag", "\"another\""),
            _ => reply,
        }
    });
    place.gives(&server.url(BPK), &model);
    assert_eq!(ranges(&server), [None, Some("bytes=30000-".to_string()), None]);
}

#[test]
fn without_a_strong_etag_a_cut_file_is_begun_anew() {
    for etag in ["", "W/\"weak\""] {
        let (place, model) = (Place::new(), Model::new(1));
        let server = whole_but(&model, move |count, _, mut reply| {
            reply.cut = (count == 0).then_some(30_000);
            reply.headers.retain(|(name, _)| name != "ETag");
            match etag {
                "" => reply,
                etag => reply.with("ETag", etag),
            }
        });
        place.gives(&server.url(BPK), &model);
        assert_eq!(ranges(&server), [None, None]);
    }
}

#[test]
fn a_server_without_ranges_is_asked_for_all_again() {
    let (place, model) = (Place::new(), Model::new(1));
    let bytes = model.bytes.clone();
    let server = whole_but(&model, move |count, _, _| {
        let mut reply = Reply::new(200, bytes.clone()).with("ETag", "\"same\"");
        reply.cut = (count == 0).then_some(30_000);
        reply
    });
    place.gives(&server.url(BPK), &model);
    assert_eq!(server.sent(), model.bytes.len() as u64 + 30_000 + NOT_FOUND);
}

#[test]
fn a_large_file_comes_in_segments_at_once() {
    let (mut place, model) = (Place::new(), Model::new(1));
    place.fetcher.limits.segment = 8 << 10;
    let server = whole_but(&model, |count, request, mut reply| {
        // The first segment is cut on its way, and gone on with.
        let first = request.header("range") == Some("bytes=0-8191");
        reply.cut = (first && count > 0).then_some(5000);
        reply
    });
    place.gives(&server.url(BPK), &model);
    let mut asked: Vec<String> = ranges(&server).into_iter().flatten().collect();
    asked.sort();
    let size = model.bytes.len();
    let mut expected: Vec<String> = (0..size)
        .step_by(8192)
        .map(|start| format!("bytes={start}-{}", (start + 8192).min(size) - 1))
        .chain(["bytes=5000-8191".to_string()])
        .collect();
    expected.sort();
    assert_eq!(asked, expected);
}

#[test]
fn a_file_that_changes_while_its_segments_come_is_begun_anew() {
    let (mut place, old, new) = (Place::new(), Model::new(1), Model::new(2));
    place.fetcher.limits.segment = 8 << 10;
    place.fetcher.limits.at_once = 1;
    let files = Files::default();
    old.whole(&files, "/m");
    let bytes = new.bytes.clone();
    let server = Server::start(move |request| {
        if request.header("range") == Some("bytes=16384-24575") {
            files.put(BPK, bytes.clone());
        }
        files.reply(request)
    });
    place.gives(&server.url(BPK), &new);
}

#[test]
fn a_form_that_is_denied_half_way_leaves_the_next_one_alone() {
    let (mut place, model, files) = (Place::new(), Model::new(1), Files::default());
    place.fetcher.limits.segment = 8 << 10;
    model.whole(&files, "/m");
    files.put("/m/model.safetensors", model.official().0);
    let server = Server::start(
        move |request| match is_model(request) && request.header("range").is_some() {
            true => Reply::new(403, ""),
            false => files.reply(request),
        },
    );
    let fetched = place.fetch(&server.url("/m")).unwrap();
    assert_eq!(std::fs::read(fetched.path).unwrap(), model.official().0);
}

/// What comes of a draft of one version that is complete, where the server has this one by now.
fn after_a_kill(segment: u64, old: &Model, new: &Model) -> Vec<u8> {
    let mut place = Place::new();
    place.fetcher.limits.segment = segment;
    let files = Files::default();
    old.whole(&files, "/m");
    // All but the last bytes come.
    let (size, failing, given) = (old.bytes.len(), Arc::new(AtomicBool::new(true)), files.clone());
    let fails = failing.clone();
    let server = Server::start(move |request| {
        let mut reply = given.reply(request);
        let all = request.header("range").is_none() && (size as u64) < 2 * segment;
        let is_last = all
            || reply
                .headers
                .iter()
                .any(|(_, value)| value.contains(&format!("-{}/", size - 1)));
        if is_model(request) && is_last && fails.load(Ordering::Relaxed) {
            reply.cut = Some(reply.body.len().saturating_sub(10));
        }
        reply
    });
    place.refuses(&server.url(BPK), &["cannot fetch"]);
    // As if it had been killed a moment later.
    let last = match (size as u64) < 2 * segment {
        true => ("0".to_string(), 0),
        false => {
            let index = (size as u64 - 1) / segment;
            (format!("0.segment-{index:05}"), (index * segment) as usize)
        }
    };
    std::fs::write(place.coming(&last.0), &old.bytes[last.1..]).unwrap();
    failing.store(false, Ordering::Relaxed);
    if old.hash != new.hash {
        new.whole(&files, "/m");
    }
    let sent = server.sent();
    let fetched = place.gives(&server.url(BPK), new);
    let again = server.sent() - sent;
    assert_eq!(again == NOT_FOUND, old.hash == new.hash, "{again} bytes came");
    std::fs::read(fetched.path).unwrap()
}

#[test]
fn what_a_killed_process_left_complete_is_not_taken_without_asking() {
    let (old, new) = (Model::new(1), Model::new(2));
    for segment in [8 << 10, 32 << 20] {
        assert_eq!(after_a_kill(segment, &old, &new), new.bytes);
        // Where the server still has the same, nothing comes twice.
        assert_eq!(after_a_kill(segment, &old, &old), old.bytes);
    }
}

#[test]
fn segments_need_no_notes_of_their_own() {
    let (mut place, model) = (Place::new(), Model::new(1));
    place.fetcher.limits.segment = 8 << 10;
    let server = whole_but(&model, |_, request, mut reply| {
        reply.cut = request.header("range").map(|_| 100);
        reply
    });
    place.refuses(&server.url(BPK), &["cannot fetch"]);
    let notes: Vec<_> = place.all();
    let notes: Vec<_> = notes
        .iter()
        .filter(|path| path.to_string_lossy().ends_with(".from"))
        .collect();
    assert!(notes.is_empty() && place.drafted() >= 100, "{notes:?}");
}

#[test]
fn a_server_that_is_broken_for_a_while_is_asked_again() {
    let (place, model) = (Place::new(), Model::new(1));
    let server = whole_but(&model, |count, _, reply| match count {
        0 => Reply::new(500, ""),
        1 => Reply::new(502, ""),
        _ => reply,
    });
    place.gives(&server.url(BPK), &model);
    assert_eq!(server.count(BPK), 3);
}

#[test]
fn a_busy_server_is_given_the_time_that_it_asks_for_up_to_a_bound() {
    let (place, model) = (Place::new(), Model::new(1));
    let server = whole_but(&model, |count, _, reply| match count {
        0 => Reply::new(429, "").with("Retry-After", "100000"),
        _ => reply,
    });
    let start = std::time::Instant::now();
    place.gives(&server.url(BPK), &model);
    let longest = Duration::from_millis(300);
    assert!(start.elapsed() >= longest && start.elapsed() < Duration::from_secs(20));
    let events = place.events.lock().unwrap();
    let paused = events
        .iter()
        .any(|event| matches!(event, Event::Again { pause, .. } if *pause == longest));
    assert!(paused, "{events:?}");
}

#[test]
fn a_server_that_stays_broken_is_given_up_after_some_tries() {
    let (place, model) = (Place::new(), Model::new(1));
    let server = whole_but(&model, |_, _, _| Reply::new(500, ""));
    place.refuses(&server.url(BPK), &["500", "after 4 tries"]);
    assert_eq!(server.count(BPK), 4);
}

#[test]
fn nobody_there_is_a_failure_of_the_network() {
    let place = Place::new();
    // A port that was free a moment ago.
    let url = Server::of(&Files::default()).url(BPK);
    std::thread::sleep(Duration::from_millis(50));
    let error = place.refuses(&url, &["cannot fetch", "tries"]);
    assert!(!error.is_bad_input());
}

#[test]
fn what_is_not_there_is_named_with_all_that_was_looked_for() {
    let place = Place::new();
    let server = Server::of(&Files::default());
    let error = place.refuses(
        &server.url("/m"),
        &["nothing at", "model.bpk.parts.json", "model.safetensors"],
    );
    assert!(matches!(error, FetchError::NotFound { .. }) && !error.is_bad_input());
}
