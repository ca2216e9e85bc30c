//! What the shared library exports: exactly the functions of the header, which are those that are committed. Each has the
//! symbol version of the release that brought it, which its documentation names; the linker takes it from what is committed.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::Outcome;
use crate::header::PATH as HEADER;
use crate::item::{Item, Sort, items};
use crate::workspace::{cargo, command, output, read, settle, succeed, target};

const PATH: &str = "abi/symbols.txt";

/// Writes or checks it.
pub fn run(check: bool) -> Outcome {
    let exported = exported(&library()?)?;
    if let Some(foreign) = exported.iter().find(|name| !name.starts_with("wsstream_")) {
        return Err(format!("the library exports {foreign}"));
    }
    let header = read(HEADER)?;
    let functions: Vec<Item> =
        items(&header).into_iter().filter(|item| item.sort == Sort::Function).collect();
    let declared: BTreeSet<String> = functions.iter().map(|item| item.name.clone()).collect();
    if let Some(odd) = exported.symmetric_difference(&declared).next() {
        return Err(format!("{odd} is only in one of the header and the library"));
    }
    let lines: BTreeSet<String> = functions.iter().map(line).collect::<Result<_, _>>()?;
    settle(PATH, &lines.into_iter().collect::<String>(), check)
}

/// As `nm` lists it in a library that has versions.
pub fn line(function: &Item) -> Result<String, String> {
    let since = function.comment().into_iter().find_map(|line| line.strip_prefix("Since:"));
    let version = since.ok_or_else(|| format!("{} does not say since when it is there", function.name))?;
    Ok(format!("{}@@WSSTREAM_{}\n", function.name, version.trim()))
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
    Ok(listing.lines().filter_map(|line| line.split_whitespace().next().map(str::to_owned)).collect())
}
