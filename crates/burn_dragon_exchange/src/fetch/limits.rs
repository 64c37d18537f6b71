//! Limits on time, size and number of tries.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

/// Limits of a fetch. A server cannot change them.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Time to connect.
    pub connect: Duration,
    /// Longest time without a byte. In this time at least [`SLOWEST`](Self::SLOWEST) bytes must come.
    pub silence: Duration,
    /// Size of a model in bytes.
    pub bytes: u64,
    /// Number of redirects from one address.
    pub redirects: u32,
    /// Number of consecutive tries that bring no data.
    pub tries: u32,
    /// Pause before the second try. It doubles before each further try, and up to half of it is added at random.
    pub pause: Duration,
    /// Longest pause that a server may ask for.
    pub longest_pause: Duration,
    /// Number of files, or segments of a file, that are fetched in parallel.
    pub at_once: usize,
    /// Size of a segment in bytes. A file of at least twice this size is fetched in segments, if the server supports
    /// ranges.
    pub segment: u64,
}

impl Limits {
    /// Minimum number of bytes in [`silence`](Self::silence). A slower server is dropped.
    pub const SLOWEST: u64 = 1024;
    /// Minimum number of bytes for a try that counts as progress.
    pub const PROGRESS: u64 = 64 * 1024;
    /// Limit on the connections for one file, however many bytes they bring.
    pub const CONNECTIONS: u32 = 200;

    /// Pause before try number `next` (2 is the second). `asked` is the pause that the server asked for.
    pub(super) fn pause_before(&self, next: u32, asked: Option<Duration>) -> Duration {
        let doubled = self.pause.saturating_mul(1 << next.saturating_sub(2).min(16));
        let chance = f64::from(RandomState::new().build_hasher().finish() as u32) / f64::from(u32::MAX);
        let own = doubled.saturating_add(doubled.mul_f64(chance / 2.0));
        own.max(asked.unwrap_or_default()).min(self.longest_pause)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            silence: Duration::from_secs(30),
            bytes: 16 << 30,
            redirects: 8,
            tries: 5,
            pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(60),
            at_once: 4,
            segment: 32 << 20,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end() {
        let limits = Limits::default();
        for _ in 0..100 {
            let [second, third, far] = [2, 3, 60].map(|next| limits.pause_before(next, None));
            assert!((500..=750).contains(&second.as_millis()), "{second:?}");
            assert!((1000..=1500).contains(&third.as_millis()), "{third:?}");
            assert_eq!(far, limits.longest_pause);
        }
        let asked = |seconds| limits.pause_before(2, Some(Duration::from_secs(seconds)));
        assert_eq!(asked(7), Duration::from_secs(7));
        assert_eq!(asked(100_000), limits.longest_pause);
    }
}
