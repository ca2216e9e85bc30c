//! The parts of the committed header that are not declarations: its head, its sections, its macros.

use crate::item::{Item, items};

/// A part of the header under a title of its own.
#[derive(Debug)]
pub struct Section {
    /// As in the header, in capitals.
    pub title: String,
    /// The lines of prose below it.
    pub prose: Vec<String>,
    /// What it declares.
    pub items: Vec<Item>,
}

/// A macro that programs use.
#[derive(Debug)]
pub struct Macro {
    /// What is defined.
    pub name: String,
    /// What it is for.
    pub comment: String,
    /// The lines of its definition.
    pub definition: Vec<String>,
}

fn uncommented(line: &str) -> Option<&str> {
    line.strip_prefix("//").map(|rest| rest.strip_prefix(' ').unwrap_or(rest))
}

/// The comment that the header begins with.
pub fn head(header: &str) -> Vec<&str> {
    header.lines().map_while(uncommented).collect()
}

/// Every section in its order.
pub fn sections(header: &str) -> Vec<Section> {
    let rule = format!("// {}\n", "-".repeat(115));
    let bodies = header.split(rule.as_str()).skip(1);
    bodies
        .map(|body| {
            let mut prose = body.lines().map_while(uncommented).map(str::to_owned);
            let title = prose.next().unwrap_or_default();
            Section { title, prose: prose.collect(), items: items(body) }
        })
        .collect()
}

/// Every macro in its order.
pub fn macros(header: &str) -> Vec<Macro> {
    let blocks = header.split("\n\n").filter(|block| block.starts_with("//") && block.contains("\n#define "));
    let made = blocks.map(|block| {
        let comment: Vec<&str> = block.lines().map_while(uncommented).collect();
        let definition: Vec<String> = block.lines().skip(comment.len()).map(str::to_owned).collect();
        let name = definition[0].trim_start_matches("#define ");
        let name = name.chars().take_while(|&c| c.is_alphanumeric() || c == '_').collect();
        Macro { name, comment: comment.join(" "), definition }
    });
    made.collect()
}
