//! BLAKE3 of a file, from hashes of its pieces.
//!
//! BLAKE3 is a tree over the bytes: the hash of a piece of 2^k KiB at a multiple of its length is a node of the tree. So
//! the pieces of a file are hashed in any order, on several threads, and the result is the standard BLAKE3 of the file,
//! as `b3sum` prints it.

use blake3::Hasher;
use blake3::hazmat::{HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root};

/// Number of bytes in each piece but the last.
pub(crate) const PIECE: u64 = 1 << 20;

/// Node of the tree; the root if the file is a single piece.
pub(crate) type Node = [u8; 32];

/// Node of the piece that begins at byte `at` of a file of `length` bytes, of slices that follow each other.
pub(crate) fn node<'a>(at: u64, length: u64, slices: impl IntoIterator<Item = &'a [u8]>) -> Node {
    let mut hasher = Hasher::new();
    hasher.set_input_offset(at);
    for slice in slices {
        hasher.update(slice);
    }
    match length <= PIECE {
        true => *hasher.finalize().as_bytes(),
        false => hasher.finalize_non_root(),
    }
}

/// Hash of the file with these nodes, in the order of its pieces.
pub(crate) fn root(nodes: &[Node]) -> Node {
    match halves(nodes) {
        None => nodes.first().copied().unwrap_or(*blake3::hash(&[]).as_bytes()),
        Some((left, right)) => *merge_subtrees_root(&inner(left), &inner(right), Mode::Hash).as_bytes(),
    }
}

fn inner(nodes: &[Node]) -> Node {
    match halves(nodes) {
        None => nodes[0], // `halves` makes no empty half
        Some((left, right)) => merge_subtrees_non_root(&inner(left), &inner(right), Mode::Hash),
    }
}

/// The largest complete tree on the left, and the rest; `None` of fewer than two nodes.
fn halves(nodes: &[Node]) -> Option<(&[Node], &[Node])> {
    (nodes.len() > 1).then(|| nodes.split_at(nodes.len().next_power_of_two() / 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_of_any_number_of_pieces_is_the_standard_hash() {
        let piece = PIECE as usize;
        let bytes: Vec<u8> = (0..9 * piece as u64 + 5)
            .map(|at| (at.wrapping_mul(at) >> 9) as u8)
            .collect();
        let lengths = [0, 1, 1024, 1025, piece - 1, piece, piece + 1];
        let more = (2..=9).flat_map(|pieces| [pieces * piece, pieces * piece + 5]);
        for length in lengths.into_iter().chain(more) {
            let file = &bytes[..length];
            let nodes: Vec<Node> = file
                .chunks(piece)
                .enumerate()
                .map(|(number, piece)| {
                    let (first, rest) = piece.split_at(piece.len() / 3);
                    node(number as u64 * PIECE, length as u64, [first, rest])
                })
                .collect();
            assert_eq!(root(&nodes), *blake3::hash(file).as_bytes(), "{length} bytes");
        }
    }

    #[test]
    fn the_hash_of_bytes_is_the_published_one() {
        // The first two vectors of the BLAKE3 test vectors: no bytes, and one byte of zero.
        let hash = |bytes: &[u8]| crate::hash::hex(&node(0, bytes.len() as u64, [bytes]));
        assert_eq!(
            hash(&[]),
            "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
        );
        assert_eq!(
            hash(&[0]),
            "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213"
        );
    }
}
