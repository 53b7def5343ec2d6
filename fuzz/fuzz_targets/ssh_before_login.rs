#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| gitpod_fuzz::ssh_before_login(data));
