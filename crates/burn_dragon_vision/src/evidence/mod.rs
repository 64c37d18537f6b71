//! Evidence columns: recognition by movement and voting, without gradients.
//!
//! The Thousand Brains Project (white paper arXiv:2412.18354; rules from the documentation of its implementation, Monty)
//! describes learning modules that build models of objects from sensed points, and recognise an object by gathering evidence
//! for hypotheses of object, location and rotation while a sensor moves. Modules vote. This is a reduction to two dimensions:
//!
//! ```text
//! sensed        edge angle theta (up to 180 degrees) and features f of a 5 x 5 patch of a picture
//! model         points (location l_n, angle theta_n, features f_n) in the frame of the object
//! start         for each point: rotations phi that align theta_n with theta; evidence e = feature match
//! movement d    l <- l + R(-phi) d
//! increment     -1 if no point is within the match distance of l; else the best over these points of
//!               cos 2 (theta - phi - theta_n)  +  w_f mean of max(0, 1 - |f - f_n| / tolerance)
//! evidence      e <- past e + present increment
//! vote          evidences of a column, scaled to [-1, 1]; those above a threshold are sent, moved to the receiver's place;
//!               a hypothesis adds the mean of the votes around it, weighted by nearness
//! possible      objects whose best evidence is within a share of the best of all; none if no evidence is positive
//! end           one object possible, with enough evidence: match; none: no match; too many steps: time-out
//! ```
//!
//! Adapted, not in the paper: the cosine as pose match (Monty has a clipped linear function of the angle in three dimensions),
//! models shared by all columns (Monty's modules learn their own), free sensors that move on their own (Monty's sensors are
//! fixed to each other), a match if a majority of columns agrees, and votes that count half and are only sent with positive
//! evidence: with less restraint, columns on an unknown object talk each other into a match.
//!
//! What is missing is no evidence: a P that is sensed everywhere is still the upper part of an R. Such pairs end in time-outs.
//!
//! This is not the `column` backbone of an encoder, which is trained by gradients and takes only the name from there.

mod column;
mod figures;
mod index;
mod memory;
mod plane;
mod recognise;
mod rules;
mod sensor;
mod trials;

pub use column::{Column, Hypothesis, Vote};
pub use figures::{FIGURES, drawn};
pub use memory::{Memory, ObjectModel, Point};
pub use plane::rotated;
pub use recognise::{End, Recognition, recognise};
pub use rules::Rules;
pub use sensor::{Sensed, Sensor};
pub use trials::{Trials, trials};

#[cfg(test)]
mod tests;
