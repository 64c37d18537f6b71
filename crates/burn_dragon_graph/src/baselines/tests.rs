use super::*;
use crate::evaluate::graphs;
use crate::graph::{Example, Labels};
use std::sync::Arc;

fn config(levels: usize) -> BaselineConfig {
    BaselineConfig {
        schema: Schema {
            features: 3,
            classes: vec!["a".into(), "b".into()],
            target: Target::Nodes,
            coding: None,
        },
        width: 8,
        levels,
        dropout: 0.0,
        scale: FeatureScale::Root,
    }
}

/// A path of six nodes, the first of which has the given feature.
fn path(feature: u32) -> Graph {
    let features = (0..6).map(|node| vec![if node == 0 { feature } else { 0 }]);
    let edges: Vec<_> = (0..5).map(|node| (node, node + 1)).collect();
    Graph::undirected(&edges, features.collect()).unwrap()
}

fn rows(model: &Baseline, graph: &Graph) -> Vec<Vec<f32>> {
    let input = model.input(&[graph]).unwrap();
    let last = model.logits(&input, GraphPass::default()).pop().unwrap();
    let values = last.into_data().convert::<f32>();
    let values: Vec<f32> = values.iter::<f32>().collect();
    values.chunks(2).map(<[f32]>::to_vec).collect()
}

/// A baseline of k levels is reached by what is k edges away, and the perceptron by nothing.
#[test]
fn levels_are_hops() {
    for (name, hops) in [
        (BaselineName::Gcn, 3),
        (BaselineName::Gru, 3),
        (BaselineName::Mlp, 0),
    ] {
        let model = Baseline::new(name, &config(3), 1, &Device::flex());
        let (one, two) = (rows(&model, &path(1)), rows(&model, &path(2)));
        for (node, (one, two)) in one.iter().zip(&two).enumerate() {
            assert_eq!(one != two, node <= hops, "{name:?}, node {node}");
        }
    }
}

/// The convolution by its equation, in plain loops.
#[test]
fn a_convolution_is_that_of_the_publication() {
    let model = Baseline::new(BaselineName::Gcn, &config(2), 3, &Device::flex());
    let Baseline::Gcn(gcn) = &model else {
        panic!("a GCN was asked for")
    };
    let numbers = |matrix: &Param<Tensor<2>>| -> Vec<f32> {
        matrix.val().into_data().convert::<f32>().iter::<f32>().collect()
    };
    let (features, readout) = (numbers(&gcn.features), numbers(&gcn.readout));
    let graph = path(1);
    let degree = |node: usize| if node == 0 || node == 5 { 2.0f32 } else { 3.0 };
    let spread = |h: &[Vec<f32>]| -> Vec<Vec<f32>> {
        let own = |node: usize| {
            let near = (0..6usize).filter(|other| other.abs_diff(node) <= 1);
            let mut sum = vec![0.0; h[0].len()];
            for other in near {
                let weight = 1.0 / (degree(node) * degree(other)).sqrt();
                sum.iter_mut()
                    .zip(&h[other])
                    .for_each(|(sum, h)| *sum += weight * h);
            }
            sum
        };
        (0..6).map(own).collect()
    };
    let feature = |node: usize| graph.features()[node][0] as usize;
    let h0: Vec<Vec<f32>> = (0..6)
        .map(|node| features[8 * feature(node)..][..8].to_vec())
        .collect();
    let relu = |row: Vec<f32>| row.into_iter().map(|value| value.max(0.0)).collect();
    let h1: Vec<Vec<f32>> = spread(&h0).into_iter().map(relu).collect();
    for (row, given) in spread(&h1).iter().zip(rows(&model, &graph)) {
        for class in 0..2 {
            let expected: f32 = row
                .iter()
                .enumerate()
                .map(|(i, h)| h * readout[2 * i + class])
                .sum();
            assert!((expected - given[class]).abs() < 1e-5);
        }
    }
}

#[test]
fn a_graph_has_the_mean_of_its_nodes() {
    let mut config = config(2);
    config.schema.target = Target::Graphs;
    let graph = path(1);
    for name in [BaselineName::Gcn, BaselineName::Gru, BaselineName::Mlp] {
        let model = Baseline::new(name, &config, 1, &Device::flex());
        let input = model.input(&[&graph, &path(2)]).unwrap();
        let logits = model.logits(&input, GraphPass::default()).pop().unwrap();
        assert_eq!(logits.dims(), [2, 2]);
        let example = Example {
            graph: Arc::new(graph.clone()),
            labels: Labels::Graph(1),
        };
        assert_eq!(graphs(&[example]).len(), 1);
    }
}

/// Nodes with two features of which one is everywhere: divided by the number, a row is the mean of both.
#[test]
fn the_published_recipe_divides_features_by_their_number_and_has_a_penalty_on_them_alone() {
    let graph = Graph::undirected(&[], vec![vec![0, 1]; 2]).unwrap();
    let of = |scale| {
        let config = BaselineConfig { scale, ..config(2) };
        let model = Baseline::new(BaselineName::Mlp, &config, 1, &Device::flex());
        let rows = model.input(&[&graph]).unwrap().embed(&model.features(), None);
        (model, rows.into_data().convert::<f32>())
    };
    let ((model, by_number), (_, by_root)) = (of(FeatureScale::Number), of(FeatureScale::Root));
    let features: Vec<f32> = model.features().into_data().iter::<f32>().collect();
    for (index, (number, root)) in by_number
        .iter::<f32>()
        .zip(by_root.iter::<f32>())
        .take(8)
        .enumerate()
    {
        let sum = features[index] + features[8 + index];
        assert!((number - sum / 2.0).abs() < 1e-6 && (root - sum / 2f32.sqrt()).abs() < 1e-6);
    }
    let mut baselines = BaselinesConfig {
        recipe: BaselineRecipe::Published,
        weight_decay: 0.5,
        ..BaselinesConfig::default()
    };
    let squares: f32 = features.iter().map(|weight| weight * weight).sum();
    let given = penalty(&baselines, &model).unwrap().into_scalar::<f32>();
    assert!((given - 0.25 * squares).abs() < 1e-5, "{given}");
    assert_eq!(
        optimizer_of(&baselines).method,
        Method::AdamW(AdamW {
            learning_rate: 4e-3,
            weight_decay: 0.0,
            ..AdamW::default()
        })
    );
    baselines.recipe = BaselineRecipe::Run;
    assert!(penalty(&baselines, &model).is_none());
}
