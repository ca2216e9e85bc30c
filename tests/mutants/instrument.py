"""Compiles every mutant that cargo-mutants lists into one tree: instrument.py TREE

TREE is a copy of the repository. Each function that has mutants becomes a `match` on the number of the one that is switched on,
with a body for each; the number comes from the environment (WSSTREAM_MUTANT), as does the file that the functions reached are
appended to (WSSTREAM_REACHED). Mutants of constants, and of functions that the compiler runs, cannot be switched.

Owns the text of the functions; refuses to know tests. Writes TREE/mutants.json: number, name, file, function, state
("switched", "unviable", "constant").
"""
import json
import pathlib
import re
import subprocess
import sys

# Crates that compile the layers once more.
ROOTS = ["src", "layers/proto/src", "models/src"]
SWITCH = """\
//! Which mutant is switched on, and which functions with mutants were reached.
#![allow(missing_docs)]
use std::io::Write;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

static ACTIVE: OnceLock<u32> = OnceLock::new();
static REACHED: [AtomicBool; COUNT] = [const { AtomicBool::new(false) }; COUNT];

#[inline(never)]
pub fn at(function: usize) -> u32 {
    if !REACHED[function].swap(true, Ordering::Relaxed) {
        if let Some(path) = std::env::var_os("WSSTREAM_REACHED") {
            if let Ok(mut file) = std::fs::OpenOptions::new().create(true).append(true).open(path) {
                let _ = file.write_all(format!("{function}\\n").as_bytes());
            }
        }
    }
    *ACTIVE.get_or_init(|| std::env::var("WSSTREAM_MUTANT").ok().and_then(|text| text.parse().ok()).unwrap_or(0))
}
"""


def offset(lines, place):
    return sum(len(line) for line in lines[: place["line"] - 1]) + place["column"] - 1


def body_of(text, start, end):
    """Where the body of the function in this range begins; None: it is one that the compiler may run."""
    head = re.compile(r"//[^\n]*|#\[(?:[^\[\]]|\[[^\]]*\])*\]|(\{)|(\bconst\s+fn\b)")
    is_const = False
    for match in head.finditer(text, start, end):
        is_const |= bool(match.group(2))
        if match.group(1):
            return None if is_const else match.start()
    return None


class Function:
    def __init__(self, number, text, lines, span):
        self.number = number
        self.start, self.end = offset(lines, span["start"]), offset(lines, span["end"])
        self.body = body_of(text, self.start, self.end)
        self.mutants = []


def instrument(text, functions):
    """The text with each function's body made a choice; and for each line of it the mutant that it belongs to."""
    lines = text.splitlines(keepends=True)
    pieces, owners, position = [], [], 0

    def put(piece, owner):
        pieces.append(piece)
        owners.extend([owner] * piece.count("\n"))

    for function in sorted(functions, key=lambda function: function.start):
        if function.body is None or function.body < position:
            for mutant in function.mutants:
                mutant["state"] = "constant"
            continue
        put(text[position : function.body], 0)
        put("{ match crate::mutants::at(%d) {\n" % function.number, 0)
        for mutant in function.mutants:
            if mutant["state"] != "switched":
                continue
            begin, end = (offset(lines, mutant["span"][side]) for side in ("start", "end"))
            mutated = text[function.body : begin] + " " + mutant["replacement"] + " " + text[end : function.end]
            put("%d => %s\n" % (mutant["number"], mutated), mutant["number"])
        put("_ => ", 0)
        put(text[function.body : function.end], 0)
        put("\n} }", 0)
        position = function.end
    put(text[position:], 0)
    return "".join(pieces), owners


def write(tree, files):
    owners = {}
    for name, (text, functions) in files.items():
        changed, owners[name] = instrument(text, functions.values())
        (tree / name).write_text(changed)
    return owners


def errors(tree, verb):
    """File and line of each error. Some lints are only met by a build."""
    features = ["--features", "wsstream/dump,wsstream/fault-injection,wsstream/count-locked"]
    command = ["cargo", verb, "--message-format=json", "--quiet", "--workspace", "--lib", *features]
    output = subprocess.run(command, cwd=tree, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    for line in output.splitlines():
        message = json.loads(line)
        if message.get("reason") != "compiler-message" or message["message"]["level"] != "error":
            continue
        spans = list(message["message"]["spans"])
        while spans:
            span = spans.pop(0)
            yield span["file_name"], span["line_start"], span["is_primary"], message["message"]["message"]
            if span["expansion"]:
                spans.append(span["expansion"]["span"])


def main():
    tree = pathlib.Path(sys.argv[1])
    command = ["cargo", "mutants", "--list", "--json"]
    listed = json.loads(subprocess.run(command, cwd=tree, stdout=subprocess.PIPE, check=True).stdout)
    files, mutants, count = {}, [], 0
    for number, entry in enumerate(listed, 1):
        mutant = {key: entry[key] for key in ("name", "file", "span", "replacement", "genre")}
        mutant |= {"number": number, "state": "switched", "function": -1}
        mutants.append(mutant)
        if entry["function"] is None:
            mutant["state"] = "constant"
            continue
        if entry["file"] not in files:
            text = (tree / entry["file"]).read_text()
            files[entry["file"]] = (text, {})
        text, functions = files[entry["file"]]
        key = json.dumps(entry["function"]["span"])
        if key not in functions:
            functions[key] = Function(count, text, text.splitlines(keepends=True), entry["function"]["span"])
            count += 1
        mutant["function"] = functions[key].number
        functions[key].mutants.append(mutant)
    for root in ROOTS:
        path = tree / root / "lib.rs"
        path.write_text(path.read_text() + "\npub mod mutants;\n")
        (tree / root / "mutants.rs").write_text(SWITCH.replace("COUNT", str(count)))
    by_number = {mutant["number"]: mutant for mutant in mutants}
    verb = "check"
    for turn in range(30):
        owners = write(tree, files)
        found, unknown = set(), []
        for name, line, is_primary, message in errors(tree, verb):
            name = name[name.rfind("src/"):] if "src/" in name else name
            lines = owners.get(name, [])
            owner = lines[line - 1] if line <= len(lines) else 0
            if owner:
                found.add(owner)
            elif is_primary:
                unknown.append((name, line, message))
        print(f"turn {turn}: {len(found)} do not compile", *unknown[:5], sep="\n  ", flush=True)
        if not found and verb == "build":
            break
        verb = verb if found else "build"
        for number in found:
            by_number[number]["state"] = "unviable"
    (tree / "mutants.json").write_text(json.dumps(mutants, indent=1))
    return 1 if unknown else 0


if __name__ == "__main__":
    sys.exit(main())
