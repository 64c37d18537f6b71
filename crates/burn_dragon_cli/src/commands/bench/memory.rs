//! Peak memory of the process, if the system reports it (Linux), and of the device.

use burn::tensor::Device;

/// Resets the peak; returns whether that is possible.
pub(super) fn forget_peak() -> bool {
    std::fs::write("/proc/self/clear_refs", "5").is_ok()
}

/// Peak memory since the reset, in bytes.
pub(super) fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

/// Bytes that a GPU's allocator holds: what was needed at most, since it keeps what it once had. None on the processor.
pub(super) fn of_device(device: &Device) -> Option<u64> {
    Some(device.memory_pool_usage()?.bytes_reserved)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn what_was_held_shows_until_it_is_forgotten() {
        const SIZE: usize = 64 << 20;
        drop(std::hint::black_box(vec![1u8; SIZE]));
        let before = peak().unwrap();
        assert!(before >= SIZE as u64);
        if forget_peak() {
            assert!(peak().unwrap() < before);
        }
    }
}
