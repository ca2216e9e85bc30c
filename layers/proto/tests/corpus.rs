//! Every input that the fuzzer found worth keeping, through the claim of its target. What it finds is added to `fuzz/corpus`,
//! so that it stays found.

#[path = "../../../fuzz/claims/mod.rs"]
#[allow(dead_code, reason = "the core's own tests use more of it")]
mod claims;

use std::path::Path;
use wsstream_layer_proto::proto;

/// Under an interpreter each input takes a thousand times as long: so many of each target, the smallest ones.
const INTERPRETED_COUNT: usize = 3;

fn replay(target: &str, claim: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let entries = std::fs::read_dir(&folder).expect("every target has a corpus");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
    assert!(!paths.is_empty(), "every target has inputs");
    paths.sort();
    if cfg!(miri) {
        paths.sort_by_key(|path| path.metadata().expect("a file").len());
        paths.truncate(INTERPRETED_COUNT);
    }
    for path in &paths {
        let input = std::fs::read(path).expect("a readable file");
        if std::panic::catch_unwind(|| claim(&input)).is_err() {
            panic!("cargo +nightly fuzz run {target} {}", path.display());
        }
    }
}

#[test]
fn the_corpus_of_response_holds() {
    replay("response", claims::response);
}

#[test]
fn the_corpus_of_frames_holds() {
    replay("frames", claims::frames);
}

#[test]
fn the_corpus_of_extensions_holds() {
    replay("extensions", claims::extensions);
}

#[test]
fn the_corpus_of_inflate_holds() {
    replay("inflate", claims::inflate);
}

#[test]
fn the_corpus_of_connection_holds() {
    replay("connection", claims::connection);
}
