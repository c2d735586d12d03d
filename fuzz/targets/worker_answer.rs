//! Any bytes from a process that reads a video: its owner believes none of them.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| pigweight_media::isolate::fuzzing::read_answer(bytes));
