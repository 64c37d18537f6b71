//! Errors of packed matrices.

use super::{Packing, ScaleGroups};

/// Error of bytes or scales that are no low-bit matrix.
#[derive(Clone, Debug, PartialEq)]
pub enum LowBitError {
    /// A shape with a size of 0, or too large to be counted.
    Shape {
        /// Heads, neurons per head, and width.
        given: [usize; 3],
    },
    /// Another number of bytes than the packing has for the shape.
    Length {
        /// The packing.
        packing: Packing,
        /// Number of bytes given.
        given: usize,
        /// Number of bytes of the packing.
        expected: usize,
    },
    /// A byte that packing makes of no numbers.
    Byte {
        /// The packing.
        packing: Packing,
        /// Position of the byte.
        at: usize,
        /// The byte.
        given: u8,
    },
    /// Something other than zeros, or 1.0 in a block's place for a scale, behind the last number.
    Padding {
        /// The packing.
        packing: Packing,
        /// Position of the block, in blocks.
        block: usize,
    },
    /// Another number of whole numbers than the shape has.
    Numbers {
        /// Number of whole numbers given.
        given: usize,
        /// Number of entries of the matrix.
        expected: usize,
    },
    /// A whole number that the format does not have.
    Number {
        /// Its position in the rows one after another.
        at: usize,
        /// The number.
        given: i8,
        /// What the format or the packing can hold.
        expected: &'static str,
    },
    /// Another number of scales than there are groups.
    Scales {
        /// The groups that share a scale.
        groups: ScaleGroups,
        /// Number of scales given.
        given: usize,
        /// Number of groups.
        expected: usize,
    },
    /// A scale that is not above 0, or not finite.
    Scale {
        /// Its position.
        at: usize,
        /// The scale.
        given: f32,
    },
}

impl std::fmt::Display for LowBitError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Shape {
                given: [heads, neurons, width],
            } => write!(
                f,
                "a low-bit matrix of {heads} heads, {neurons} neurons and width {width}: each must be at least 1, and \
                 their product a number of bytes"
            ),
            Self::Length {
                packing,
                given,
                expected,
            } => write!(
                f,
                "a low-bit matrix packed as `{packing}` has {given} bytes, expected {expected}; the file is cut off, or \
                 its shape is another"
            ),
            Self::Byte { packing, at, given } => write!(
                f,
                "byte {at} of a low-bit matrix is {given:#04x}, which packing as `{packing}` never makes; the file is damaged"
            ),
            Self::Padding { packing, block } => write!(
                f,
                "block {block} of a low-bit matrix packed as `{packing}` is not filled as packing does; the file is damaged"
            ),
            Self::Numbers { given, expected } => {
                write!(
                    f,
                    "a low-bit matrix of {given} numbers, expected {expected} for its shape"
                )
            }
            Self::Number { at, given, expected } => {
                write!(
                    f,
                    "number {at} of a low-bit matrix is {given}, expected {expected}"
                )
            }
            Self::Scales {
                groups,
                given,
                expected,
            } => write!(
                f,
                "a low-bit matrix has {given} scales, expected {expected}: {groups}"
            ),
            Self::Scale { at, given } => write!(
                f,
                "scale {at} of a low-bit matrix is {given}, expected a finite number above 0"
            ),
        }
    }
}

impl std::error::Error for LowBitError {}
