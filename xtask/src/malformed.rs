//! The second half of docs/conformance.md: what comes of each input of docs/malformed.toml, which tests/malformed.rs sends.

use std::collections::HashMap;
use std::fmt::Write as _;

use crate::workspace::read;

const PATH: &str = "docs/malformed.toml";
const HEAD: &str = "
## What a hostile server sends

Each input of docs/malformed.toml is sent by tests/malformed.rs over ws and wss: to a program that reads, to one that does not,
and byte by byte. **status** is the HTTP status told, **Close** the code that goes out, behind which nothing does.
";

/// The tables, one for each group of inputs.
pub fn tables() -> Result<String, String> {
    let text = read(PATH)?;
    let mut made = HEAD.to_owned();
    for block in text.split("\n\n") {
        if let Some(title) = block.strip_prefix("# ").filter(|title| !title.contains('\n')) {
            let _ = write!(made, "\n### {title}\n\n| input | cause | status | Close |\n|---|---|---|---|\n");
        } else if block.starts_with("[[input]]") {
            let input = fields(block)?;
            let told = |key: &str| input.get(key).copied().unwrap_or("none");
            let (name, cause) = (told("name").replace('_', " "), told("cause"));
            let _ = writeln!(made, "| {name} | {cause} | {} | {} |", told("http_status"), told("close"));
        }
    }
    Ok(made)
}

fn fields(block: &str) -> Result<HashMap<&str, &str>, String> {
    let fields = block.lines().skip(1).filter(|line| !line.starts_with('#'));
    fields
        .map(|line| {
            let (key, value) = line.split_once(" = ").ok_or_else(|| format!("{PATH}: no field: {line}"))?;
            Ok((key, value.trim_matches('\'')))
        })
        .collect()
}
