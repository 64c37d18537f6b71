//! Minimum speed of a server. A slower one is dropped.

use super::limits::Limits;
use std::io::Read;
use std::time::Instant;

/// Time limit of a short text, as a multiple of the longest silence.
const LONGEST: u32 = 10;

/// Speed of a download.
pub(super) struct Pace<'a> {
    limits: &'a Limits,
    since: Instant,
    came: u64,
}

impl<'a> Pace<'a> {
    pub(super) fn new(limits: &'a Limits) -> Self {
        let since = Instant::now();
        Self {
            limits,
            since,
            came: 0,
        }
    }

    /// Counts received bytes.
    ///
    /// # Errors
    /// A message with the number of bytes and the time, if the speed is too low.
    pub(super) fn came(&mut self, bytes: u64) -> Result<(), String> {
        self.came += bytes;
        let passed = self.since.elapsed();
        if passed < self.limits.silence {
            return Ok(());
        }
        if self.came < Limits::SLOWEST {
            return Err(format!(
                "the server sent {} bytes in {} s",
                self.came,
                passed.as_secs()
            ));
        }
        *self = Self::new(self.limits);
        Ok(())
    }
}

/// Reads a short text of at most `most` bytes, with the same minimum speed and a time limit.
///
/// # Errors
/// The reason why the text is incomplete. The received part is in `text`.
pub(super) fn read_short(
    mut body: impl Read,
    most: u64,
    limits: &Limits,
    text: &mut Vec<u8>,
) -> Result<(), String> {
    let (start, mut pace) = (Instant::now(), Pace::new(limits));
    let longest = limits.silence.saturating_mul(LONGEST);
    let mut buffer = vec![0; 1 << 16];
    loop {
        let room = most.saturating_sub(text.len() as u64).min(1 << 16) as usize;
        let read = body
            .read(&mut buffer[..room])
            .map_err(|error| format!("the connection was cut: {error}"))?;
        if read == 0 {
            return Ok(());
        }
        text.extend_from_slice(&buffer[..read]);
        pace.came(read as u64)?;
        if start.elapsed() >= longest {
            let (bytes, seconds) = (text.len(), longest.as_secs());
            return Err(format!(
                "only {bytes} bytes came in {seconds} s, which is not the whole text"
            ));
        }
    }
}
