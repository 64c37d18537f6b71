//! Memory that the C library keeps for later use.

/// Makes the C library keep freed memory for later allocations of the process, where it is glibc.
///
/// A training step allocates and frees gradients of tens of megabytes. By default glibc returns each of them to the
/// system, which clears its pages again for the next step: a fifth of the time of a step of a large model
/// (docs/LOG.md, 2026-11-26). A program calls it once, at its start. The process then holds as much memory as it ever
/// needed at one time. Elsewhere it has no effect.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    for (parameter, value) in [(libc::M_MMAP_MAX, 0), (libc::M_TRIM_THRESHOLD, i32::MAX)] {
        // SAFETY: `mallopt` sets a number of the allocator and may be called at any time. A value that it does not take
        // leaves the allocator as it is.
        unsafe { libc::mallopt(parameter, value) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_allocations_are_whole_after_the_call() {
        keep_freed_memory();
        for round in 0..3_u8 {
            let numbers = vec![round; 100 << 20];
            assert!(numbers.iter().step_by(4096).all(|number| *number == round));
            let zeros = vec![0_u8; 100 << 20];
            assert!(zeros.iter().step_by(4096).all(|number| *number == 0));
        }
    }
}
