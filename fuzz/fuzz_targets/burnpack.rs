#![no_main]

use burn_dragon_testing::doors;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| drop(doors::burnpack(bytes)));
