//! Further data of the graph family: connectivity of generated graphs, and GraphML.

use crate::support::{Answer, Place};

fn train(place: &Place, more: &[&str]) -> Answer {
    let settings = [
        "train",
        "graph",
        "model.d_model=16",
        "model.n_neurons=32",
        "baselines.models=[]",
        "optimizer.learning_rate=0.01",
        "schedule.warmup_steps=2",
        "evaluation.every=100",
        "checkpoint.every=100",
        "--out",
        "run",
        "--json",
    ];
    place.dragon(&[&settings, more].concat())
}

#[test]
fn connectivity_of_small_graphs_is_learnt() {
    let place = Place::new();
    let own = [
        "dataset.task=connectivity",
        "dataset.graphs=200",
        "dataset.validation_graphs=40",
        "dataset.test_graphs=10",
        "dataset.nodes=[5, 8]",
        "dataset.test_nodes=[10, 16]",
        "model.n_levels=5",
        "training.batch_size=8",
        "training.max_steps=120",
    ];
    let reached = [&own[..], &["loss.labels=reached"]].concat();
    train(&place, &reached).refused(2, &["loss.labels", "dataset.task"]);
    let json = train(&place, &own).done().json();
    let (right, majority) = (
        &json["val_accuracy"],
        &json["controls"]["majority_label_accuracy"],
    );
    let (right, majority) = (right.as_f64().unwrap(), majority.as_f64().unwrap());
    assert!(right > 0.85 && majority < 0.7, "{right} {majority}");
    assert_eq!(json["classes"], 2);
    place.write("graph.graphml", graphml());
    place
        .dragon(&["predict", "run", "graph.graphml"])
        .refused(3, &["was not trained on GraphML", "JSON"]);
    let graph = r#"{"nodes": 4, "edges": [[0, 1], [1, 2]], "source": 0}"#;
    let answer = place.dragon(&["predict", "run", graph]).done().stdout;
    let classes: Vec<&str> = answer.split_whitespace().collect();
    assert!(
        classes.len() == 4 && classes.iter().all(|class| ["apart", "connected"].contains(class)),
        "{answer}"
    );
}

/// Nodes of two topics by their word, in three parts.
fn graphml() -> String {
    let node = |number: usize| {
        let (word, part) = (
            ["on", "off"][number % 2],
            ["train", "val", "test"][number / 2 % 3],
        );
        format!(
            "<node id=\"n{number}\"><data key=\"t\">{}</data><data key=\"p\">{part}</data><data key=\"w\">{word}</data></node>\n",
            number % 2
        )
    };
    let nodes: String = (0..12).map(node).collect();
    let edges: String = (0..10)
        .map(|number| format!("<edge source=\"n{number}\" target=\"n{}\"/>\n", number + 2))
        .collect();
    format!(
        "<graphml>\n<key id=\"t\" for=\"node\" attr.name=\"topic\" attr.type=\"int\"/>\n<key id=\"p\" for=\"node\" \
         attr.name=\"part\" attr.type=\"string\"/>\n<key id=\"w\" for=\"node\" attr.name=\"word\" attr.type=\"string\"/>\n\
         <graph edgedefault=\"undirected\">\n{nodes}{edges}</graph>\n</graphml>\n"
    )
}

#[test]
fn nodes_of_graphml_are_classified_and_what_is_none_is_named_with_its_line() {
    let place = Place::new();
    place.write("graph.graphml", graphml());
    let dataset =
        "dataset={ type = \"graphml\", path = \"graph.graphml\", label = \"topic\", part = \"part\" }";
    let own = [
        dataset,
        "model.n_levels=2",
        "training.batch_size=1",
        "training.max_steps=60",
    ];
    let json = train(&place, &own).done().json();
    assert_eq!(
        (&json["train_labels"], &json["test_labels"]),
        (&4.into(), &4.into())
    );
    assert_eq!(
        (&json["val_accuracy"], &json["test_accuracy"]),
        (&1.0.into(), &1.0.into())
    );
    let found = place.dragon(&["eval", "run", "--json"]).done().json();
    assert_eq!(found["test_accuracy"], 1.0);
    let classes = place.dragon(&["predict", "run", "graph.graphml"]).done().stdout;
    assert_eq!(classes, "0 1 0 1 0 1 0 1 0 1 0 1\n");
    // Neither classes nor parts are needed, but the words of the training are.
    let unlabelled = graphml()
        .replace(" attr.name=\"topic\"", "")
        .replace(" attr.name=\"part\"", "");
    place.write("new.graphml", unlabelled.replacen(">off<", ">on<", 1));
    let classes = place.dragon(&["predict", "run", "new.graphml"]).done().stdout;
    assert_eq!(classes.split_whitespace().count(), 12);
    place.write("new.graphml", unlabelled.replacen(">off<", ">away<", 1));
    place
        .dragon(&["predict", "run", "new.graphml"])
        .refused(3, &["node 1", "`word` has the value `away`"]);
    place.write(
        "new.graphml",
        unlabelled.replace("attr.name=\"word\"", "attr.name=\"term\""),
    );
    place
        .dragon(&["predict", "run", "new.graphml"])
        .refused(3, &["new.graphml", "no key of nodes has the name `word`"]);
    place.write(
        "graph.graphml",
        graphml().replace("target=\"n2\"", "target=\"n20\""),
    );
    train(&place, &own).refused(3, &["graph.graphml, line 18", "`n20` is no node"]);
    let other = dataset.replace("\"topic\"", "\"colour\"");
    place.write("graph.graphml", graphml());
    train(&place, &[&other]).refused(2, &["dataset.label is `colour`", "topic, part, word"]);
}
