//! What the shared library exports: exactly the functions of the header, which are those that are committed.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::Outcome;
use crate::header::PATH as HEADER;
use crate::item::{Sort, items};
use crate::workspace::{cargo, command, output, read, settle, succeed, target};

const PATH: &str = "abi/symbols.txt";

/// Writes or checks it.
pub fn run(check: bool) -> Outcome {
    let exported = exported(&library()?)?;
    if let Some(foreign) = exported.iter().find(|name| !name.starts_with("wsstream_")) {
        return Err(format!("the library exports {foreign}"));
    }
    let header = read(HEADER)?;
    let functions = items(&header).into_iter().filter(|item| item.sort == Sort::Function);
    let declared: BTreeSet<String> = functions.map(|item| item.name).collect();
    if let Some(odd) = exported.symmetric_difference(&declared).next() {
        return Err(format!("{odd} is only in one of the header and the library"));
    }
    let text: String = exported.iter().map(|name| format!("{name}\n")).collect();
    settle(PATH, &text, check)
}

/// Builds it.
fn library() -> Result<PathBuf, String> {
    succeed(command(&cargo(), &["build", "--quiet", "--lib", "--package", "wsstream"]))?;
    Ok(target().join("debug/libwsstream.so"))
}

fn exported(library: &std::path::Path) -> Result<BTreeSet<String>, String> {
    let mut nm = command("nm", &["--dynamic", "--defined-only", "--format=posix"]);
    nm.arg(library);
    let listing = output(nm)?;
    // A version's own name is listed as an absolute symbol.
    let symbols = listing.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let (name, sort) = (words.next()?, words.next()?);
        (sort != "A").then(|| name.split('@').next().unwrap_or(name).to_owned())
    });
    Ok(symbols.collect())
}
