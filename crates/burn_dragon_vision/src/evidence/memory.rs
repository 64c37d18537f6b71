//! Models of objects.

use super::index::Index;
use super::plane::{Place, distance};
use super::rules::Rules;
use super::sensor::{FEATURES, Sensed, Sensor};
use crate::picture::Picture;

/// A stored point of an object.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Location in the frame of the object: pixels from its centre, as it was learnt.
    pub location: [f64; 2],
    /// What was sensed there.
    pub sensed: Sensed,
}

/// Model of an object: its points.
#[derive(Clone, Debug)]
pub struct ObjectModel {
    name: String,
    points: Vec<Point>,
    index: Index,
}

impl ObjectModel {
    /// A model of the object in a picture, sensed pixel by pixel.
    ///
    /// A point is stored if no stored one within `point_distance` looks alike.
    pub fn learn(name: impl Into<String>, picture: &Picture, rules: &Rules) -> Self {
        let sensor = Sensor::new(picture);
        let mut points: Vec<Point> = Vec::new();
        for pixel in 0..sensor.pixels() {
            let point = Point {
                location: sensor.place(pixel),
                sensed: sensor.sense(pixel),
            };
            let is_known = points.iter().any(|stored| is_same(stored, &point, rules));
            if !is_known {
                points.push(point);
            }
        }
        let places = points.iter().map(|point| point.location).collect();
        Self {
            name: name.into(),
            points,
            index: Index::new(places, rules.match_distance),
        }
    }

    /// Name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Stored points.
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// Evidence of one sensed point for a location and a rotation: -1 to `1 + feature_weight`.
    pub(super) fn increment(&self, sensed: &Sensed, location: Place, rotation: f64, rules: &Rules) -> f64 {
        let mut best = -1.0;
        self.index.near(location, |number, _| {
            let stored = self.points[number].sensed;
            let pose = match (sensed.angle, stored.angle) {
                (Some(sensed), Some(stored)) => (2.0 * (sensed - rotation - stored)).cos(),
                _ => 0.0,
            };
            best = f64::max(best, pose + rules.feature_match(sensed.features, stored.features));
        });
        best
    }
}

fn is_same(stored: &Point, point: &Point, rules: &Rules) -> bool {
    let (a, b) = (stored.sensed, point.sensed);
    let is_alike = |(a, b): (f64, f64)| (a - b).abs() <= rules.feature_tolerance;
    let is_near = distance(stored.location, point.location) <= rules.point_distance;
    let is_parallel = match (a.angle, b.angle) {
        (Some(a), Some(b)) => (2.0 * (a - b)).cos() >= (2.0 * rules.angle_tolerance).cos(),
        (None, None) => true,
        _ => false,
    };
    let alike: [(f64, f64); FEATURES] =
        std::array::from_fn(|feature| (a.features[feature], b.features[feature]));
    is_near && is_parallel && alike.into_iter().all(is_alike)
}

/// Models of the known objects.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// Models.
    pub objects: Vec<ObjectModel>,
}
