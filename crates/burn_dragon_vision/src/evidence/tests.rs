use super::index::Index;
use super::plane::{angle_between, distance, minus, plus, turned};
use super::*;
use crate::picture::{Colours, Picture};
use burn_dragon_core::api::expert::Rng;
use std::f64::consts::{FRAC_PI_2, PI, TAU};

const SIZE: usize = 48;

fn memory(rules: &Rules) -> Memory {
    let learn = |(name, strokes): &(&str, &[&[[i8; 2]]])| {
        ObjectModel::learn(*name, &drawn(strokes, 0.0, SIZE), rules)
    };
    Memory {
        objects: FIGURES.iter().map(learn).collect(),
    }
}

fn figure(object: usize, angle: f64) -> Picture {
    drawn(FIGURES[object].1, angle, SIZE)
}

#[test]
fn the_angle_of_a_line_is_sensed_up_to_a_half_turn_and_its_features_whatever_the_angle() {
    for degrees in (0..360).step_by(15) {
        let angle = f64::from(degrees).to_radians();
        let picture = drawn(&[&[[-4, 0], [4, 0]]], angle, SIZE);
        let sensor = Sensor::new(&picture);
        let centre = (0..sensor.pixels()).min_by(|&a, &b| {
            let from_centre = |pixel| distance(sensor.place(pixel), [0.0, 0.0]);
            from_centre(a).total_cmp(&from_centre(b))
        });
        let sensed = sensor.sense(centre.unwrap());
        let error = angle_between(2.0 * sensed.angle.unwrap(), 2.0 * angle) / 2.0;
        assert!(error.to_degrees() < 5.0, "{degrees}: {error}");
        assert!((0.5..0.75).contains(&sensed.features[0]), "{degrees}: {sensed:?}");
    }
}

#[test]
fn a_patch_without_an_edge_has_no_angle() {
    let full = Picture::new(9, 9, Colours::Gray, vec![255; 81]);
    assert_eq!(
        Sensor::new(&full).sense(40),
        Sensed {
            angle: None,
            features: [1.0, 0.0]
        }
    );
    // A dot has edges in every direction.
    let mut dot = Picture::black(9, 9, Colours::Rgb);
    dot.pixel_mut(4, 4).fill(255);
    let sensor = Sensor::new(&dot);
    assert_eq!(
        (sensor.pixels(), sensor.place(0), sensor.sense(0).angle),
        (1, [0.0, 0.0], None)
    );
}

#[test]
fn stored_points_are_apart_or_look_different_and_no_pixel_is_far_from_one() {
    let rules = Rules::default();
    let picture = figure(4, 0.0);
    let (model, sensor) = (ObjectModel::learn("R", &picture, &rules), Sensor::new(&picture));
    assert!(
        model.points().len() < sensor.pixels() / 2,
        "{} of {}",
        model.points().len(),
        sensor.pixels()
    );
    for pixel in 0..sensor.pixels() {
        let near = |point: &Point| distance(point.location, sensor.place(pixel)) <= rules.point_distance;
        assert!(model.points().iter().any(near));
    }
    let sparse = Rules {
        point_distance: 6.0,
        feature_tolerance: 1.0,
        angle_tolerance: FRAC_PI_2,
        ..rules
    };
    let with_angle: Vec<[f64; 2]> = ObjectModel::learn("R", &picture, &sparse)
        .points()
        .iter()
        .filter(|point| point.sensed.angle.is_some())
        .map(|point| point.location)
        .collect();
    for (number, a) in with_angle.iter().enumerate() {
        assert!(with_angle[..number].iter().all(|b| distance(*a, *b) > 6.0));
    }
}

#[test]
fn places_are_found_as_by_measuring_all() {
    let mut rng = Rng::new(1);
    let mut place = || [20.0 * rng.uniform() - 10.0, 7.0 * rng.uniform()];
    let places: Vec<[f64; 2]> = (0..200).map(|_| place()).collect();
    let index = Index::new(places.clone(), 1.5);
    for _ in 0..200 {
        let at = place().map(|coordinate| 1.4 * coordinate);
        let mut found = Vec::new();
        index.near(at, |number, apart| found.push((number, apart)));
        found.sort_by_key(|(number, _)| *number);
        let all = places
            .iter()
            .enumerate()
            .map(|(number, place)| (number, distance(at, *place)));
        assert_eq!(found, all.filter(|(_, apart)| *apart <= 1.5).collect::<Vec<_>>());
    }
    Index::new(Vec::new(), 1.0).near([0.0, 0.0], |_, _| panic!("nothing is there"));
}

#[test]
fn a_true_hypothesis_gains_at_every_step_and_moves_with_the_sensor() {
    let rules = Rules::default();
    let memory = memory(&rules);
    let angle = 0.7;
    let picture = figure(2, angle);
    let sensor = Sensor::new(&picture);
    let mut rng = Rng::new(3);
    let start = rng.below(sensor.pixels());
    let mut column = Column::new(&memory, &rules, sensor.place(start), &sensor.sense(start));
    let steps = 15;
    let mut place = sensor.place(start);
    for _ in 0..steps {
        let pixel = rng.below(sensor.pixels());
        place = sensor.place(pixel);
        column.observe(place, &sensor.sense(pixel));
    }
    let best = column.best_of(2).unwrap();
    assert!(angle_between(best.rotation, angle) < 0.3, "{best:?}");
    assert!(
        distance(best.location, turned(place, -angle)) < 4.0,
        "{best:?} {place:?}"
    );
    assert!(best.evidence > 1.0 * f64::from(steps), "{best:?}");
    let most = 2.0 * f64::from(steps) + 1.0;
    let least = -f64::from(steps);
    let all = column.hypotheses();
    assert!(
        all.iter()
            .all(|hypothesis| (least..=most).contains(&hypothesis.evidence))
    );
    assert!(all.iter().any(|hypothesis| hypothesis.evidence < 0.0));
}

#[test]
fn increments_are_bounded_and_features_never_subtract() {
    let rules = Rules::default();
    let model = &memory(&rules).objects[0];
    let point = model.points()[10];
    let of = |sensed: &Sensed, location, rotation| model.increment(sensed, location, rotation, &rules);
    assert_eq!(of(&point.sensed, [500.0, 0.0], 0.0), -1.0);
    assert!((of(&point.sensed, point.location, 0.0) - 2.0).abs() < 1e-12);
    // Turned with the object by half a turn, the edge is the same.
    assert!((of(&point.sensed, point.location, PI) - 2.0).abs() < 1e-12);
    let strange = Sensed {
        features: [9.0, 9.0],
        ..point.sensed
    };
    assert!((of(&strange, point.location, 0.0) - 1.0).abs() < 1e-12);
    assert!(
        of(
            &Sensed {
                angle: None,
                ..strange
            },
            point.location,
            0.0
        )
        .abs()
            < 1e-12
    );
}

#[test]
fn votes_are_moved_to_the_place_of_the_receiver() {
    let rules = Rules::default();
    let memory = memory(&rules);
    let angle = 2.1;
    let picture = figure(5, angle);
    let sensor = Sensor::new(&picture);
    let column = |pixel| Column::new(&memory, &rules, sensor.place(pixel), &sensor.sense(pixel));
    let (mut receiver, sender) = (column(20), sensor.place(150));
    // One vote, for the truth: the object is turned by the angle, and the sender is on it.
    let hypothesis = Hypothesis {
        object: 5,
        location: turned(sender, -angle),
        rotation: angle,
        evidence: 9.0,
    };
    let before = receiver.hypotheses().to_vec();
    receiver.receive(&[Vote {
        hypothesis,
        place: sender,
        evidence: 0.9,
    }]);
    let truth = plus(
        hypothesis.location,
        turned(minus(sensor.place(20), sender), -angle),
    );
    assert!(distance(truth, turned(sensor.place(20), -angle)) < 1e-9);
    let mut raised = 0;
    for (before, after) in before.iter().zip(receiver.hypotheses()) {
        let is_near = before.object == 5 && distance(before.location, truth) < rules.match_distance;
        let expected = before.evidence + if is_near { 0.9 * rules.vote_weight } else { 0.0 };
        assert!((after.evidence - expected).abs() < 1e-12, "{before:?} {after:?}");
        raised += usize::from(is_near);
    }
    assert!(raised > 0 && raised < before.len() / 10, "{raised}");
}

#[test]
fn votes_are_the_best_hypotheses_scaled() {
    let rules = Rules::default();
    let memory = memory(&rules);
    let picture = figure(5, 0.0);
    let sensor = Sensor::new(&picture);
    let mut column = Column::new(&memory, &rules, sensor.place(0), &sensor.sense(0));
    (1..8).for_each(|k| column.observe(sensor.place(9 * k), &sensor.sense(9 * k)));
    let votes = column.votes();
    let evidences = column.hypotheses().iter().map(|hypothesis| hypothesis.evidence);
    let most = evidences.fold(f64::NEG_INFINITY, f64::max);
    assert!(
        votes
            .iter()
            .all(|vote| vote.evidence > 0.8 && vote.evidence <= 1.0)
    );
    assert!(
        votes
            .iter()
            .any(|vote| vote.evidence == 1.0 && vote.hypothesis.evidence == most)
    );
    assert!(votes.len() < column.hypotheses().len() / 4);
}

#[test]
fn a_column_without_positive_evidence_sends_no_vote() {
    let rules = Rules::default();
    let memory = memory(&rules);
    let picture = figure(5, 0.0);
    let sensor = Sensor::new(&picture);
    let sensed = sensor.sense(0);
    let mut column = Column::new(&memory, &rules, sensor.place(0), &sensed);
    assert!(!column.votes().is_empty() && !column.possible().is_empty());
    // Nothing is stored out there: each step costs each hypothesis 1.
    (0..3).for_each(|step| column.observe([500.0 + f64::from(step), 0.0], &sensed));
    let evidences: Vec<f64> = column
        .hypotheses()
        .iter()
        .map(|hypothesis| hypothesis.evidence)
        .collect();
    assert!(evidences.iter().all(|&evidence| evidence < 0.0) && evidences.iter().any(|e| e != &evidences[0]));
    assert!(column.votes().is_empty() && column.possible().is_empty() && column.matched().is_none());
}

#[test]
fn the_unknown_is_not_matched_and_nothing_is_nothing() {
    let rules = Rules::default();
    let memory = memory(&rules);
    let black = Picture::black(SIZE, SIZE, Colours::Gray);
    let nothing = Recognition {
        end: End::NoMatch,
        hypothesis: None,
        steps: 0,
    };
    assert_eq!(recognise(&memory, &black, 5, &rules, 1), nothing);
    // A full square is no figure of strokes: most movements lead off every model.
    let square = Picture::new(SIZE, SIZE, Colours::Gray, vec![255; SIZE * SIZE]);
    for columns in [1, 5] {
        let ends: Vec<End> = (0..10)
            .map(|seed| recognise(&memory, &square, columns, &rules, seed).end)
            .collect();
        assert!(
            ends.iter().filter(|&&end| end == End::NoMatch).count() >= 8,
            "{columns}: {ends:?}"
        );
    }
    assert_eq!(
        recognise(&Memory::default(), &figure(0, 0.0), 1, &rules, 1).end,
        End::NoMatch
    );
}

#[test]
fn time_runs_out_if_two_objects_are_the_same() {
    let rules = Rules {
        most_steps: 12,
        ..Rules::default()
    };
    let one = ObjectModel::learn("one", &figure(3, 0.0), &rules);
    let memory = Memory {
        objects: vec![one.clone(), one],
    };
    let found = recognise(&memory, &figure(3, 1.0), 3, &rules, 2);
    assert_eq!((found.end, found.steps), (End::TimeOut, 12));
    assert!(angle_between(found.hypothesis.unwrap().rotation, 1.0) < 0.3);
}

#[test]
fn five_columns_recognise_turned_figures_in_fewer_steps_than_one() {
    let rules = Rules::default();
    let memory = memory(&rules);
    let of = |columns| trials(&memory, &figure, columns, 2, &rules, 7);
    let (one, five) = (of(1), of(5));
    assert!(one.accuracy >= 0.85 && five.accuracy >= 0.9, "{one:?} {five:?}");
    assert!(five.steps < 0.8 * one.steps, "{one:?} {five:?}");
    assert!(
        one.rotation_error < 10.0 && five.rotation_error < 10.0,
        "{one:?} {five:?}"
    );
}

#[test]
fn a_recognition_is_a_function_of_its_seed() {
    let rules = Rules::default();
    let memory = memory(&rules);
    let of = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| trials(&memory, &figure, 2, 1, &rules, 3))
    };
    assert_eq!(of(1), of(3));
    let at = |seed| recognise(&memory, &figure(1, 0.4), 1, &rules, seed);
    assert_eq!(at(1), at(1));
    assert!((2..9).any(|seed| at(seed) != at(1)));
}

#[test]
fn a_turned_picture_is_the_picture_drawn_turned() {
    let quarter = rotated(&figure(0, 0.0), FRAC_PI_2);
    for row in 0..SIZE {
        for column in 0..SIZE {
            let source = figure(0, 0.0).pixels()[(SIZE - 1 - column) * SIZE + row];
            assert!(quarter.pixels()[row * SIZE + column].abs_diff(source) <= 1);
        }
    }
    let (turned, drawn) = (rotated(&figure(0, 0.0), 1.0), figure(0, 1.0));
    let apart = turned
        .pixels()
        .iter()
        .zip(drawn.pixels())
        .map(|(a, b)| f64::from(a.abs_diff(*b)));
    assert!(apart.sum::<f64>() / (SIZE * SIZE) as f64 / 255.0 < 0.02);
    assert_eq!(rotated(&figure(0, 0.0), TAU).pixels(), figure(0, 0.0).pixels());
}

#[test]
fn rules_out_of_range_are_refused_by_name() {
    Rules::default().validate().unwrap();
    for (rules, name) in [
        (
            Rules {
                match_distance: 0.0,
                ..Rules::default()
            },
            "match_distance",
        ),
        (
            Rules {
                possible: 1.5,
                ..Rules::default()
            },
            "possible",
        ),
        (
            Rules {
                movement: [5.0, 3.0],
                ..Rules::default()
            },
            "movement",
        ),
        (
            Rules {
                feature_tolerance: f64::NAN,
                ..Rules::default()
            },
            "feature_tolerance",
        ),
    ] {
        let error = rules.validate().unwrap_err().to_string();
        assert!(error.starts_with(&format!("{name} is out of range")), "{error}");
    }
}
