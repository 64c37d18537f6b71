//! Results of a program on standard output, and detection of lost results.
//!
//! A run does not stop because standard output is closed, or because its disk is full. But a program whose results are
//! lost has failed, and reports that when it ends. The first error is kept until then.

use std::io::{self, ErrorKind, Write};
use std::sync::OnceLock;

/// First error of standard output. It belongs to the process, like standard output itself.
static FAILED: OnceLock<io::Error> = OnceLock::new();

/// Writes to standard output at once. Returns whether everything written so far has arrived. After a failure nothing
/// more is written.
pub fn write(bytes: &[u8]) -> bool {
    note(|| {
        let mut out = io::stdout().lock();
        out.write_all(bytes).and_then(|()| out.flush())
    })
}

/// Runs a function that writes to standard output, and handles its errors as [`write()`] does.
pub fn note(written: impl FnOnce() -> io::Result<()>) -> bool {
    if FAILED.get().is_some() {
        return false;
    }
    match written() {
        Ok(()) => true,
        Err(error) => {
            let _ = FAILED.set(error); // who was faster failed too
            false
        }
    }
}

/// Error because of which results are lost. A closed pipe is not an error: the reader has read enough.
pub fn lost() -> Option<&'static io::Error> {
    FAILED.get().filter(|error| error.kind() != ErrorKind::BrokenPipe)
}
