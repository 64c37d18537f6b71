//! Hash behind every order: a function of its parts, so no state of a random generator has to be saved.

const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

/// The finaliser of splitmix64: every input bit reaches every output bit.
pub(crate) fn mix(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ (word >> 31)
}

/// The hash `state` extended by one part.
pub(crate) fn fold(state: u64, part: u64) -> u64 {
    mix(state ^ mix(part.wrapping_add(GAMMA)))
}

/// Hash of a draw: its seed, its purpose, and two numbers.
pub(crate) fn derive(seed: u64, purpose: &str, first: u64, second: u64) -> u64 {
    // FNV-1a names the purpose.
    let purpose = purpose.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3)
    });
    [purpose, first, second].into_iter().fold(mix(seed), fold)
}
