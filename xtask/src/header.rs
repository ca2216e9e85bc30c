//! Puts the header together: the template's order and prose, cbindgen's declarations, the enumerations, the example.
//!
//! Each declaration is placed exactly once; one that the template forgets, or names without there being one, is an error.

use std::collections::BTreeMap;

use crate::Outcome;
use crate::enumerator::enumerations;
use crate::item;
use crate::workspace::{read, settle};

/// Where it is kept.
pub const PATH: &str = "include/wsstream.h";
const TEMPLATE: &str = "xtask/header.template.h";
const EXAMPLE: &str = "examples/echo.c";

/// Characters of its longest line.
const WIDTH: usize = 118;

/// What is at the top of the made file, for whoever would edit it.
const MADE: &str = "// Made by `cargo xtask header` from src/ffi; do not edit.\n//\n";

/// Writes or checks it.
pub fn run(check: bool) -> Outcome {
    settle(PATH, &make()?, check)
}

fn example_lines() -> Result<String, String> {
    let example = read(EXAMPLE)?;
    if let Some(line) = example.lines().find(|line| line.ends_with('\\')) {
        return Err(format!("{EXAMPLE}: inside a comment this line would swallow the next: {line}"));
    }
    Ok(example.lines().map(|line| format!("//     {line}").trim_end().to_owned() + "\n").collect())
}

/// Checks that the header's program is the example.
pub fn example() -> Outcome {
    if read(PATH)?.contains(&example_lines()?) {
        Ok(())
    } else {
        Err(format!("the program at the top of {PATH} is not {EXAMPLE}: run `cargo xtask header`"))
    }
}

fn make() -> Result<String, String> {
    let items = item::generated()?;
    let mut parts: BTreeMap<String, String> =
        items.into_iter().map(|item| (format!("item {}", item.name), item.text)).collect();
    parts.extend(enumerations().into_iter().map(|each| (format!("enum {}", each.tag), each.print())));
    let mut header = MADE.to_owned();
    for line in read(TEMPLATE)?.lines() {
        match line.strip_prefix("//@") {
            None => header += line,
            Some(place) if place.starts_with("file ") => header += example_lines()?.trim_end(),
            Some(place) => {
                header += &parts
                    .remove(place)
                    .ok_or_else(|| format!("{TEMPLATE}: there is no {place}, or twice"))?;
            }
        }
        header.push('\n');
    }
    // Compilers of the C world may read bytes instead of UTF-8.
    if let Some(line) = header.lines().find(|line| !line.is_ascii() || line.len() > WIDTH) {
        return Err(format!("not ASCII, or over {WIDTH} characters: {line}"));
    }
    match parts.keys().next() {
        None => Ok(header),
        Some(forgotten) => Err(format!("{TEMPLATE} has no place for {forgotten}")),
    }
}
