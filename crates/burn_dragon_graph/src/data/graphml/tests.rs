//! Tests of the GraphML source.

use super::coding::{RANKS, ranks};
use super::document::Finite;
use super::*;

/// Four nodes with keys of every type; `c` is the default of the topic.
const NODES: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<graphml xmlns="http://graphml.graphdrawing.org/xmlns" xmlns:y="http://www.yworks.com/xml/graphml">
  <desc>a test</desc>
  <key id="d0" for="node" attr.name="topic" attr.type="string"><default>c</default></key>
  <key id="d1" for="node" attr.name="part" attr.type="string"/>
  <key id="d2" for="node" attr.name="new" attr.type="boolean"/>
  <key id="d3" for="node" attr.name="year" attr.type="int"/>
  <key id="d4" for="node" attr.name="weight" attr.type="double"/>
  <key id="d5" for="edge" attr.name="kind" attr.type="string"/>
  <key id="d6" for="node" yfiles.type="nodegraphics"/>
  <graph id="G" edgedefault="undirected">
    <edge source="a" target="b"><data key="d5">cites</data></edge>
    <node id="a"><data key="d0">b</data><data key="d1">train</data><data key="d2">true</data>
      <data key="d6"><y:ShapeNode><y:Fill color="red"/></y:ShapeNode></data></node>
    <node id="b"><data key="d0"> a </data><data key="d1">val</data><data key="d3">-7</data></node>
    <node id="c"><data key="d1">test</data><data key="d2">0</data><data key="d4">-0.5</data></node>
    <node id="d"><data key="d1">none</data><data key="d3">3</data><data key="d4">2e0</data></node>
    <edge source="b" target="c" directed="true"/>
  </graph>
</graphml>
"#;

fn config(text: &str) -> (tempfile::TempDir, GraphmlConfig) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("graphs.graphml");
    std::fs::write(&path, text).unwrap();
    let config = GraphmlConfig {
        path,
        label: "topic".into(),
        part: Some("part".into()),
        features: None,
    };
    (folder, config)
}

fn load(text: &str) -> Result<Data, GraphError> {
    let (_folder, config) = config(text);
    config.load()
}

#[test]
fn values_of_every_type_are_features_and_classes_in_rising_order() {
    let data = load(NODES).unwrap();
    assert_eq!(data.schema.classes, ["a", "b", "c"]);
    assert_eq!(data.schema.target, Target::Nodes);
    // 0: new, 1 and 2: the years -7 and 3, 3 and 4: weights up to, and from, 2.
    assert_eq!(data.schema.features, 5);
    let graph = &data.train[0].graph;
    assert_eq!(graph.features(), [vec![0], vec![1], vec![3], vec![2, 4]]);
    assert_eq!(graph.edges(), [(0, 1), (1, 0), (1, 2)]);
    let labels = |examples: &[Example]| match &examples[0].labels {
        Labels::Nodes(labels) => labels.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(labels(&data.train), [Some(1), None, None, None]);
    assert_eq!(labels(&data.validation), [None, Some(0), None, None]);
    assert_eq!(labels(&data.test), [None, None, Some(2), None]);
    assert!(Arc::ptr_eq(graph, &data.test[0].graph));
}

#[test]
fn chosen_keys_are_the_features_and_none_is_one_that_no_node_has() {
    let (_folder, mut config) = config(NODES);
    config.features = Some(vec!["weight".into(), "new".into()]);
    let data = config.load().unwrap();
    assert_eq!(
        data.train[0].graph.features(),
        [vec![2], vec![], vec![0], vec![1]]
    );
    config.features = Some(Vec::new());
    let data = config.load().unwrap();
    assert_eq!(
        (data.schema.features, data.train[0].graph.features()[0].len()),
        (1, 0)
    );
    config.features = Some(vec!["topic".into()]);
    let error = config.load().unwrap_err().to_string();
    assert!(
        error.contains("dataset.features has `topic`, which is the class"),
        "{error}"
    );
}

#[test]
fn a_float_is_one_of_sixteen_ranks_with_equal_shares() {
    let values: Vec<Value> = (0..160)
        .map(|number| Value::Float(Finite(f64::from(number * number))))
        .collect();
    let all: Vec<&Value> = values.iter().collect();
    let ranks = ranks(&all);
    let mut counts = [0; RANKS];
    for value in &values {
        let Value::Float(number) = value else { panic!() };
        counts[ranks.partition_point(|least| least <= number)] += 1;
    }
    assert_eq!(counts, [10; RANKS]);
    let same = Value::Float(Finite(1.0));
    assert!(super::coding::ranks(&[&same, &same]).is_empty());
}

/// Graphs of two classes, by their number.
fn graphs(count: usize) -> String {
    let graph = |number: usize| {
        format!(
            "<graph edgedefault=\"directed\"><data key=\"c\">{}</data><node id=\"n\"/><node id=\"m\"/><edge \
             source=\"m\" target=\"n\"/></graph>\n",
            number % 2 == 1
        )
    };
    let graphs: String = (0..count).map(graph).collect();
    format!(
        "<graphml>\n<key id=\"c\" for=\"graph\" attr.name=\"topic\" attr.type=\"boolean\"/>\n{graphs}</graphml>"
    )
}

#[test]
fn a_key_of_graphs_classifies_graphs_and_one_in_ten_is_held_out() {
    let (_folder, mut config) = config(&graphs(200));
    config.part = None;
    let data = config.load().unwrap();
    assert_eq!(
        (&data.schema.classes[..], data.schema.target),
        (&["false".into(), "true".into()][..], Target::Graphs)
    );
    assert_eq!(
        (data.train.len() + data.validation.len(), data.test.len()),
        (200, 0)
    );
    assert!(
        (10..30).contains(&data.validation.len()),
        "{}",
        data.validation.len()
    );
    assert_eq!(data, config.load().unwrap());
    let first = [&data.train[..], &data.validation].concat();
    let ones = first
        .iter()
        .filter(|example| example.labels == Labels::Graph(1))
        .count();
    assert_eq!(ones, 100);
    assert_eq!(first[0].graph.edges(), [(1, 0)]);
}

#[test]
fn what_is_no_graphml_is_named_with_its_line() {
    for (from, to, line, says) in [
        (
            "<node id=\"b\">",
            "<node id=\"b\"><port name=\"p\"/>",
            15,
            "`<port>` in `<node>` is not read",
        ),
        ("<graphml xmlns", "<svg xmlns", 20, "does not end `<svg>`"),
        ("edgedefault=\"undirected\"", "", 11, "no attribute `edgedefault`"),
        (
            "\"undirected\"",
            "\"both\"",
            11,
            "expected directed or undirected",
        ),
        (
            "attr.type=\"int\"",
            "attr.type=\"short\"",
            7,
            "`short`; expected boolean",
        ),
        ("id=\"d3\"", "id=\"d2\"", 7, "two keys with the id `d2`"),
        (
            ">-7<",
            ">many<",
            15,
            "key `year` is `many`; expected a whole number",
        ),
        (">2e0<", ">inf<", 17, "expected a finite number"),
        (">0<", ">no<", 16, "expected true or false"),
        (
            "<data key=\"d5\">",
            "<data key=\"d9\">",
            12,
            "no key with the id `d9`",
        ),
        (
            "<data key=\"d5\">",
            "<data key=\"d3\">",
            12,
            "is for `node`, and not for `edge`",
        ),
        (
            "source=\"b\" target=\"c\"",
            "source=\"b\" target=\"e\"",
            18,
            "the target `e` is no node",
        ),
        (
            "directed=\"true\"",
            "directed=\"yes\"",
            18,
            "expected true or false",
        ),
        (
            "<node id=\"d\">",
            "<node id=\"c\">",
            17,
            "two nodes with the id `c`",
        ),
        (
            "<data key=\"d4\">2e0",
            "<data key=\"d3\">2",
            17,
            "has the key `d3` twice",
        ),
        (
            "<desc>a test</desc>",
            "<hyperedge/>",
            3,
            "`<hyperedge>` in `<graphml>` is not read",
        ),
        (" a </data>", "<b/></data>", 15, "expected text"),
    ] {
        let text = NODES.replacen(from, to, 1);
        assert_ne!(text, NODES, "{from}");
        match load(&text).unwrap_err() {
            GraphError::Line {
                line: at,
                reason,
                path,
            } => {
                assert!(reason.contains(says), "{to}: {reason}");
                assert_eq!(
                    (at, path.file_name().unwrap()),
                    (line, "graphs.graphml".as_ref()),
                    "{to}: {reason}"
                );
            }
            other => panic!("{to}: {other}"),
        }
    }
    assert!(
        load("<graphml/>")
            .unwrap_err()
            .to_string()
            .contains("there is no graph")
    );
    let empty = "<graphml><graph edgedefault=\"directed\"/></graphml>";
    assert!(load(empty).unwrap_err().to_string().contains("has no node"));
}

#[test]
fn settings_that_do_not_fit_the_keys_of_the_file_are_refused_by_name() {
    let (_folder, right) = config(NODES);
    let refused = |wrong: GraphmlConfig, says: &[&str]| {
        let error = wrong.load().unwrap_err().to_string();
        assert!(says.iter().all(|words| error.contains(words)), "{error}");
    };
    let label = |label: &str| GraphmlConfig {
        label: label.into(),
        ..right.clone()
    };
    refused(
        label("colour"),
        &["dataset.label is `colour`", "topic, part, new, year, weight"],
    );
    refused(
        label("weight"),
        &["dataset.label", "type float", "expected boolean"],
    );
    refused(label("kind"), &["dataset.label is `kind`", "node or graph"]);
    let part = |part: &str| GraphmlConfig {
        part: Some(part.into()),
        ..right.clone()
    };
    refused(part("year"), &["dataset.part", "type int", "expected string"]);
    refused(part("split"), &["dataset.part is `split`"]);
    let (_other, wrong) = config(&NODES.replace(">val<", ">dev<"));
    refused(wrong, &["a part is `dev`", "graphs.graphml"]);
    let twice = NODES.replace("attr.name=\"year\"", "attr.name=\"topic\"");
    let (_third, wrong) = config(&twice);
    refused(wrong, &["2 keys of a node or graph have this name"]);
}

/// A file without classes and parts, other values, in another order of keys, has the features of the training.
#[test]
fn another_file_is_read_with_the_features_of_the_training() {
    let (folder, config) = config(NODES);
    let coding = config.load().unwrap().schema.coding.unwrap();
    let stored = serde_json::to_string(&coding).unwrap();
    let coding: GraphmlCoding = serde_json::from_str(&stored).unwrap();
    let path = folder.path().join("new.graphml");
    let keys = "<graphml><key id=\"w\" for=\"node\" attr.name=\"weight\" attr.type=\"double\"/><key id=\"y\" \
                for=\"node\" attr.name=\"year\" attr.type=\"int\"/><key id=\"n\" for=\"node\" attr.name=\"new\" \
                attr.type=\"boolean\"/><graph edgedefault=\"directed\">";
    let graph = |year: &str| {
        format!(
            "{keys}<node id=\"a\"><data key=\"w\">1.9</data><data key=\"y\">{year}</data></node><node id=\"b\"><data \
             key=\"n\">true</data><data key=\"w\">2</data></node></graph></graphml>"
        )
    };
    let read = |text: &str| {
        std::fs::write(&path, text).unwrap();
        graphs_of_file(&path, &coding)
    };
    let graphs = read(&graph("3")).unwrap();
    assert_eq!(graphs.len(), 1);
    assert_eq!(graphs[0].1.as_ref().unwrap().features(), [vec![2, 3], vec![0, 4]]);
    let unknown = read(&graph("4")).unwrap().remove(0).1.unwrap_err();
    assert!(
        unknown.contains("node 0") && unknown.contains("`year` has the value `4`"),
        "{unknown}"
    );
    for (text, says) in [
        (
            graph("3").replace("\"weight\"", "\"mass\""),
            "no key of nodes has the name `weight`",
        ),
        (
            graph("3").replace("\"double\"", "\"string\""),
            "`weight` is of the type string",
        ),
        (
            graph("3").replace("\"weight\"", "\"year\""),
            "2 keys of nodes have the name `year`",
        ),
    ] {
        let error = read(&text).unwrap_err().to_string();
        assert!(error.contains(says) && error.contains("new.graphml"), "{error}");
    }
    coding.check(5).unwrap();
    assert!(coding.check(4).unwrap_err().contains("makes 5 features"));
}
