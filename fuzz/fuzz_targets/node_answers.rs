#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| gruve_fuzz::node_answers::run(data));
