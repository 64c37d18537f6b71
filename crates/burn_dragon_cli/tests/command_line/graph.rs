//! The graph family through every verb, on a model that trains in a second.

use crate::support::{Answer, Place, assert_same_run, checkpoint, flip_a_byte};

/// 12 steps of 4 small graphs.
const SMALL: &[&str] = &[
    "train",
    "graph",
    "dataset.graphs=40",
    "dataset.validation_graphs=6",
    "dataset.test_graphs=5",
    "dataset.nodes=[5, 8]",
    "dataset.test_nodes=[10, 16]",
    "dataset.max_distance=3",
    "model.d_model=16",
    "model.n_neurons=32",
    "model.n_levels=3",
    "baselines.width=8",
    "training.batch_size=4",
    "training.max_steps=12",
    "training.log_every=2",
    "schedule.warmup_steps=2",
    "evaluation.every=5",
    "evaluation.batches=1",
    "checkpoint.every=4",
];

const PATH: &str = r#"{"edges": [[0, 1], [1, 2]], "source": 0}"#;

fn train(place: &Place, more: &[&str]) -> Answer {
    place.dragon(&[SMALL, more].concat())
}

fn trained() -> Place {
    let place = Place::new();
    train(&place, &["--out", "run", "baselines.models=[]"]).done();
    place
}

#[test]
fn a_run_says_what_it_learnt_beside_baselines_and_other_uses_of_memory() {
    let place = Place::new();
    let more = [
        "baselines.models=[\"gcn\", \"gru\", \"mlp\"]",
        "--out",
        "run",
        "--json",
    ];
    let answer = train(&place, &more).done();
    let json = answer.json();
    assert_eq!((&json["family"], &json["units"]), (&"graph".into(), &48.into()));
    assert_eq!(
        (&json["train_graphs"], &json["test_graphs"]),
        (&40.into(), &5.into())
    );
    let curve = json["label_accuracy_by_levels"].as_array().unwrap();
    assert_eq!((curve.len(), &curve[2]), (6, &json["val_accuracy"]));
    assert_eq!(json["test_label_accuracy_by_levels"][2], json["test_accuracy"]);
    for name in ["gcn", "gru", "mlp", "untrained", "majority"] {
        for key in [
            format!("{name}_label_accuracy"),
            format!("{name}_test_label_accuracy"),
        ] {
            assert!(json["controls"][&key].is_number(), "{key}: {json}");
        }
    }
    for name in ["reset", "wiped", "never_written"] {
        assert!(
            json["memories"][format!("{name}_label_accuracy")].is_number(),
            "{json}"
        );
    }
    let said = answer.stdout + &answer.stderr;
    for words in [
        "graph convolution",
        "never written",
        "levels run (trained with 3)",
        "predict run",
    ] {
        assert!(said.contains(words), "`{words}` is not in: {said}");
    }
}

#[test]
fn distances_on_small_graphs_are_learnt() {
    let place = Place::new();
    let more = [
        "training.max_steps=150",
        "optimizer.learning_rate=0.01",
        "baselines.models=[]",
        "--json",
    ];
    let json = train(&place, &more).done().json();
    let right = json["val_accuracy"].as_f64().unwrap();
    assert!(right > 0.9, "{right}");
}

#[test]
fn a_resumed_run_is_the_uninterrupted_one_bit_for_bit() {
    let place = Place::new();
    let more = [
        "model.dropout=0.1",
        "model.input_dropout=0.1",
        "baselines.models=[]",
        "--out",
    ];
    train(&place, &[&more[..], &["whole"]].concat()).done();
    train(&place, &[&more[..], &["run"]].concat()).done();
    let (whole, run) = (place.path("whole"), place.path("run"));
    flip_a_byte(&checkpoint(&run, 12).join("model.bpk"));
    place.dragon(&["train", "--resume", "run"]).done();
    assert_same_run(&whole, &run, 12);
    let resume = |setting: &str| place.dragon(&["train", "--resume", "run", "--max-steps", "14", setting]);
    resume("model.d_model=32").refused(2, &["model.d_model = 32 instead of 16"]);
    resume("dataset.seed=1").refused(2, &["training data", "--accept-changed-data"]);
}

#[test]
fn settings_that_no_run_can_have_are_refused_by_their_key() {
    let place = Place::new();
    for (setting, says) in [
        ("dataset.nodes=[1, 4]", "dataset.nodes"),
        ("dataset.graphs=0", "dataset.graphs"),
        ("model.decay=2", "model.decay"),
        ("baselines.dropout=1", "baselines.dropout"),
        ("baselines.models=[\"gat\"]", "gat"),
    ] {
        train(&place, &[setting]).refused(2, &[says]);
    }
    assert!(
        place.names().is_empty(),
        "nothing was written: {:?}",
        place.names()
    );
}

/// Two triangles of two classes, joined by an edge.
fn tables(place: &Place) {
    std::fs::create_dir(place.path("tables")).unwrap();
    let part = ["train", "val", "test"];
    let node = |node: usize| {
        let (class, part) = (node / 3, part[node % 3]);
        format!("{node}\t{class}\t{part}\t{class}\n")
    };
    place.write("tables/nodes.tsv", (0..6).map(node).collect::<String>());
    place.write("tables/edges.tsv", "0\t1\n1\t2\n2\t0\n3\t4\n4\t5\n5\t3\n2\t3\n");
}

fn on_files(place: &Place, dataset: &str, more: &[&str]) -> Answer {
    let settings = SMALL
        .iter()
        .copied()
        .filter(|setting| !setting.starts_with("dataset."));
    let own = [
        dataset,
        "loss.labels=final",
        "baselines.models=[\"gcn\"]",
        "training.batch_size=1",
    ];
    place.dragon(&[&settings.collect::<Vec<_>>()[..], &own, more].concat())
}

#[test]
fn nodes_of_a_table_are_classified_and_predicted() {
    let place = Place::new();
    tables(&place);
    let dataset = "dataset={ type = \"tsv\", path = \"tables\" }";
    let more = [
        "training.max_steps=60",
        "optimizer.learning_rate=0.02",
        "--out",
        "run",
        "--json",
    ];
    let json = on_files(&place, dataset, &more).done().json();
    assert_eq!(
        (&json["train_labels"], &json["test_labels"]),
        (&2.into(), &2.into())
    );
    assert_eq!(
        (&json["val_accuracy"], &json["test_accuracy"]),
        (&1.0.into(), &1.0.into())
    );
    let answer = place.dragon(&["predict", "run", "tables"]).done().stdout;
    assert_eq!(answer, "0 0 0 1 1 1\n");
    place.write("tables/edges.tsv", "0\t9\n");
    on_files(&place, dataset, &[]).refused(3, &["edges.tsv, line 1", "from 0 to 5"]);
    let reached = ["loss.labels=reached"];
    on_files(&place, dataset, &reached).refused(2, &["loss.labels", "dataset.type"]);
}

#[test]
fn graphs_of_a_fold_and_of_json_are_classified() {
    let place = Place::new();
    let graph = |class: usize| format!("3 {class}\n{class} 1 1\n{class} 2 0 2\n{class} 1 1\n");
    let graphs: String = (0..8).map(|index| graph(index % 2)).collect();
    place.write("graphs.txt", format!("8\n{graphs}"));
    std::fs::create_dir(place.path("folds")).unwrap();
    place.write("folds/test_idx-1.txt", "0\n3\n");
    let dataset = "dataset={ type = \"tu\", path = \"graphs.txt\", folds = \"folds\", fold = 1 }";
    let more = ["training.max_steps=60", "optimizer.learning_rate=0.02", "--json"];
    let json = on_files(&place, dataset, &more).done().json();
    assert_eq!(
        (&json["train_graphs"], &json["validation_graphs"]),
        (&6.into(), &2.into())
    );
    assert_eq!(
        (&json["val_accuracy"], &json["test_accuracy"]),
        (&1.0.into(), &serde_json::Value::Null)
    );
    let line = |part: &str, class: usize| {
        format!(
            "{{\"edges\": [[0, 1]], \"features\": [[{class}], [{class}]], \"label\": {class}, \"part\": \"{part}\"}}\n"
        )
    };
    let lines: String = [0, 1]
        .map(|class| line("train", class) + &line("val", class))
        .concat();
    place.write("graphs.json", &lines);
    let dataset = "dataset={ type = \"json\", path = \"graphs.json\" }";
    let more = [&more[..], &["--out", "run"]].concat();
    assert_eq!(
        on_files(&place, dataset, &more).done().json()["val_accuracy"],
        1.0
    );
    let answer = place.dragon(&["predict", "run", "graphs.json"]).done().stdout;
    assert_eq!(answer, "0\n0\n1\n1\n");
}

#[test]
fn a_model_predicts_from_the_command_line_a_file_and_standard_input() {
    let place = trained();
    let typed = place.dragon(&["predict", "run", PATH]).done().stdout;
    assert_eq!(typed.split_whitespace().count(), 3);
    place.write("graphs.json", format!("{PATH}\n{PATH}\n"));
    let listed = place.dragon(&["predict", "run", "graphs.json"]).done().stdout;
    assert_eq!(listed, typed.repeat(2));
    let read = place
        .dragon_reads(&["predict", "run", "-"], PATH.as_bytes())
        .done()
        .stdout;
    assert_eq!(read, typed);
    let json = place
        .dragon(&["predict", "run", PATH, "--steps", "7", "--json"])
        .done()
        .json();
    assert_eq!(
        (&json["family"], &json["graphs"][0]["steps"]),
        (&"graph".into(), &7.into())
    );
    let text = format!("{PATH}\n{{}}\n");
    let answer = place.dragon_reads(&["predict", "run", "-", "--json"], text.as_bytes());
    assert_eq!(answer.code, Some(3), "{}", answer.stderr);
    assert_eq!(answer.json()["refused"][0]["line"], 2);
    place
        .dragon(&["predict", "run", "nothing.json"])
        .refused(3, &["neither a file nor a graph"]);
    place
        .dragon(&["predict", "run", PATH, "--steps", "0"])
        .refused(2, &["--steps"]);
}

#[test]
fn a_model_goes_out_in_parts_and_is_the_same_model() {
    let place = trained();
    let typed = place.dragon(&["predict", "run", PATH]).done().stdout;
    let export = [
        "export",
        "run",
        "--output",
        "out/model.bpk",
        "--parts-mib",
        "1",
        "--json",
    ];
    assert_eq!(place.dragon(&export).done().json()["parts"], 1);
    let parts = "out/model.bpk.parts.json";
    assert_eq!(place.dragon(&["predict", parts, PATH]).done().stdout, typed);
    place.dragon(&["verify", parts]).done();
    place.dragon(&["verify", "run", "--deep"]).done();
    place.dragon(&["diff", "run", parts]).done();
    let info = place.dragon(&["info", parts, "--json"]).done().json();
    // 2 + 5 rows of 16, 3 matrices of 32 neurons.
    assert_eq!(
        (&info["family"], &info["parameters"]),
        (&"graph".into(), &1648.into())
    );
    let words = [
        "--family",
        "graph",
        "--checkpoint",
        "run",
        "--output",
        "out.bpk",
        "-c",
    ];
    let export = |config: &str| Answer::of(place.program("export_burnpack").args(words).arg(config));
    place.write(
        "wider.json",
        "{\"family\": \"graph\", \"model\": {\"d_model\": 32}}",
    );
    export("wider.json").refused(2, &["d_model is 16 in the model, but 32 in the configuration"]);
    place.write(
        "same.json",
        "{\"family\": \"graph\", \"model\": {\"d_model\": 16}}",
    );
    export("same.json").done();
}
