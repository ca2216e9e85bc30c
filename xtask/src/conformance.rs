//! Makes docs/conformance.md: every row of docs/rows.txt with the tests that say they hold it. A row without one is an error.
//!
//! A Rust test says `// Rows: C04, C05` right above its `#[test]`, a C one `/* Rows: C04 */` right above its function. What ran
//! and passed is CI's to say: the tests that are named here are part of `make test`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use crate::workspace::{read, root, settle};
use crate::{Outcome, malformed};

const ROWS: &str = "docs/rows.txt";
const PATH: &str = "docs/conformance.md";
const HEAD: &str = "# Conformance

What a WebSocketStream must do, and the tests that show it: through the C interface, on real sockets. Made by `cargo xtask
conformance` from docs/rows.txt and from the tests; `make test` fails if a row has no test, and it runs every test named here.
**holds** stands for: each test named passes over the schemes named, in every run of CI.
";

/// A test that says it holds rows.
struct Test {
    name: String,
    file: String,
    secure: bool,
    rows: Vec<String>,
}

/// One line of docs/rows.txt.
enum Line<'a> {
    Section(&'a str),
    Row { id: &'a str, claim: &'a str, excused: Option<&'a str> },
}

/// Writes or checks it.
pub fn run(check: bool) -> Outcome {
    let rows = read(ROWS)?;
    let lines = lines(&rows)?;
    let tests = tests()?;
    let known: Vec<&str> = lines.iter().filter_map(id).collect();
    let mistakes: Vec<String> = tests
        .iter()
        .flat_map(|test| test.rows.iter().map(move |row| (test, row)))
        .filter(|(_, row)| !known.contains(&row.as_str()))
        .map(|(test, row)| format!("{} in {} names {row}, which is no row", test.name, test.file))
        .chain(lines.iter().filter_map(|line| unheld(line, &tests)))
        .collect();
    if !mistakes.is_empty() {
        return Err(mistakes.join("\n"));
    }
    settle(PATH, &(document(&lines, &tests) + &malformed::tables()?), check)
}

fn lines(text: &str) -> Result<Vec<Line<'_>>, String> {
    let told = text.lines().filter(|line| !line.is_empty() && !line.starts_with("# "));
    told.map(|line| {
        if let Some(section) = line.strip_prefix("## ") {
            return Ok(Line::Section(section));
        }
        let (id, claim) = line.split_once(' ').ok_or_else(|| format!("{ROWS}: no row: {line}"))?;
        if !is_id(id) {
            return Err(format!("{ROWS}: no row: {line}"));
        }
        Ok(Line::Row { id, claim, excused: claim.strip_prefix("not in C: ") })
    })
    .collect()
}

fn is_id(word: &str) -> bool {
    let bytes = word.as_bytes();
    bytes.len() == 3 && bytes[0].is_ascii_uppercase() && bytes[1..].iter().all(u8::is_ascii_digit)
}

fn id<'a>(line: &Line<'a>) -> Option<&'a str> {
    match line {
        Line::Section(_) => None,
        Line::Row { id, .. } => Some(id),
    }
}

fn holders<'a>(id: &str, tests: &'a [Test]) -> Vec<&'a Test> {
    tests.iter().filter(|test| test.rows.iter().any(|row| row == id)).collect()
}

/// What is wrong with a row, if something is.
fn unheld(line: &Line<'_>, tests: &[Test]) -> Option<String> {
    let Line::Row { id, excused, .. } = line else { return None };
    let holders = holders(id, tests);
    match excused {
        Some(_) if !holders.is_empty() => Some(format!("{id} is not in C, and {} holds it", holders[0].name)),
        Some(_) => None,
        None if holders.is_empty() => Some(format!("no test holds {id}")),
        None if !holders.iter().any(|test| test.secure) => Some(format!("no test holds {id} over wss")),
        None => None,
    }
}

/// The tests of both languages, in the order of their files.
fn tests() -> Result<Vec<Test>, String> {
    let makefile = read("Makefile")?;
    let secure =
        makefile.split_once("\nsecure := ").ok_or("Makefile: no line that says what runs over wss")?.1;
    let secure = secure.split_once(")\n").map_or(secure, |(names, _)| names);
    let secure: Vec<&str> = secure.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    let mut found = Vec::new();
    for (folder, extension) in [("tests", "rs"), ("tests/c", "c")] {
        for stem in stems(folder, extension)? {
            let file = format!("{folder}/{stem}.{extension}");
            let text = read(&file)?;
            let over_wss = extension == "c" || secure.contains(&stem.as_str());
            found.extend(tests_of(&file, &text, over_wss)?);
        }
    }
    Ok(found)
}

fn stems(folder: &str, extension: &str) -> Result<Vec<String>, String> {
    let entries = fs::read_dir(root().join(folder)).map_err(|error| format!("{folder}: {error}"))?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let files = paths.filter(|path| path.extension().is_some_and(|found| found == extension));
    let mut stems: Vec<String> =
        files.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect();
    stems.sort();
    Ok(stems)
}

fn tests_of(file: &str, text: &str, over_wss: bool) -> Result<Vec<Test>, String> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let Some(rows) = line.strip_prefix("// Rows: ").or_else(|| line.strip_prefix("/* Rows: ")) else {
            continue;
        };
        let rows: Vec<String> = rows.trim_end_matches(" */").split(", ").map(str::to_owned).collect();
        let mut below = lines[at + 1..].iter();
        let head = below.by_ref().find(|line| line.starts_with("fn ") || line.starts_with("static void "));
        let name = head.and_then(|head| head.split(['(', ' ']).find(|word| word.contains('_')));
        let name = name.ok_or_else(|| format!("{file}:{}: no test below these rows", at + 1))?;
        if file.ends_with(".rs") && lines[at + 1] != "#[test]" {
            return Err(format!("{file}:{}: these rows are not right above their #[test]", at + 1));
        }
        if file.ends_with(".c") && !text.contains(&format!("RUN({name})")) {
            return Err(format!("{file}: {name} is not run"));
        }
        let is_plain = below.take_while(|line| **line != "}").any(|line| is_plain_only(line));
        found.push(Test {
            name: name.to_owned(),
            file: file.to_owned(),
            secure: over_wss && !is_plain,
            rows,
        });
    }
    Ok(found)
}

/// A test that stops here over wss, or speaks to a peer of C, which knows no TLS.
fn is_plain_only(line: &str) -> bool {
    line.contains("plain_only(") || line.contains("peer_")
}

fn document(lines: &[Line<'_>], tests: &[Test]) -> String {
    let mut made = HEAD.to_owned();
    for line in lines {
        match line {
            Line::Section(title) => {
                let _ =
                    write!(made, "\n## {title}\n\n| row | claim | tests | verdict |\n|---|---|---|---|\n");
            }
            Line::Row { id, excused: Some(reason), .. } => {
                let _ = writeln!(made, "| {id} | | | not in C: {reason} |");
            }
            Line::Row { id, claim, excused: None } => {
                let holders = holders(id, tests);
                let schemes =
                    if holders.iter().all(|test| test.secure) { "ws, wss" } else { "ws; wss in part" };
                let _ = writeln!(made, "| {id} | {claim} | {} | holds: {schemes} |", named(&holders));
            }
        }
    }
    made
}

/// Tests by file, each file once.
fn named(tests: &[&Test]) -> String {
    let mut by_file: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for test in tests {
        by_file.entry(&test.file).or_default().push(format!("`{}`", test.name));
    }
    let files = by_file.iter().map(|(file, names)| format!("{file}: {}", names.join(", ")));
    files.collect::<Vec<_>>().join("; ")
}
