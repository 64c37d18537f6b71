//! How long, how much, how often.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

/// Bounds of every fetch. A server decides none of them.
#[derive(Clone, Debug)]
pub struct Limits {
    /// To connect.
    pub connect: Duration,
    /// Without a byte; and in so long at least [`SLOWEST`](Self::SLOWEST) bytes come.
    pub silence: Duration,
    /// Bytes of a model in all.
    pub bytes: u64,
    /// Redirects from one address.
    pub redirects: u32,
    /// Tries that bring nothing, one after the other.
    pub tries: u32,
    /// Before the second try; twice as long before each further one, and up to half of it more, by chance.
    pub pause: Duration,
    /// What a server may ask to wait.
    pub longest_pause: Duration,
    /// Files, or segments of a file, at a time.
    pub at_once: usize,
    /// Bytes of a segment: a file of twice as much is fetched in segments, where the server can do that.
    pub segment: u64,
}

impl Limits {
    /// Bytes in [`silence`](Self::silence): fewer is a server that holds on to its clients.
    pub const SLOWEST: u64 = 1024;
    /// Bytes that make a try one that brought something.
    pub const PROGRESS: u64 = 64 * 1024;
    /// Connections for one file, however much each of them brings.
    pub const CONNECTIONS: u32 = 200;

    /// How long to wait before try `next` (2 is the second), where a server may have said how long.
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
