//! A column: hypotheses of what a sensor is on, and where.

use super::index::Index;
use super::memory::Memory;
use super::plane::{Place, minus, plus, turned};
use super::rules::Rules;
use super::sensor::Sensed;
use std::f64::consts::{PI, TAU};

/// A hypothesis: the sensor is at a location of an object that is turned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hypothesis {
    /// Number of the object.
    pub object: usize,
    /// Location of the sensor in the frame of the object.
    pub location: [f64; 2],
    /// Rotation of the object in the picture, in radians.
    pub rotation: f64,
    /// Evidence.
    pub evidence: f64,
}

/// A vote: a hypothesis, where the sender's sensor is, and its evidence scaled to [-1, 1].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Vote {
    /// Hypothesis of the sender.
    pub hypothesis: Hypothesis,
    /// Place of the sender's sensor in the picture.
    pub place: [f64; 2],
    /// Scaled evidence.
    pub evidence: f64,
}

/// A column.
#[derive(Clone, Debug)]
pub struct Column<'a> {
    memory: &'a Memory,
    rules: &'a Rules,
    place: Place,
    hypotheses: Vec<Hypothesis>,
}

impl<'a> Column<'a> {
    /// A column that senses for the first time: all stored points are possible, at the rotations that align their edges with
    /// what is sensed.
    pub fn new(memory: &'a Memory, rules: &'a Rules, place: [f64; 2], sensed: &Sensed) -> Self {
        let mut hypotheses = Vec::new();
        for (object, model) in memory.objects.iter().enumerate() {
            for point in model.points() {
                let evidence = rules.feature_match(sensed.features, point.sensed.features);
                let rotations = match (sensed.angle, point.sensed.angle) {
                    (Some(sensed), Some(stored)) => vec![sensed - stored, sensed - stored + PI],
                    _ => (0..rules.rotations)
                        .map(|k| TAU * k as f64 / rules.rotations as f64)
                        .collect(),
                };
                hypotheses.extend(rotations.into_iter().map(|rotation| Hypothesis {
                    object,
                    location: point.location,
                    rotation: rotation.rem_euclid(TAU),
                    evidence,
                }));
            }
        }
        Self {
            memory,
            rules,
            place,
            hypotheses,
        }
    }

    /// Hypotheses.
    pub fn hypotheses(&self) -> &[Hypothesis] {
        &self.hypotheses
    }

    /// Moves to a place, and gathers the evidence of what is sensed there.
    pub fn observe(&mut self, place: [f64; 2], sensed: &Sensed) {
        let movement = minus(place, self.place);
        self.place = place;
        for hypothesis in &mut self.hypotheses {
            let moved = turned(movement, -hypothesis.rotation);
            hypothesis.location = plus(hypothesis.location, moved);
            let model = &self.memory.objects[hypothesis.object];
            let increment = model.increment(sensed, hypothesis.location, hypothesis.rotation, self.rules);
            hypothesis.evidence = self.rules.past * hypothesis.evidence + self.rules.present * increment;
        }
    }

    /// Votes for others: hypotheses whose evidence, scaled to [-1, 1] over all of this column, is above the
    /// threshold. What has no positive evidence is not sent: columns that know nothing would encourage each other.
    pub fn votes(&self) -> Vec<Vote> {
        let evidences = || self.hypotheses.iter().map(|hypothesis| hypothesis.evidence);
        let (least, most) = (
            evidences().fold(f64::INFINITY, f64::min),
            evidences().fold(f64::NEG_INFINITY, f64::max),
        );
        if most <= least {
            return Vec::new(); // nothing is more likely than anything else
        }
        let vote = |hypothesis: &Hypothesis| Vote {
            hypothesis: *hypothesis,
            place: self.place,
            evidence: 2.0 * (hypothesis.evidence - least) / (most - least) - 1.0,
        };
        let is_sent =
            |vote: &Vote| vote.evidence > self.rules.vote_threshold && vote.hypothesis.evidence > 0.0;
        self.hypotheses.iter().map(vote).filter(is_sent).collect()
    }

    /// Adds the votes of others: to each hypothesis the mean of those for its object, moved to the place of this column, that are
    /// within the match distance, weighted by nearness.
    pub fn receive(&mut self, votes: &[Vote]) {
        let radius = self.rules.match_distance;
        let of_object = |object: usize| {
            let own: Vec<&Vote> = votes
                .iter()
                .filter(|vote| vote.hypothesis.object == object)
                .collect();
            let moved = |vote: &&Vote| {
                let movement = minus(self.place, vote.place);
                plus(
                    vote.hypothesis.location,
                    turned(movement, -vote.hypothesis.rotation),
                )
            };
            (Index::new(own.iter().map(moved).collect(), radius), own)
        };
        let by_object: Vec<_> = (0..self.memory.objects.len()).map(of_object).collect();
        for hypothesis in &mut self.hypotheses {
            let (index, votes) = &by_object[hypothesis.object];
            let (mut sum, mut weights) = (0.0, 0.0);
            index.near(hypothesis.location, |number, apart| {
                let weight = 1.0 - apart / radius;
                sum += weight * votes[number].evidence;
                weights += weight;
            });
            if weights > 0.0 {
                hypothesis.evidence += self.rules.vote_weight * sum / weights;
            }
        }
    }

    /// The best hypothesis of an object: the first of equal ones.
    pub fn best_of(&self, object: usize) -> Option<&Hypothesis> {
        let own = self
            .hypotheses
            .iter()
            .filter(|hypothesis| hypothesis.object == object);
        own.reduce(|best, next| if next.evidence > best.evidence { next } else { best })
    }

    /// Objects that are possible: those whose best evidence is within a share of the best of all. Empty if no evidence is
    /// positive.
    pub fn possible(&self) -> Vec<usize> {
        let objects = self.memory.objects.len();
        let best: Vec<f64> = (0..objects)
            .map(|object| {
                self.best_of(object)
                    .map_or(f64::NEG_INFINITY, |best| best.evidence)
            })
            .collect();
        let most = best.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let bar = most - self.rules.possible * most;
        (0..objects)
            .filter(|&object| most > 0.0 && (best[object] > bar || best[object] == most))
            .collect()
    }

    /// The only possible object, if its evidence is believed.
    pub fn matched(&self) -> Option<usize> {
        let [object] = self.possible()[..] else {
            return None;
        };
        let best = self.best_of(object)?;
        (best.evidence >= self.rules.least_evidence).then_some(object)
    }
}
