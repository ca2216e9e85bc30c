//! The whole developer loop in one command; the same one runs elsewhere.

use std::process::{Command, Stdio};

use crate::workspace::{cargo, command, output, succeed};
use crate::{Outcome, abi, conformance, document, header, layout, manual, python, scenario, symbol};

/// Runs every check and says which failed.
pub fn run() -> Outcome {
    let mut failed = Vec::new();
    let mut step = |name: &str, outcome: Outcome| {
        println!("{name}: {}", if outcome.is_ok() { "ok" } else { "FAILED" });
        failed.extend(outcome.err().map(|message| format!("{name}: {message}")));
    };
    step("format", succeed(command(&cargo(), &["fmt", "--all", "--check"])));
    step("lints", succeed(command(&cargo(), &LINTS)));
    step("header", header::run(true));
    step("example", header::example());
    step("docs-lines", document::run());
    step("layout", layout::run(true));
    step("symbols", symbol::run(true));
    step("abi", abi::run(true));
    step("python", python::run(true));
    step("conformance", conformance::run(true));
    step("man", manual::run(true));
    step("scenarios", scenario::run());
    if is_there("cargo", &[OLDEST, "--version"]) {
        step("oldest compiler", oldest());
    }
    if is_there("cargo", &["deny", "--version"]) {
        step("dependencies", succeed(command(&cargo(), &["deny", "check", "bans", "licenses", "sources"])));
        step("advisories", advisories());
    }
    if failed.is_empty() { Ok(()) } else { Err(failed.join("\n")) }
}

const LINTS: [&str; 7] = ["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"];
/// The rust-version of Cargo.toml.
const OLDEST: &str = "+1.85.0";

/// Through rustup: the cargo that runs this has chosen its toolchain already.
fn oldest() -> Outcome {
    let mut check = command("cargo", &[OLDEST, "check", "--quiet", "--package", "wsstream"]);
    for chosen in ["RUSTUP_TOOLCHAIN", "CARGO", "RUSTC", "RUSTC_WRAPPER"] {
        check.env_remove(chosen);
    }
    succeed(check)
}

/// The database of advisories is fetched anew: where that cannot be, it is said and held against nobody.
fn advisories() -> Outcome {
    let checked = output(command(&cargo(), &["deny", "check", "advisories"]));
    match checked {
        Err(message) if message.contains("failed to fetch advisory database") => {
            println!("advisories: the database cannot be fetched here");
            Ok(())
        }
        checked => checked.map(drop),
    }
}

fn is_there(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).env_remove("RUSTUP_TOOLCHAIN").stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
