//! Models from elsewhere, and to elsewhere: over a server on this machine, with the layout of a hub.

use crate::support::{Answer, Place, checkpoint, text};
use burn_dragon_testing::server::{Files, Reply, Request, Server};
use serde_json::{Value, json};
use std::process::Command;

/// A model as one file, and a server that gives it out at `/m/model.bpk` and as the repository `owner/name`.
struct World {
    place: Place,
    files: Files,
    server: Server,
}

impl World {
    fn new() -> Self {
        let place = Place::trained();
        let model = std::fs::read(checkpoint(&place.path("run"), 12).join("model.bpk")).unwrap();
        let files = Files::default();
        files.put("/m/model.bpk", model.clone());
        files.put("/owner/name/resolve/main/model.bpk", model.clone());
        files.put("/owner/name/resolve/v1/model.bpk", model);
        let server = Server::of(&files);
        Self { place, files, server }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.place.program("dragon");
        command
            .args(arguments)
            .env("BURN_DRAGON_CACHE_DIR", self.place.path("cache"))
            .env("HF_ENDPOINT", self.server.url(""))
            .env("HF_TOKEN", "hf_secret")
            .env_remove("BURN_DRAGON_OFFLINE")
            .env_remove("BURN_DRAGON_MAX_BYTES");
        command
    }

    fn dragon(&self, arguments: &[&str]) -> Answer {
        Answer::of(&mut self.command(arguments))
    }
}

const GREEDY: [&str; 6] = ["--prompt", "Hugo", "--temperature", "0", "--max-tokens", "8"];

#[test]
fn an_address_or_an_id_speaks_as_the_run_does() {
    let world = World::new();
    let local = world.dragon(&[&["generate", "run"], &GREEDY[..]].concat()).done();
    let url = world.server.url("/m/model.bpk");
    for model in [url.as_str(), "owner/name", "owner/name@v1"] {
        let answer = world.dragon(&[&["generate", model], &GREEDY[..]].concat()).done();
        assert_eq!(answer.stdout, local.stdout, "{model}");
        assert!(answer.stderr.contains("fetching"), "{}", answer.stderr);
    }
    let answer = world.dragon(&["info", "owner/name", "--json"]).done();
    assert!(
        text(answer.json()["file"].as_str().unwrap()).contains("cache"),
        "{}",
        answer.stdout
    );
}

#[test]
fn every_verb_that_takes_a_model_takes_one_from_elsewhere() {
    let world = World::new();
    world
        .place
        .write("data.txt", "Hugo sold Dora a lilac key. ".repeat(40));
    let url = world.server.url("/m/model.bpk");
    world.dragon(&["info", &url]).done();
    world
        .dragon(&["eval", &url, "data.txt", "--block-size", "32"])
        .done();
    world.dragon(&["export", &url, "--output", "out.bpk"]).done();
    crate::support::write_i32(
        &world.place.path("tokens.safetensors"),
        "tokens",
        &[1, 2, 3, 4],
        [1, 4],
    );
    world
        .dragon(&[
            "forward",
            &url,
            "tokens.safetensors",
            "--out",
            "logits.safetensors",
        ])
        .done();
    let mut infer = world.place.program("infer");
    infer
        .args(["--checkpoint", &url, "--max-tokens", "4"])
        .env("BURN_DRAGON_CACHE_DIR", world.place.path("cache"));
    Answer::of(&mut infer).done();
    // Fetched once by all of them.
    let full = world
        .server
        .asked()
        .into_iter()
        .filter(|request| request.path == "/m/model.bpk" && request.header("if-none-match").is_none());
    assert_eq!(full.count(), 1);
}

#[test]
fn pull_prints_where_the_model_is() {
    let world = World::new();
    let pulled = world.dragon(&["pull", "owner/name", "--revision", "v1"]).done();
    let path = pulled.stdout.trim().to_string();
    assert!(path.ends_with("model.bpk") && path.contains("cache"), "{path}");
    world.dragon(&["info", &path]).done();
    let json = world.dragon(&["pull", "owner/name@v1", "--json"]).done().json();
    assert_eq!(json["path"], json!(path));
    assert_eq!(json["cached"], json!(true));
    assert_eq!(json["source"], json!("owner/name@v1"));
}

#[test]
fn offline_the_cache_is_enough_and_nothing_else_is_asked() {
    let world = World::new();
    let refused = ["pull", "owner/name", "--offline"];
    world
        .dragon(&refused)
        .refused(1, &["owner/name", "not in the cache", "--offline"]);
    world.dragon(&["pull", "owner/name"]).done();
    let asked = world.server.asked().len();
    world.dragon(&refused).done();
    world.dragon(&["info", "owner/name", "--offline"]).done();
    Answer::of(
        world
            .command(&["info", "owner/name"])
            .env("BURN_DRAGON_OFFLINE", "1"),
    )
    .done();
    assert_eq!(world.server.asked().len(), asked);
}

#[test]
fn what_is_corrupt_is_3_what_is_not_there_is_1_and_what_cannot_be_meant_is_2() {
    let world = World::new();
    let mut broken = std::fs::read(checkpoint(&world.place.path("run"), 12).join("model.bpk")).unwrap();
    let middle = broken.len() / 2;
    broken[middle] ^= 1;
    world.files.put("/broken/model.bpk", broken);
    world.files.put("/evil/model.bpk.parts.json", "{}");
    for (path, says) in [
        ("/broken/model.bpk", "refused"),
        ("/broken", "refused"),
        ("/evil", "not what it should be"),
    ] {
        world
            .dragon(&["generate", &world.server.url(path)])
            .refused(3, &[path, says]);
    }
    Answer::of(
        world
            .command(&["pull", "owner/name"])
            .env("BURN_DRAGON_MAX_BYTES", "1000"),
    )
    .refused(3, &["1000 bytes", "BURN_DRAGON_MAX_BYTES"]);
    world
        .dragon(&["pull", "owner/nothing"])
        .refused(1, &["owner/nothing", "model.safetensors"]);
    world
        .dragon(&["info", &world.server.url("/nothing/model.bpk")])
        .refused(1, &["nothing at"]);
    for given in ["ftp://h/model.bpk", "http://user@h/x", "http://h/../x"] {
        world
            .dragon(&["generate", given])
            .refused(2, &["not the location of a model"]);
    }
    world.dragon(&["pull", "just-a-name"]).refused(2, &["OWNER/NAME"]);
    let none = world.dragon(&["info", "runs/latest"]);
    none.refused(1, &["runs/latest", "dragon train"]); // a path that does not exist is not looked for on a hub
    assert!(
        !world
            .server
            .lines()
            .iter()
            .any(|line| line.contains("runs/latest"))
    );
}

#[test]
fn a_server_that_cannot_be_reached_is_1_with_what_to_do() {
    let world = World::new();
    let broken = Server::start(|_| Reply::new(404, ""));
    let gone = broken.url("/m/model.bpk");
    drop(broken);
    world
        .dragon(&["info", &gone])
        .refused(1, &["cannot fetch", "try again later"]);
}

#[test]
fn two_processes_fetch_once() {
    let world = World::new();
    let slow = world.files.clone();
    let server = Server::start(move |request| {
        let mut reply = slow.reply(request);
        reply.slow = Some((std::time::Duration::from_millis(10), 1 << 10));
        reply
    });
    let url = server.url("/m/model.bpk");
    let children: Vec<_> = (0..2)
        .map(|_| {
            world
                .command(&["pull", &url, "--json"])
                .stdout(std::process::Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    let mut cached: Vec<Value> = Vec::new();
    for child in children {
        let output = child.wait_with_output().unwrap();
        cached.push(Answer::read(&output).done().json()["cached"].clone());
    }
    cached.sort_by_key(Value::to_string);
    assert_eq!(cached, [json!(false), json!(true)]);
    let full = server
        .asked()
        .into_iter()
        .filter(|request| request.path == "/m/model.bpk" && request.header("if-none-match").is_none());
    assert_eq!(full.count(), 1);
}

#[test]
fn a_killed_pull_is_gone_on_with() {
    let world = World::new();
    let files = world.files.clone();
    let server = Server::start(move |request| {
        let mut reply = files.reply(request);
        if request.path.ends_with("model.bpk") && request.header("range").is_none() {
            reply.slow = Some((std::time::Duration::from_millis(20), 1 << 10));
        }
        reply
    });
    let url = server.url("/m/model.bpk");
    let mut child = world.command(&["pull", &url]).spawn().unwrap();
    while server.sent() < 10_000 {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    world.dragon(&["pull", &url]).done();
    let last = server.asked().pop().unwrap();
    let range = last.header("range").unwrap_or_default().to_string();
    assert!(range.starts_with("bytes=") && range != "bytes=0-", "{range}");
}

#[test]
fn push_without_uploading_writes_all_that_would_go_and_the_card_says_what_is_known() {
    let world = World::new();
    let push = [
        "push",
        "run",
        "--repo",
        "owner/tales",
        "--dry-run",
        "out",
        "--license",
        "apache-2.0",
        "--json",
    ];
    let json = world.dragon(&push).done().json();
    let names = ["README.md", "config.toml", "model.bpk", "tokenizer.json"];
    for name in names {
        assert!(json["files"].as_array().unwrap().contains(&json!(name)), "{json}");
    }
    assert!(world.server.asked().is_empty());
    let card = std::fs::read_to_string(world.place.path("out/README.md")).unwrap();
    for says in [
        "---\nlicense: apache-2.0\n",
        "pipeline_tag: text-generation",
        "# tales",
        "12 optimiser steps",
        "bits a byte",
        "density of x",
        "tales made from a seed",
        "dragon generate owner/tales",
        "Source::remote(\"owner/tales\", None)",
    ] {
        assert!(card.contains(says), "`{says}` is not in: {card}");
    }
    world.dragon(&["info", "out/model.bpk"]).done();
    if world.place.path("out/model.safetensors").exists() {
        let official = [
            "info",
            "out/model.safetensors",
            "--model-config",
            "out/config.json",
        ];
        world.dragon(&official).done();
    }
    // Of a file alone little is known, and the card says so.
    std::fs::copy(world.place.path("out/model.bpk"), world.place.path("alone.bpk")).unwrap();
    let alone = [
        "push",
        "alone.bpk",
        "--repo",
        "o/n",
        "--dry-run",
        "alone",
        "--precision",
        "bf16",
    ];
    world.dragon(&alone).done();
    let card = std::fs::read_to_string(world.place.path("alone/README.md")).unwrap();
    assert!(
        card.contains("Settings and data are not known")
            && card.contains("No measurement of the model at this step is known"),
        "{card}"
    );
    world.dragon(&push).refused(2, &["out", "not empty"]);
    world
        .dragon(&["push", "run", "--repo", "tales"])
        .refused(2, &["OWNER/NAME"]);
    world
        .dragon(&["push", "run", "--repo", "a/b", "--license", "a\nb: c"])
        .refused(2, &["--license"]);
}

#[test]
fn what_is_pushed_rounded_is_one_model_under_either_name_and_the_card_says_when_it_was_measured() {
    let world = World::new();
    let push = |out: &str, precision: &str| {
        let words = [
            "push",
            "run",
            "--repo",
            "o/n",
            "--dry-run",
            out,
            "--precision",
            precision,
        ];
        world.dragon(&words).done();
        std::fs::read_to_string(world.place.path(out).join("README.md")).unwrap()
    };
    let card = push("half", "bf16");
    let json = world
        .dragon(&["diff", "half/model.bpk", "half/model.safetensors", "--json"])
        .done()
        .json();
    let hash = json["hashes"][1].as_str().unwrap();
    assert_eq!(json["hashes"][0], hash);
    for says in [
        hash,
        "before the weights were rounded to bf16",
        "(f32, rounded to bf16)",
    ] {
        assert!(card.contains(says), "`{says}` is not in: {card}");
    }
    let card = push("whole", "f32");
    assert!(
        card.contains("bits a byte") && !card.contains("rounded"),
        "{card}"
    );
}

#[test]
fn a_configuration_that_the_model_was_not_trained_with_is_not_told_of_it() {
    let world = World::new();
    let path = world.place.path("run/config.toml");
    let config = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, config.replace("batch_size = 2", "batch_size = 77")).unwrap();
    let words = ["push", "run", "--repo", "o/n", "--dry-run", "out", "--json"];
    let json = world.dragon(&words).done().json();
    assert!(!json["files"].to_string().contains("config.toml"), "{json}");
    let card = std::fs::read_to_string(world.place.path("out/README.md")).unwrap();
    for says in [
        "- Data: not known",
        "not the one that this model was trained with",
        "12 optimiser steps",
    ] {
        assert!(card.contains(says), "`{says}` is not in: {card}");
    }
    assert!(!card.contains("77") || !card.contains("Batches"), "{card}");
    let verified = world.dragon(&["verify", "run"]).done().stdout;
    assert!(
        verified.contains("it is not the one that the newest checkpoint was trained with"),
        "{verified}"
    );
}

#[test]
fn of_imported_weights_the_card_claims_no_training_and_its_commands_work() {
    let Some(fixture) = crate::support::fixtures("tiny") else {
        return;
    };
    let [weights, meta] = ["weights.safetensors", "meta.json"].map(|file| text(fixture.join(file)));
    let world = World::new();
    let words = [
        "push",
        &weights,
        "--model-config",
        &meta,
        "--repo",
        "o/n",
        "--dry-run",
        "out",
    ];
    world.dragon(&words).done();
    let card = std::fs::read_to_string(world.place.path("out/README.md")).unwrap();
    for says in [
        "imported from weights",
        "Optimiser steps and tokens: not known",
        "whether it was tuned",
        "There is no tokenizer",
        "dragon eval o/n ids.txt",
    ] {
        assert!(card.contains(says), "`{says}` is not in: {card}");
    }
    for claim in [
        "trained with burn_dragon",
        "0 optimiser steps",
        "It was not tuned",
        "Once upon",
    ] {
        assert!(!card.contains(claim), "`{claim}` is in: {card}");
    }
    // The commands of the card, of the file that it lies beside.
    let command = card
        .lines()
        .find(|line| line.starts_with("dragon generate"))
        .unwrap();
    let command = command.replace("o/n", "out/model.bpk");
    let words: Vec<&str> = command.split(' ').skip(1).collect();
    world.dragon(&words).done();
    world.place.write("ids.txt", "1 2 3 4 5 6 7 8 ".repeat(20));
    world
        .dragon(&["eval", "out/model.bpk", "ids.txt", "--block-size", "8"])
        .done();
}

/// A hub that keeps what is put into it and gives it out again.
fn hub() -> Server {
    let files = Files::default();
    Server::start(move |request| {
        let json = |value: Value| Reply::new(200, value.to_string());
        let host = request.header("host").unwrap_or_default().to_string();
        let body = || serde_json::from_slice::<Value>(&request.body).unwrap();
        match (request.method.as_str(), request.path.as_str()) {
            ("POST", "/api/repos/create") => json(json!({})),
            ("POST", "/api/models/me/tales/preupload/main") => {
                let large = |name: &str| {
                    if name.ends_with(".bpk") || name.ends_with(".safetensors") {
                        "lfs"
                    } else {
                        "regular"
                    }
                };
                let body = body();
                let files = body["files"].as_array().unwrap().iter();
                let files: Vec<Value> = files.map(|file| json!({"path": file["path"], "uploadMode": large(file["path"].as_str().unwrap())})).collect();
                json(json!({ "files": files }))
            }
            ("POST", "/me/tales.git/info/lfs/objects/batch") => {
                let body = body();
                let objects = body["objects"].as_array().unwrap().iter().map(|object| {
                    let href = format!("http://{host}/lfs/{}", object["oid"].as_str().unwrap());
                    json!({"oid": object["oid"], "size": object["size"], "actions": {"upload": {"href": href}}})
                });
                json(json!({"objects": objects.collect::<Vec<_>>()}))
            }
            ("PUT", path) => {
                files.put(path, request.body.clone());
                Reply::new(200, "")
            }
            ("POST", "/api/models/me/tales/commit/main") => {
                for line in String::from_utf8(request.body.clone()).unwrap().lines() {
                    let line: Value = serde_json::from_str(line).unwrap();
                    let (value, path) = (&line["value"], line["value"]["path"].as_str());
                    if line["key"] == "lfsFile" {
                        let stored = Request {
                            path: format!("/lfs/{}", value["oid"].as_str().unwrap()),
                            ..Request::default()
                        };
                        files.put(
                            &format!("/me/tales/resolve/main/{}", path.unwrap()),
                            files.reply(&stored).body,
                        );
                    }
                }
                json(json!({"commitOid": "1234"}))
            }
            _ => files.reply(request),
        }
    })
}

#[test]
fn what_was_pushed_can_be_pulled() {
    let mut world = World::new();
    world.server = hub();
    let pushed = world
        .dragon(&["push", "run", "--repo", "me/tales", "--private"])
        .done();
    assert!(
        pushed.stdout.contains("me/tales, commit 1234"),
        "{}",
        pushed.stdout
    );
    let local = world.dragon(&[&["generate", "run"], &GREEDY[..]].concat()).done();
    let remote = world
        .dragon(&[&["generate", "me/tales"], &GREEDY[..]].concat())
        .done();
    assert_eq!(remote.stdout, local.stdout);
}

#[test]
fn push_without_a_token_says_where_to_put_one() {
    let world = World::new();
    let mut command = world.command(&["push", "run", "--repo", "me/tales"]);
    command
        .env_remove("HF_TOKEN")
        .env("HF_HOME", world.place.path("nowhere"));
    Answer::of(&mut command).refused(1, &["HF_TOKEN"]);
}
