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

/// Asks the system to back memory that was not written yet with huge pages, where it is Linux with glibc and has them.
///
/// The system clears memory page by page as it is first written. With pages of 2 MiB in place of 4 KiB, reading a file of
/// 100 MB takes 31 ms in place of 50 (docs/LOG.md, 2026-11-27). Memory below 4 MiB stays as it is. Elsewhere it has no
/// effect.
pub fn use_huge_pages<T>(memory: &mut [T]) {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        const PAGE: usize = 4096;
        let (first, bytes) = (memory.as_mut_ptr() as usize, size_of_val(memory));
        if bytes < 4 << 20 {
            return;
        }
        let (start, end) = (first.next_multiple_of(PAGE), (first + bytes) / PAGE * PAGE);
        // SAFETY: the range is whole pages inside `memory`, which is mapped. The advice changes no byte of it, and an
        // address or an advice that the system does not take is an error that leaves the memory as it is.
        unsafe { libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_HUGEPAGE) };
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    let _ = memory;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_on_huge_pages_keeps_what_is_in_it() {
        for (length, from) in [(0, 0), (1000, 1), (5 << 20, 3), (9 << 20, 4097)] {
            let mut numbers: Vec<u8> = (0..length + from).map(|number| (number % 251) as u8).collect();
            use_huge_pages(&mut numbers[from..]);
            assert!(
                numbers
                    .iter()
                    .enumerate()
                    .all(|(at, number)| at % 251 == usize::from(*number))
            );
            let mut zeros = vec![0_u64; length];
            use_huge_pages(&mut zeros);
            assert!(zeros.iter().all(|zero| *zero == 0));
        }
    }

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
