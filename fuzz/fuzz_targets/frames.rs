//! The claim `frames` under the fuzzer.
#![no_main]

#[path = "../claims/mod.rs"]
#[allow(dead_code, unused_imports, reason = "a target is one claim of some")]
mod claims;

use wsstream_layer_proto::proto;

libfuzzer_sys::fuzz_target!(|input: &[u8]| claims::frames(input));
