//! The header's enumerations, from the library's own lists.

use wsstream::ffi::constant::{self, Enumerator};
use wsstream::ffi::status;
use wsstream::stream::{Cause, Initiator, OPTIONS, Phase, Status};

/// One line of an enumeration.
pub struct Line {
    /// The whole name.
    pub name: String,
    /// The number.
    pub value: i64,
    /// What it means.
    pub text: String,
}

/// An anonymous enumeration.
pub struct Enumeration {
    /// How the template calls it.
    pub tag: &'static str,
    /// What its members are.
    pub text: &'static str,
    /// Its members.
    pub lines: Vec<Line>,
}

fn screaming(name: &str) -> String {
    let mut made = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !made.is_empty() {
            made.push('_');
        }
        made.extend(c.to_uppercase());
    }
    made
}

fn small(tag: &'static str, text: &'static str, list: &[Enumerator]) -> Enumeration {
    let line = |&(name, value, text): &Enumerator| Line {
        name: format!("WSSTREAM_{name}"),
        value: i64::from(value),
        text: text.trim().to_owned(),
    };
    Enumeration { tag, text, lines: list.iter().map(line).collect() }
}

fn statuses() -> Vec<Line> {
    let line = |&status: &Status| Line {
        name: status::name(status).to_string_lossy().into_owned(),
        value: i64::from(status as i32),
        text: status.text().to_owned(),
    };
    Status::ALL.iter().map(line).collect()
}

fn options() -> Vec<Line> {
    let line = |row: &wsstream::stream::OptionRow| Line {
        name: format!("WSSTREAM_OPTION_{}", row.name),
        value: i64::from(row.number),
        text: match row.default {
            Some(default) => format!("{} Default {default}.", row.text),
            None => row.text.to_owned(),
        },
    };
    OPTIONS.iter().map(line).collect()
}

macro_rules! numbered {
    ($list:ident, $prefix:literal) => {
        $list::ALL
            .iter()
            .map(|&each| Line {
                name: format!(concat!("WSSTREAM_", $prefix, "_{}"), screaming(&format!("{each:?}"))),
                value: each as i64,
                text: each.text().to_owned(),
            })
            .collect()
    };
}

/// All of them.
pub fn enumerations() -> Vec<Enumeration> {
    vec![
        Enumeration {
            tag: "STATUS",
            text: "The values of wsstream_status; they never change.",
            lines: statuses(),
        },
        small("TYPE", "The type of a message.", constant::TYPE),
        small("FLAG", "Flags of a message and its parts.", constant::FLAG),
        small(
            "EVENT",
            "Events, combined with |. One holds when its call with timeout 0 would not answer AGAIN.",
            constant::EVENT,
        ),
        small("NEXT", "What a message callback answers.", constant::NEXT),
        small("LOG", "How much is logged: a level includes those before it.", constant::LOG),
        Enumeration {
            tag: "INITIATOR",
            text: "Who began the end of a connection.",
            lines: numbered!(Initiator, "INITIATOR"),
        },
        Enumeration {
            tag: "PHASE",
            text: "Where a stream was when it ended.",
            lines: numbered!(Phase, "PHASE"),
        },
        Enumeration {
            tag: "CAUSE",
            text: "Why a stream ended, for decisions.",
            lines: numbered!(Cause, "CAUSE"),
        },
        Enumeration {
            tag: "OPTION",
            text: "Options: numbers up to 99 are set with wsstream_options_set_number, from 100 on with wsstream_options_set_text.",
            lines: options(),
        },
    ]
}

/// Breaks words into lines of a comment.
fn comment(text: &str, indent: &str) -> String {
    let mut made = String::new();
    let mut line = format!("{indent}//");
    for word in text.split_whitespace() {
        if line.len() + 1 + word.len() > 118 {
            made.push_str(&line);
            made.push('\n');
            line = format!("{indent}//");
        }
        line.push(' ');
        line.push_str(word);
    }
    made + &line + "\n"
}

impl Enumeration {
    /// As C has it.
    pub fn print(&self) -> String {
        let mut text = comment(self.text, "") + "enum {\n";
        for line in &self.lines {
            text += &comment(&line.text, "  ");
            text += &format!("  {} = {},\n", line.name, line.value);
        }
        // Without a comma before the brace, for the oldest compilers.
        text.truncate(text.len() - 2);
        text + "\n};"
    }
}
