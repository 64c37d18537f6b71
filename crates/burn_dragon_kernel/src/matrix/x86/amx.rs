//! Blocks by Intel's matrix unit (AMX).

use super::super::layout::PANEL;
use super::bf16::{Blocks, STEP_LINES};
use super::pack;
use crate::buffer::Line;
use crate::instructions::Instructions;
use std::arch::asm;
use std::arch::x86_64::{__cpuid, __cpuid_count, _xgetbv};
use std::marker::PhantomData;
use std::sync::LazyLock;

/// Whether the processor has a bf16 matrix unit and the system lets this process use it.
pub(crate) fn available() -> bool {
    static AVAILABLE: LazyLock<bool> =
        LazyLock::new(|| Instructions::Amx.usable() && pack::available() && present() && permitted());
    *AVAILABLE
}

/// Whether CPUID names the unit and the system keeps its state.
fn present() -> bool {
    const AMX_BF16: u32 = 1 << 22;
    const AMX_TILE: u32 = 1 << 24;
    const TILE_STATE: u64 = 0b11 << 17;
    #[target_feature(enable = "xsave")]
    fn kept_state() -> u64 {
        // SAFETY: register 0 is always there.
        unsafe { _xgetbv(0) }
    }
    if __cpuid(0).eax < 7 || !is_x86_feature_detected!("xsave") {
        return false;
    }
    let features = __cpuid_count(7, 0).edx;
    // SAFETY: XSAVE was detected, which asks that the system has enabled it.
    let kept = unsafe { kept_state() };
    features & AMX_BF16 != 0 && features & AMX_TILE != 0 && kept & TILE_STATE == TILE_STATE
}

/// Asks Linux for the tiles, which a process must before it touches them.
#[cfg(target_os = "linux")]
fn permitted() -> bool {
    const ARCH_PRCTL: u64 = 158;
    const ARCH_REQ_XCOMP_PERM: u64 = 0x1023;
    const TILE_DATA: u64 = 18;
    let status: i64;
    // SAFETY: this request reads and writes no memory of ours; the call changes rax, rcx and r11, as declared.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") ARCH_PRCTL => status,
            in("rdi") ARCH_REQ_XCOMP_PERM,
            in("rsi") TILE_DATA,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    status == 0
}

/// Other systems grant it in other ways, which are not implemented.
#[cfg(not(target_os = "linux"))]
fn permitted() -> bool {
    false
}

/// What `ldtilecfg` reads.
#[repr(C, align(64))]
pub(crate) struct Configuration {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

/// Eight tiles of 16 rows of 64 bytes.
pub(crate) static EIGHT_TILES: Configuration = Configuration {
    palette: 1,
    start_row: 0,
    reserved: [0; 14],
    row_bytes: [64, 64, 64, 64, 64, 64, 64, 64, 0, 0, 0, 0, 0, 0, 0, 0],
    rows: [16, 16, 16, 16, 16, 16, 16, 16, 0, 0, 0, 0, 0, 0, 0, 0],
};

/// This thread's tiles, configured while the value lives. Then they are released, for the system saves 8 KiB more at
/// each switch of threads while they are in use.
pub(crate) struct Tiles {
    /// Neither `Send` nor `Sync`.
    of_this_thread: PhantomData<*mut ()>,
}

impl Blocks for Tiles {
    fn new() -> Self {
        assert!(available());
        // SAFETY: the unit is there and permitted; the configuration is one of palette 1.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const EIGHT_TILES, options(nostack, readonly)) };
        Self {
            of_this_thread: PhantomData,
        }
    }

    #[inline]
    fn block(&self, left: &[Line], right: &[Line], into: &mut [f32], stride: usize, add: bool) {
        assert!(!left.is_empty() && left.len() == right.len() && left.len().is_multiple_of(STEP_LINES));
        assert!(into.len() >= (PANEL - 1) * stride + PANEL);
        let upper = into.as_mut_ptr();
        let lower = upper.wrapping_add(PANEL / 2 * stride);
        // SAFETY: the tiles are configured while `self` lives. The assertions keep what is read within the factors,
        // 2 KiB a step, and what is written within 32 rows of 128 bytes.
        unsafe {
            asm!(
                "test {add:e}, {add:e}",
                "jz 2f",
                "tileloadd tmm0, [{upper} + {stride}]",
                "tileloadd tmm1, [{upper} + {stride} + 64]",
                "tileloadd tmm2, [{lower} + {stride}]",
                "tileloadd tmm3, [{lower} + {stride} + 64]",
                "jmp 3f",
                "2:",
                "tilezero tmm0",
                "tilezero tmm1",
                "tilezero tmm2",
                "tilezero tmm3",
                "3:",
                "tileloadd tmm4, [{left} + {line}]",
                "tileloadd tmm6, [{right} + {line}]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tileloadd tmm7, [{right} + {line} + 1024]",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "tileloadd tmm5, [{left} + {line} + 1024]",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tdpbf16ps tmm3, tmm5, tmm7",
                "add {left}, 2048",
                "add {right}, 2048",
                "dec {steps}",
                "jnz 3b",
                "tilestored [{upper} + {stride}], tmm0",
                "tilestored [{upper} + {stride} + 64], tmm1",
                "tilestored [{lower} + {stride}], tmm2",
                "tilestored [{lower} + {stride} + 64], tmm3",
                add = in(reg) u32::from(add),
                upper = in(reg) upper,
                lower = in(reg) lower,
                stride = in(reg) stride * size_of::<f32>(),
                line = in(reg) size_of::<Line>(),
                left = inout(reg) left.as_ptr() => _,
                right = inout(reg) right.as_ptr() => _,
                steps = inout(reg) left.len() / STEP_LINES => _,
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack),
            );
        }
    }
}

impl Drop for Tiles {
    fn drop(&mut self) {
        // SAFETY: the unit is there, or there would be no value.
        unsafe { asm!("tilerelease", options(nostack, nomem)) };
    }
}
