//! The numbers of the Python binding, from the same lists as the header's.

use std::fmt::Write;

use wsstream::stream::{OPTIONS, OptionRow};

use crate::Outcome;
use crate::enumerator::{Enumeration, enumerations};
use crate::workspace::settle;

const PATH: &str = "bindings/python/src/wsstream/_constants.py";
const COLUMNS_MAX: usize = 118;

const HEAD: &str = "\
# Made by `cargo xtask python`; do not edit.
\"\"\"The numbers of the library and the keyword arguments of a stream.\"\"\"

from __future__ import annotations

import enum
import os
from typing import Dict, Tuple, TypedDict, Union


class _Number(enum.IntEnum):
    \"\"\"An enumeration in which later versions of the library may have more members.\"\"\"

    @classmethod
    def _missing_(cls, value: object) -> _Number | None:
        if not isinstance(value, int):
            return None
        member = int.__new__(cls, value)
        member._name_ = f\"UNKNOWN_{value}\"
        member._value_ = value
        return member
";

/// What Python has of the enumerations: how the template calls one, its class, what that is of, what its names begin with.
const CLASSES: [(&str, &str, &str, &str); 7] = [
    ("STATUS", "Status", "_Number", "WSSTREAM_"),
    ("TYPE", "MessageType", "_Number", "WSSTREAM_"),
    ("FLAG", "Flag", "enum.IntFlag", "WSSTREAM_"),
    ("EVENT", "Event", "enum.IntFlag", "WSSTREAM_"),
    ("INITIATOR", "Initiator", "_Number", "WSSTREAM_INITIATOR_"),
    ("PHASE", "Phase", "_Number", "WSSTREAM_PHASE_"),
    ("CAUSE", "Cause", "_Number", "WSSTREAM_CAUSE_"),
];

/// Writes or checks it.
pub fn run(check: bool) -> Outcome {
    let known = enumerations();
    let mut text = HEAD.to_owned();
    for (tag, class, base, prefix) in CLASSES {
        let enumeration = known.iter().find(|each| each.tag == tag).ok_or(format!("there is no {tag}"))?;
        text += &print(enumeration, class, base, prefix);
    }
    settle(PATH, &(text + &options()), check)
}

fn print(enumeration: &Enumeration, class: &str, base: &str, prefix: &str) -> String {
    let mut text = format!("\n\nclass {class}({base}):\n    \"\"\"{}\"\"\"\n\n", worded(enumeration.text));
    for line in &enumeration.lines {
        text += &comment(&worded(&line.text));
        let _ = writeln!(text, "    {} = {}", line.name.trim_start_matches(prefix), line.value);
    }
    text
}

/// How Python has an option: its name, the type of its value, what the binding makes of it, what it says.
fn option(row: &OptionRow) -> (String, &'static str, &'static str, String) {
    let name = row.name.to_lowercase();
    let default = |default: String| format!("{} Default {default}.", worded(row.text));
    match (row.default, name.strip_suffix("_ms")) {
        (Some(milliseconds), Some(name)) => {
            let text = default((milliseconds / 1000).to_string()).replacen("Milliseconds", "Seconds", 1);
            (name.to_owned(), "float", "seconds", text)
        }
        (Some(value), None) if row.range == (0, 1) => {
            let text = default(if value == 1 { "True" } else { "False" }.to_owned());
            (name, "bool", "number", text.replacen("1:", "True:", 1).replacen("0:", "False:", 1))
        }
        (Some(value), None) => (name, "int", "number", default(value.to_string())),
        (None, _) if name == "unix_socket" => {
            (name, "Union[str, os.PathLike[str]]", "text", worded(row.text))
        }
        (None, _) => (name, "Union[str, bytes]", "text", worded(row.text)),
    }
}

fn options() -> String {
    let mut fields = String::new();
    let mut numbers = String::new();
    for row in OPTIONS {
        let (name, hint, sort, text) = option(row);
        fields += &format!("{}    {name}: {hint}\n", comment(&text));
        let _ = writeln!(numbers, "    \"{name}\": ({}, \"{sort}\"),", row.number);
    }
    format!(
        "\n\nclass Options(TypedDict, total=False):\n    \"\"\"What a stream can be opened with, as keyword arguments.\"\"\"\n\n{fields}\
         \n\n# The number of each option, and what its value is.\nOPTIONS: Dict[str, Tuple[int, str]] = {{\n{numbers}}}\n"
    )
}

/// The header's words for other constants, as Python has them.
fn worded(text: &str) -> String {
    text.replace("WSSTREAM_CAUSE_", "Cause.").replace("WSSTREAM_NO_COMPRESS", "compress=False")
}

/// Breaks words into the lines of a comment.
fn comment(text: &str) -> String {
    let mut made = String::new();
    let mut line = "    #".to_owned();
    for word in text.split_whitespace() {
        if line.len() + 1 + word.len() > COLUMNS_MAX {
            made += &line;
            made.push('\n');
            line = "    #".to_owned();
        }
        line.push(' ');
        line.push_str(word);
    }
    made + &line + "\n"
}
