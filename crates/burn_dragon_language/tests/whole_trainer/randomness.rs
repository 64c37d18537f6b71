//! Every draw of a run as a function of its address (docs/architecture.md, section 5).

use std::f64::consts::TAU;

const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

/// The finaliser of splitmix64.
fn mix(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ (word >> 31)
}

/// The seed of a draw: FNV-1a of its purpose, and each part of the address mixed in.
pub(crate) fn derive(seed: u64, purpose: &str, step: u64, lane: u64) -> u64 {
    let mut name = 0xCBF2_9CE4_8422_2325_u64;
    for byte in purpose.bytes() {
        name = (name ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3);
    }
    let mut state = mix(seed);
    for part in [name, step, lane] {
        state = mix(state ^ mix(part.wrapping_add(GAMMA)));
    }
    state
}

/// Where the item at `place` of `0..count` comes from: four Feistel rounds over the smallest power of four that holds
/// `count`, again and again until the value is below it.
pub(crate) fn permute(place: u64, count: u64, key: u64) -> u64 {
    let mut half = 0;
    while 1 << (2 * half) < count {
        half += 1;
    }
    let mask = (1u64 << half) - 1;
    let mut value = place;
    loop {
        let (mut left, mut right) = (value >> half, value & mask);
        for round in 0..4 {
            (left, right) = (right, left ^ (derive(key, "feistel", round, right) & mask));
        }
        value = left << half | right;
        if value < count {
            return value;
        }
    }
}

/// So many numbers of a normal distribution around zero (Box and Muller, on the stream of splitmix64).
pub(crate) fn normal(seed: u64, deviation: f64, count: usize) -> Vec<f64> {
    let mut state = seed;
    let mut uniform = || {
        state = state.wrapping_add(GAMMA);
        (mix(state) >> 11) as f64 / (1u64 << 53) as f64
    };
    let mut draw = || {
        let radius = (-2.0 * (1.0 - uniform()).ln()).sqrt();
        deviation * radius * (TAU * uniform()).cos()
    };
    (0..count).map(|_| draw()).collect()
}

/// The dropout of one window: a mask for each level.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Masks {
    pub(crate) seed: u64,
    pub(crate) probability: f64,
}

impl Masks {
    /// The factor of entry `index` of a level's y, `[B, H, T, N]`: nothing, or what keeps the mean. It is kept where 16
    /// bits of a hash of (seed, index) are below the probability's share of 2^16.
    pub(crate) fn factor(&self, level: usize, index: usize) -> f64 {
        if self.probability == 0.0 {
            return 1.0;
        }
        let seed = derive(self.seed, "level", 0, level as u64);
        let word = mix(seed ^ (index as u64 / 4).wrapping_mul(GAMMA));
        let bits = word >> (16 * (index % 4)) & 0xFFFF;
        let kept = ((1.0 - self.probability) * 65536.0).round();
        if (bits as f64) < kept { 65536.0 / kept } else { 0.0 }
    }
}
