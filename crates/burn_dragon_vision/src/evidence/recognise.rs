//! Recognition of the object in a picture, by columns with a sensor each.

use super::column::{Column, Hypothesis, Vote};
use super::memory::Memory;
use super::plane::distance;
use super::rules::Rules;
use super::sensor::Sensor;
use crate::picture::Picture;
use burn_dragon_core::api::expert::{Rng, derive};

/// How a recognition ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// A majority of the columns has one object left, the same.
    Match,
    /// A majority of the columns has no positive evidence: the object is not known.
    NoMatch,
    /// The steps were used up. The object is the most likely one.
    TimeOut,
}

/// What was recognised.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recognition {
    /// How it ended.
    pub end: End,
    /// The best hypothesis of all columns for the object, if there is one.
    pub hypothesis: Option<Hypothesis>,
    /// Number of places that each sensor was at.
    pub steps: usize,
}

/// Recognises the object in a picture.
///
/// Each column has a sensor, which starts at a random pixel of the object and jumps to random ones within the distances of
/// `movement`. After each step the columns vote. The result is a function of the seed.
pub fn recognise(
    memory: &Memory,
    picture: &Picture,
    columns: usize,
    rules: &Rules,
    seed: u64,
) -> Recognition {
    let sensor = Sensor::new(picture);
    let nothing = Recognition {
        end: End::NoMatch,
        hypothesis: None,
        steps: 0,
    };
    if sensor.pixels() == 0 || columns == 0 {
        return nothing;
    }
    let draw =
        |step: usize, column: usize| Rng::new(derive(seed, "evidence.move", step as u64, column as u64));
    let mut pixels: Vec<usize> = (0..columns)
        .map(|column| draw(0, column).below(sensor.pixels()))
        .collect();
    let first = |&pixel: &usize| Column::new(memory, rules, sensor.place(pixel), &sensor.sense(pixel));
    let mut all: Vec<Column<'_>> = pixels.iter().map(first).collect();
    for step in 1..=rules.most_steps {
        if step > 1 {
            for (number, (pixel, column)) in pixels.iter_mut().zip(&mut all).enumerate() {
                *pixel = moved(&sensor, *pixel, rules, &mut draw(step, number));
                column.observe(sensor.place(*pixel), &sensor.sense(*pixel));
            }
        }
        exchange(&mut all);
        let Some((end, object)) = ended(&all) else {
            continue;
        };
        let hypothesis = object.and_then(|object| best_of(&all, object));
        return Recognition {
            end,
            hypothesis,
            steps: step,
        };
    }
    Recognition {
        end: End::TimeOut,
        hypothesis: most_likely(&all, memory.objects.len()),
        steps: rules.most_steps,
    }
}

/// A random pixel within the distances of a movement; any, if there is none.
fn moved(sensor: &Sensor<'_>, from: usize, rules: &Rules, rng: &mut Rng) -> usize {
    let (from, [nearest, farthest]) = (sensor.place(from), rules.movement);
    let places = sensor.places().enumerate();
    let within = places.filter(|&(_, place)| (nearest..=farthest).contains(&distance(from, place)));
    let pixels: Vec<usize> = within.map(|(pixel, _)| pixel).collect();
    match pixels.len() {
        0 => rng.below(sensor.pixels()),
        count => pixels[rng.below(count)],
    }
}

/// Each column receives the votes of all others, sent at the same time.
fn exchange(columns: &mut [Column<'_>]) {
    if columns.len() < 2 {
        return;
    }
    let sent: Vec<Vec<Vote>> = columns.iter().map(Column::votes).collect();
    for (receiver, column) in columns.iter_mut().enumerate() {
        let others = sent.iter().enumerate().filter(|&(sender, _)| sender != receiver);
        column.receive(
            &others
                .flat_map(|(_, votes)| votes.iter().copied())
                .collect::<Vec<_>>(),
        );
    }
}

/// Whether a majority agrees, and on which object.
fn ended(columns: &[Column<'_>]) -> Option<(End, Option<usize>)> {
    let is_most = |count: usize| 2 * count > columns.len();
    let possible: Vec<Vec<usize>> = columns.iter().map(Column::possible).collect();
    if is_most(possible.iter().filter(|objects| objects.is_empty()).count()) {
        return Some((End::NoMatch, None));
    }
    let matched: Vec<usize> = columns.iter().filter_map(Column::matched).collect();
    let votes = |object: usize| matched.iter().filter(|&&other| other == object).count();
    let object = matched.iter().copied().find(|&object| is_most(votes(object)))?;
    Some((End::Match, Some(object)))
}

fn best_of(columns: &[Column<'_>], object: usize) -> Option<Hypothesis> {
    let best = columns.iter().filter_map(|column| column.best_of(object));
    best.reduce(|best, next| if next.evidence > best.evidence { next } else { best })
        .copied()
}

/// The best hypothesis of the object with the largest sum over the columns of their best evidence.
fn most_likely(columns: &[Column<'_>], objects: usize) -> Option<Hypothesis> {
    let sum = |object: usize| -> f64 {
        let best = columns.iter().map(|column| {
            column
                .best_of(object)
                .map_or(f64::NEG_INFINITY, |best| best.evidence)
        });
        best.sum()
    };
    let better = |best: (usize, f64), next: (usize, f64)| if next.1 > best.1 { next } else { best };
    let (object, _) = (0..objects).map(|object| (object, sum(object))).reduce(better)?;
    best_of(columns, object)
}
