//! The results of a program: standard output, and whether they arrive there.
//!
//! A run is not stopped when nobody reads its results any more, nor when the disk that they go to is full. But a program
//! whose results are lost has failed, and says so when it ends: what failed first is kept until then.

use std::io::{self, ErrorKind, Write};
use std::sync::OnceLock;

/// What standard output said when it took no more. It belongs to the process, and so does this.
static FAILED: OnceLock<io::Error> = OnceLock::new();

/// Writes to standard output at once. Whether all that was written so far has arrived there: after a failure nothing
/// more is written.
pub fn write(bytes: &[u8]) -> bool {
    note(|| {
        let mut out = io::stdout().lock();
        out.write_all(bytes).and_then(|()| out.flush())
    })
}

/// Lets somebody else write to standard output, as [`write()`] does.
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

/// Why results are lost, if they are. A closed pipe is no reason: whoever closed it has read enough.
pub fn lost() -> Option<&'static io::Error> {
    FAILED.get().filter(|error| error.kind() != ErrorKind::BrokenPipe)
}
