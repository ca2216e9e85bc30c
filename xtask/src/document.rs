//! Checks that every function and every callback of the header says what its caller has to know, in the same lines.

use crate::Outcome;
use crate::enumerator::enumerations;
use crate::header::PATH;
use crate::item::{Item, Sort, items};
use crate::workspace::read;

const OF_FUNCTION: [&str; 6] = ["Ownership:", "Threads:", "Blocking:", "Errors:", "Lifetime:", "Since:"];
const OF_CALLBACK: [&str; 5] = ["Called:", "Thread:", "Valid:", "May call:", "Returns:"];

/// Checks the committed header.
pub fn run() -> Outcome {
    let header = read(PATH)?;
    let mistakes: Vec<String> =
        items(&header).iter().filter_map(|item| Some(format!("{}: {}", item.name, mistake(item)?))).collect();
    if mistakes.is_empty() { Ok(()) } else { Err(mistakes.join("\n")) }
}

fn mistake(item: &Item) -> Option<String> {
    let comment = item.comment();
    match item.sort {
        Sort::Callback => lines_mistake(&comment, &OF_CALLBACK),
        Sort::Function => {
            let Some(end) = comment.iter().position(|line| line.is_empty()) else {
                return Some("no empty line after the first sentence".to_owned());
            };
            let sentence = comment[..end].join(" ");
            if !sentence.ends_with('.') || sentence.contains(". ") {
                return Some(format!("not one sentence: {sentence}"));
            }
            lines_mistake(&comment[end + 1..], &OF_FUNCTION).or_else(|| status_mistake(&comment))
        }
        Sort::Structure | Sort::Type => comment.is_empty().then(|| "no comment".to_owned()),
    }
}

/// The labelled lines, in their order, each with something to say; further lines of one are indented like its first.
fn lines_mistake(lines: &[&str], labels: &[&str]) -> Option<String> {
    let width = labels.iter().map(|label| label.len()).max().unwrap_or(0) + 1;
    let mut lines = lines.iter().take_while(|line| !line.is_empty()).peekable();
    for label in labels {
        let head = format!("{label:width$}");
        let Some(said) = lines.next().and_then(|line| line.strip_prefix(&head)) else {
            return Some(format!("no line \"{label}\" where it belongs"));
        };
        if said.len() < 3 || said.starts_with(' ') {
            return Some(format!("\"{label}\" says nothing"));
        }
        while lines.next_if(|line| line.starts_with(&" ".repeat(width))).is_some() {}
    }
    lines.next().map(|line| format!("more than its lines: {line}"))
}

/// Every status that is named is one that there is.
fn status_mistake(comment: &[&str]) -> Option<String> {
    let known = enumerations();
    let text = comment.join(" ");
    let words = text.split(|c: char| !c.is_ascii_uppercase() && c != '_');
    let mut statuses = words.filter(|word| word.starts_with("ERR_"));
    let unknown =
        statuses.find(|word| !known[0].lines.iter().any(|line| line.name == format!("WSSTREAM_{word}")));
    unknown.map(|word| format!("there is no {word}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "// Does it.\n//\n// Ownership: nothing.\n// Threads:   any.\n// Blocking:  never.\n// Errors:    none.\n\
                        // Lifetime:  for ever.\n// Since:     0.1\nvoid wsstream_it(int a);\n";

    fn found(header: &str) -> Option<String> {
        mistake(&items(header)[0])
    }

    #[test]
    fn six_lines_are_enough() {
        assert_eq!(found(GOOD), None);
    }

    #[test]
    fn a_missing_line_a_silent_one_and_a_foreign_status_are_mistakes() {
        for label in OF_FUNCTION {
            let without: String =
                GOOD.lines().filter(|line| !line.contains(label)).map(|line| format!("{line}\n")).collect();
            assert!(found(&without).is_some(), "{label}");
        }
        assert!(found(&GOOD.replace("never.", "")).is_some());
        assert!(found(&GOOD.replace("none.", "ERR_WEATHER.")).is_some());
        assert!(found(&GOOD.replace("Does it.", "Does it. And more.")).is_some());
    }
}
