//! The project's own commands: makes the C header and compares what is committed with what is built.
//!
//! `cargo xtask <command> [--check]`; without `--check` a command writes its file, with it a difference is an error.

mod abi;
mod check;
mod compiler;
mod conformance;
mod document;
mod enumerator;
mod header;
mod item;
mod layout;
mod malformed;
mod manual;
mod mdoc;
mod page;
mod python;
mod rust_layout;
mod scenario;
mod section;
mod symbol;
mod workspace;

use std::process::ExitCode;

/// What every command answers: a sentence for the terminal where it failed.
pub type Outcome = Result<(), String>;

const USAGE: &str = "usage: cargo xtask <command>
  header  [--check]  include/wsstream.h, from src/ffi, xtask/header.template.h and examples/echo.c
  symbols [--check]  abi/symbols.txt: what the shared library exports, and in which version
  layout  [--check]  abi/layout.txt: sizes, offsets and constants, as C and Rust see them
  abi     [--check]  abi/wsstream.abi: the interface as libabigail sees it, compared with the header
  docs-lines         every function and callback of the header has its lines
  example            the program at the top of the header is examples/echo.c
  conformance [--check]  docs/conformance.md: every row of docs/rows.txt with the tests that hold it
  python  [--check]  bindings/python/src/wsstream/_constants.py: the numbers of the Python binding
  man     [--check]  docs/man: a page for each declaration of the header, and wsstream(7)
  scenarios          every suite has each scenario of tests/scenarios.toml, and none besides
  check              all of it, formatting, lints and the oldest compiler too";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words[..] {
        ["header"] => header::run(false),
        ["header", "--check"] => header::run(true),
        ["symbols"] => symbol::run(false),
        ["symbols", "--check"] => symbol::run(true),
        ["layout"] => layout::run(false),
        ["layout", "--check"] => layout::run(true),
        ["abi"] => abi::run(false),
        ["abi", "--check"] => abi::run(true),
        ["docs-lines"] => document::run(),
        ["example"] => header::example(),
        ["conformance"] => conformance::run(false),
        ["conformance", "--check"] => conformance::run(true),
        ["python"] => python::run(false),
        ["python", "--check"] => python::run(true),
        ["man"] => manual::run(false),
        ["man", "--check"] => manual::run(true),
        ["scenarios"] => scenario::run(),
        ["check"] => check::run(),
        _ => Err(USAGE.to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}
