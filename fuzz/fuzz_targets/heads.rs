#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| gruve_fuzz::heads::run(data));
