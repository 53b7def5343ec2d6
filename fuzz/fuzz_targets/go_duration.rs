#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| gitpod_fuzz::go_duration(data));
