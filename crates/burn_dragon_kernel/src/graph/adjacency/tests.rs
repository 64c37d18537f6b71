//! Order, duplicates, self edges, blocks, errors.

use super::*;

fn graph(places: usize, edges: &[(usize, usize)], self_edges: SelfEdges) -> Adjacency {
    Adjacency::from_edges(places, edges, self_edges).unwrap()
}

fn edges(graph: &Adjacency) -> Vec<(usize, usize)> {
    graph.edges().collect()
}

#[test]
fn edges_are_sorted_and_duplicates_removed_in_both_directions() {
    let given = [(3, 1), (0, 2), (3, 0), (0, 2), (1, 1), (3, 1)];
    let graph = graph(5, &given, SelfEdges::Keep);
    assert_eq!(edges(&graph), [(0, 2), (1, 1), (3, 0), (3, 1)]);
    assert_eq!(graph.targets_of(3), [0, 1]);
    assert_eq!(graph.readers_of(1), [1, 3]);
    assert!(graph.targets_of(4).is_empty() && graph.readers_of(4).is_empty());
    let incoming = graph.incoming();
    let found: Vec<_> = incoming.of(1).map(|at| incoming.at(at)).collect();
    assert_eq!(found, [(1, 1), (3, 3)], "readers with the indices of the edges");
    for (index, (reader, target)) in graph.edges().enumerate() {
        assert_eq!(graph.edge_index(reader, target), Some(index));
    }
    assert_eq!(
        [
            graph.edge_index(2, 0),
            graph.edge_index(9, 0),
            graph.edge_index(0, 9)
        ],
        [None; 3]
    );
}

#[test]
fn self_edges_are_kept_dropped_or_added_as_asked() {
    let given = [(0, 0), (0, 1), (2, 2), (2, 2)];
    assert_eq!(
        edges(&graph(3, &given, SelfEdges::Keep)),
        [(0, 0), (0, 1), (2, 2)]
    );
    assert_eq!(edges(&graph(3, &given, SelfEdges::Drop)), [(0, 1)]);
    assert_eq!(
        edges(&graph(3, &given, SelfEdges::Add)),
        [(0, 0), (0, 1), (1, 1), (2, 2)]
    );
    let both = Adjacency::undirected(3, &[(0, 1), (1, 0), (2, 2)], SelfEdges::Keep).unwrap();
    assert_eq!(edges(&both), [(0, 1), (1, 0), (2, 2)]);
}

#[test]
fn an_adjacency_turns_around_and_back() {
    let graph = Adjacency::between(3, 5, &[(2, 4), (0, 4), (2, 1)]).unwrap();
    let turned = graph.transposed();
    assert_eq!(edges(&turned), [(1, 2), (4, 0), (4, 2)]);
    assert_eq!([turned.readers(), turned.targets()], [5, 3]);
    assert_eq!(turned.transposed(), graph);
    assert_ne!(turned, graph);
}

#[test]
fn compressed_rows_are_the_same_graph_as_their_edges() {
    let rows = Adjacency::from_offsets(4, &[0, 2, 2, 5], &[3, 1, 0, 3, 0]).unwrap();
    let list = Adjacency::between(3, 4, &[(0, 1), (0, 3), (2, 0), (2, 3)]).unwrap();
    assert_eq!(rows, list);
    assert_eq!(rows.topology_hash(), list.topology_hash());
}

#[test]
fn blocks_follow_each_other_and_do_not_meet() {
    let path = graph(3, &[(0, 1), (1, 2)], SelfEdges::Keep);
    let empty = graph(0, &[], SelfEdges::Keep);
    let lone = graph(1, &[], SelfEdges::Add);
    let both = Adjacency::block_diagonal(&[lone, empty.clone(), path.clone(), path.clone()]).unwrap();
    assert_eq!(edges(&both), [(0, 0), (1, 2), (2, 3), (4, 5), (5, 6)]);
    assert_eq!([both.readers(), both.targets()], [7, 7]);
    assert_eq!(Adjacency::block_diagonal(&[]).unwrap(), empty);
    assert_eq!(
        Adjacency::block_diagonal(std::slice::from_ref(&path)).unwrap(),
        path
    );
}

#[test]
fn the_hash_tells_topologies_apart_and_nothing_else() {
    let keep = SelfEdges::Keep;
    let one = graph(4, &[(0, 1), (1, 2)], keep);
    assert_eq!(
        one.topology_hash(),
        graph(4, &[(1, 2), (0, 1), (1, 2)], keep).topology_hash()
    );
    let others = [
        graph(5, &[(0, 1), (1, 2)], keep),
        graph(4, &[(0, 1)], keep),
        graph(4, &[], keep),
        graph(0, &[], keep),
        graph(4, &[(0, 1), (2, 1)], keep),
        graph(4, &[(0, 0), (0, 1), (1, 2)], keep),
        Adjacency::between(4, 5, &[(0, 1), (1, 2)]).unwrap(),
        Adjacency::between(5, 4, &[(0, 1), (1, 2)]).unwrap(),
        one.transposed(),
    ];
    let mut hashes: Vec<_> = others
        .iter()
        .chain([&one])
        .map(Adjacency::topology_hash)
        .collect();
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), others.len() + 1);
}

#[test]
fn sums_of_factors_are_those_of_the_normalisation() {
    let graph = graph(4, &[(0, 1), (0, 2), (3, 1), (1, 1), (3, 3)], SelfEdges::Keep);
    let factors = |normalisation, sums| graph.factors(normalisation, sums).unwrap().to_vec();
    assert!(graph.factors(Normalisation::Sum, Sums::OfReaders).is_none());
    assert_eq!(
        factors(Normalisation::Mean, Sums::OfReaders),
        [0.5, 0.5, 1.0, 0.5, 0.5]
    );
    let third = 1.0_f32 / 3.0;
    assert_eq!(
        factors(Normalisation::Mean, Sums::OfTargets),
        [third, 1.0, third, third, 1.0]
    );
    let [two, three] = [2.0_f64, 3.0].map(|number| (1.0 / number.sqrt()) as f32);
    let six = (1.0 / 6.0_f64.sqrt()) as f32;
    for sums in [Sums::OfReaders, Sums::OfTargets] {
        assert_eq!(
            factors(Normalisation::Symmetric, sums),
            [six, two, three, six, two]
        );
    }
}

#[test]
fn what_is_no_graph_is_refused_with_its_place_and_values() {
    let refused = [
        (
            Adjacency::from_edges(3, &[(0, 1), (3, 0)], SelfEdges::Keep),
            "edge 1 starts at place 3, but there are 3; places are counted from 0",
        ),
        (
            Adjacency::between(3, 2, &[(0, 1), (2, 2)]),
            "edge 1 ends at place 2, but there are 2; places are counted from 0",
        ),
        (
            Adjacency::from_edges(usize::MAX, &[], SelfEdges::Keep),
            "18446744073709551615 readers; at most 4294967295 are counted",
        ),
        (
            Adjacency::from_offsets(2, &[], &[]),
            "no offsets; expected one more than there are readers, the first 0",
        ),
        (
            Adjacency::from_offsets(2, &[1, 1], &[]),
            "the first offset is 1, expected 0",
        ),
        (
            Adjacency::from_offsets(2, &[0, 2, 1], &[0]),
            "offset 2 is 1, expected at least 2, the one before it",
        ),
        (
            Adjacency::from_offsets(2, &[0, 1], &[0, 1]),
            "the offsets end at 1, but there are 2 neighbours; the last offset is their number",
        ),
        (
            Adjacency::from_offsets(2, &[0, 1], &[2]),
            "edge 0 ends at place 2, but there are 2; places are counted from 0",
        ),
    ];
    for (given, expected) in refused {
        assert_eq!(given.unwrap_err().to_string(), expected);
    }
}
