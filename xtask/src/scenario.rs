//! Compares tests/scenarios.toml with the suites that run it: every language has a test for each scenario, and none besides.
//!
//! A suite names a scenario where a line begins: `SCENARIO(name)` in C and C++, `def test_name` or `async def test_name` in Python.

use std::fs;

use crate::Outcome;
use crate::workspace::{read, root};

const PATH: &str = "tests/scenarios.toml";

/// The tests of one language: the files `folder`/`stem`….`ending`.
struct Suite {
    folder: &'static str,
    stem: &'static str,
    ending: &'static str,
    heads: &'static [&'static str],
}

const C_HEADS: &[&str] = &["SCENARIO("];
const PYTHON_HEADS: &[&str] = &["def test_", "async def test_"];
const SUITES: [Suite; 3] = [
    Suite { folder: "tests/c", stem: "scenarios", ending: ".c", heads: C_HEADS },
    Suite { folder: "bindings/cpp/tests", stem: "scenarios", ending: ".cpp", heads: C_HEADS },
    Suite { folder: "bindings/python/tests", stem: "test_scenarios", ending: ".py", heads: PYTHON_HEADS },
];

/// Checks the list and every suite against it.
pub fn run() -> Outcome {
    let list = read(PATH)?;
    let (names, mut mistakes) = scenarios(&list);
    for suite in &SUITES {
        let files = format!("{}/{}*{}", suite.folder, suite.stem, suite.ending);
        match suite_text(suite) {
            Err(message) => mistakes.push(message),
            Ok(text) if text.is_empty() => mistakes.push(format!("{files}: there is no such file")),
            Ok(text) => {
                let found = tests(&text, suite.heads);
                mistakes.extend(differences(&names, &found).iter().map(|it| format!("{files}: {it}")));
            }
        }
    }
    if mistakes.is_empty() { Ok(()) } else { Err(mistakes.join("\n")) }
}

/// What the files of a suite say, one behind the other.
fn suite_text(suite: &Suite) -> Result<String, String> {
    let Ok(folder) = fs::read_dir(root().join(suite.folder)) else { return Ok(String::new()) };
    let mut files: Vec<String> = folder
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with(suite.stem) && name.ends_with(suite.ending))
        .collect();
    files.sort();
    files.iter().map(|name| read(&format!("{}/{name}", suite.folder))).collect()
}

/// The names in the list, and what is wrong with it.
fn scenarios(list: &str) -> (Vec<&str>, Vec<String>) {
    let mut names = Vec::new();
    let mut mistakes = Vec::new();
    for block in list.split("[[scenario]]").skip(1) {
        let field = |key: &str| {
            let told = block.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = \""));
            told.and_then(|text| text.strip_suffix('"'))
        };
        let Some(name) = field("name") else {
            mistakes.push(format!("{PATH}: a scenario without a name:{block}"));
            continue;
        };
        if field("path").is_none() {
            mistakes.push(format!("{PATH}: {name} has no path"));
        }
        if !field("says").is_some_and(|says| says.len() > 1 && says.trim_end_matches(')').ends_with('.')) {
            mistakes.push(format!("{PATH}: {name} has no sentence"));
        }
        names.push(name);
    }
    if names.is_empty() {
        mistakes.push(format!("{PATH}: no scenario"));
    }
    mistakes.extend(repeated(&names).map(|name| format!("{PATH}: {name} is there twice")));
    (names, mistakes)
}

/// The tests that a suite has.
fn tests<'a>(text: &'a str, heads: &[&str]) -> Vec<&'a str> {
    let behind = |line: &'a str| heads.iter().find_map(|head| line.strip_prefix(head));
    let name = |rest: &'a str| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next();
    text.lines().filter_map(|line| name(behind(line)?)).collect()
}

fn differences(names: &[&str], found: &[&str]) -> Vec<String> {
    let missing = names.iter().filter(|name| !found.contains(name)).map(|name| format!("{name} is missing"));
    let unknown =
        found.iter().filter(|name| !names.contains(name)).map(|name| format!("{name} is not in {PATH}"));
    missing.chain(unknown).chain(repeated(found).map(|name| format!("{name} is there twice"))).collect()
}

fn repeated<'a>(names: &'a [&'a str]) -> impl Iterator<Item = &'a str> {
    names.iter().enumerate().filter(|(index, name)| names[..*index].contains(name)).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "# About.\n\n[[scenario]]\nname = \"a\"\npath = \"/echo\"\nsays = \"It is so.\"\n\n\
                        [[scenario]]\nname = \"b\"\npath = \"\"\nsays = \"It is so, too.\"\n";

    #[test]
    fn a_list_in_order_has_its_names_and_no_mistake() {
        assert_eq!(scenarios(LIST), (vec!["a", "b"], vec![]));
    }

    #[test]
    fn a_scenario_twice_without_path_or_sentence_or_name_is_a_mistake() {
        let mistake = |old: &str, new: &str| scenarios(&LIST.replacen(old, new, 1)).1.join("\n");
        assert!(mistake("\"b\"", "\"a\"").contains("a is there twice"));
        assert!(mistake("path = \"/echo\"\n", "").contains("a has no path"));
        assert!(mistake("\"It is so.\"", "\"\"").contains("a has no sentence"));
        assert!(mistake("says = \"It is so.\"\n", "").contains("a has no sentence"));
        assert!(mistake("name = \"a\"\n", "").contains("without a name"));
        assert!(!scenarios("# Nothing.\n").1.is_empty());
    }

    #[test]
    fn tests_are_found_where_lines_begin() {
        let c = "#define SCENARIO(name) static void name(void)\nSCENARIO(a) {\n  SCENARIO(not);\n}\nSCENARIO(b_2) {\n";
        assert_eq!(tests(c, C_HEADS), ["a", "b_2"]);
        let python =
            "def test_a():\n    def test_not():\n@mark\nasync def test_b(server: str):\ndef helper():\n";
        assert_eq!(tests(python, PYTHON_HEADS), ["a", "b"]);
    }

    #[test]
    fn what_is_missing_unknown_or_there_twice_is_told() {
        assert!(differences(&["a", "b"], &["b", "a"]).is_empty());
        let told = differences(&["a", "b"], &["b", "b", "c"]);
        assert_eq!(told, ["a is missing", "c is not in tests/scenarios.toml", "b is there twice"]);
    }
}
