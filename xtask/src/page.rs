//! One page of the manual for each declaration of the header, in mdoc(7).

use crate::enumerator::{Enumeration, Line};
use crate::item::{Item, Sort};
use crate::mdoc::{Block, Words, blocks, code};
use crate::section::Macro;

/// The day of the pages, which mdoc asks for: it follows the releases.
const DATE: &str = "November 30, 2026";
/// What stands for a status in the header: its end of the name.
const PREFIX: &str = "WSSTREAM_";

/// What a page is made from.
pub struct Source<'a> {
    /// What words stand for.
    pub words: &'a Words,
    /// The declaration.
    pub item: &'a Item,
    /// Enumerations that are told on this page.
    pub enumerations: Vec<&'a Enumeration>,
    /// Macros that are told on this page.
    pub macros: Vec<&'a Macro>,
    /// What each status means.
    pub statuses: &'a [Line],
    /// Which other pages belong to it.
    pub see: Vec<&'a str>,
    /// For a callback: the function that takes it.
    pub taken_by: Option<&'a str>,
}

/// Name and one line of what it is.
pub fn head(name: &str, section: u8, what: &str) -> String {
    let what = lowered(what.trim_end_matches('.')).replace('"', "\\(dq");
    let version = env!("CARGO_PKG_VERSION");
    let mut head = format!(
        ".\\\" Made by `cargo xtask man` from include/wsstream.h; do not edit.\n.Dd {DATE}\n.Dt {} {section}\n\
         .Os wsstream {version}\n.Sh NAME\n.Nm {name}\n.Nd {what}\n",
        name.to_uppercase()
    );
    if section == 3 {
        head += ".Sh LIBRARY\nlibwsstream (\\-lwsstream)\n";
    }
    head + ".Sh SYNOPSIS\n.In wsstream.h\n"
}

fn lowered(text: &str) -> String {
    let mut letters = text.chars();
    let (first, second) = (letters.next(), letters.next());
    match first {
        Some(first) if !second.is_some_and(char::is_uppercase) => {
            first.to_lowercase().chain(text.chars().skip(1)).collect()
        }
        _ => text.to_owned(),
    }
}

/// The last section; the conventions always belong to it.
pub fn see_also(words: &Words, own: &str, others: &[&str]) -> String {
    let mut pages: Vec<(u8, &str)> = others
        .iter()
        .filter(|&&name| name != own)
        .filter_map(|&name| Some((*words.pages.get(name)?, name)))
        .collect();
    pages.sort_unstable();
    pages.dedup();
    let lines: Vec<String> = pages.iter().map(|(section, name)| format!(".Xr {name} {section}")).collect();
    format!(".Sh SEE ALSO\n{}\n", lines.join(" ,\n"))
}

/// A line of the header that begins with a word and a colon, with the lines that continue it.
fn labelled<'a>(lines: &[&'a str]) -> Vec<(&'a str, String)> {
    let mut made: Vec<(&str, String)> = Vec::new();
    for line in lines.iter().take_while(|line| !line.is_empty()) {
        match (line.split_once(':').filter(|_| !line.starts_with(' ')), made.last_mut()) {
            (Some((label, text)), _) => made.push((label, text.trim().to_owned())),
            (None, Some((_, text))) => *text += &format!(" {}", line.trim()),
            (None, None) => {}
        }
    }
    made
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Macros with what they are for and how they are defined.
pub fn macro_list(words: &Words, own: &str, macros: &[&Macro]) -> String {
    let entry = |each: &&Macro| {
        let definition = code(each.definition.iter().map(String::as_str));
        format!(".It Dv {}\n{}{definition}", each.name, words.prose(own, &each.comment))
    };
    let entries: String = macros.iter().map(entry).collect();
    if entries.is_empty() { entries } else { format!(".Bl -tag -width Ds\n{entries}.El\n") }
}

/// Cuts where a mark is outside of brackets.
fn cut<'a>(text: &'a str, mark: &str) -> Vec<&'a str> {
    let (mut made, mut begin, mut depth) = (Vec::new(), 0, 0);
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ if depth == 0 && at >= begin && text[at..].starts_with(mark) => {
                made.push(&text[begin..at]);
                begin = at + mark.len();
            }
            _ => {}
        }
    }
    made.push(&text[begin..]);
    made
}

impl Source<'_> {
    fn own(&self) -> &str {
        &self.item.name
    }

    /// Where a sentence does not begin with the name of an argument it begins with a capital.
    fn sentence(&self, text: &str) -> String {
        let is_letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let first = text.split(|c| !is_letter(c)).next().unwrap_or_default();
        let declaration = self.item.declaration();
        let is_argument = declaration.split(|c| !is_letter(c)).any(|word| word == first);
        if is_argument { text.to_owned() } else { capital(text) }
    }

    fn prose(&self, text: &str) -> String {
        self.words.prose(self.own(), text)
    }

    /// A status of the line Errors with the remark behind it, as an entry.
    fn error(&self, piece: &str) -> Option<(String, String)> {
        let (name, remark) = piece.split_once(' ').map_or((piece, None), |(name, rest)| (name, Some(rest)));
        let status = self.statuses.iter().find(|line| line.name.strip_prefix(PREFIX) == Some(name))?;
        let remark = match remark {
            None => String::new(),
            Some(rest) => {
                let rest = rest.strip_prefix('(')?.strip_suffix(')')?;
                rest.strip_prefix("also: ")
                    .map_or_else(|| format!(" Here: {rest}."), |rest| format!(" Also: {rest}."))
            }
        };
        Some((status.name.clone(), capital(&status.text) + &remark))
    }

    fn errors(&self, text: &str) -> String {
        let sentences = cut(text, ". ");
        let first = sentences[0].trim_end_matches('.');
        let entries: Option<Vec<_>> = cut(first, ", ").into_iter().map(|piece| self.error(piece)).collect();
        match entries {
            None => self.prose(&self.sentence(text)),
            Some(entries) => {
                self.words.list(self.own(), &entries)
                    + &self.prose(text[sentences[0].len()..].trim_start_matches(". "))
            }
        }
    }

    fn function_synopsis(&self) -> String {
        let declaration = self.item.declaration();
        let (result, rest) = declaration.split_once(self.own()).unwrap_or_default();
        let arguments = rest.trim_start_matches('(').trim_end_matches(");");
        let arguments: String = arguments.split(", ").map(|each| format!(".Fa \"{each}\"\n")).collect();
        format!(".Ft {}\n.Fo {}\n{arguments}.Fc\n", result.trim(), self.own())
    }

    fn enumerations(&self) -> String {
        let each = |enumeration: &&Enumeration| {
            let entry = |line: &Line| (line.name.clone(), format!("({}) {}", line.value, line.text));
            let entries: Vec<_> = enumeration.lines.iter().map(entry).collect();
            let title = enumeration.tag.replace('_', " ");
            format!(".Ss {}\n{}", capital(&title.to_lowercase()), self.prose(enumeration.text))
                + &self.words.list(self.own(), &entries)
        };
        let macros = macro_list(self.words, self.own(), &self.macros);
        let list: String = self.enumerations.iter().map(each).collect();
        if macros.is_empty() && list.is_empty() { list } else { format!(".Sh CONSTANTS\n{macros}{list}") }
    }

    fn see_also(&self) -> String {
        let mut see = self.see.clone();
        let said = self.item.text.split(|c: char| !c.is_alphanumeric() && c != '_');
        see.extend(said.filter_map(|word| self.words.home(word)));
        see.push("wsstream");
        see_also(self.words, self.own(), &see)
    }

    fn function(&self) -> String {
        let comment = self.item.comment();
        let end = comment.iter().position(|line| line.is_empty()).unwrap_or(comment.len());
        let sentence = comment[..end].join(" ");
        let said = labelled(&comment[end + 1..]);
        let rest = comment.iter().skip(end + 1).position(|line| line.is_empty()).map(|at| end + 1 + at);
        let mut page = head(self.own(), 3, &sentence) + &self.function_synopsis();
        page += ".Sh DESCRIPTION\n";
        page += &self.prose(&sentence);
        if let Some(rest) = rest {
            let rest = blocks(&comment[rest..]);
            if matches!(rest.first(), Some(Block::Paragraph(_))) {
                page += ".Pp\n";
            }
            page += &self.words.blocks(self.own(), &rest);
        }
        for label in ["Ownership", "Threads", "Blocking", "Lifetime"] {
            let text = said.iter().find(|(name, _)| *name == label).map_or("", |(_, text)| text);
            page += &format!(".Sh {}\n{}", label.to_uppercase(), self.prose(&self.sentence(text)));
        }
        if self.item.declaration().starts_with("wsstream_status ") {
            page += &format!(".Sh RETURN VALUES\n.Dv {PREFIX}OK ,\nor one of those below.\n");
        }
        page += &self.enumerations();
        for (label, text) in &said {
            match *label {
                "Errors" => page += &format!(".Sh ERRORS\n{}", self.errors(text)),
                "Since" => {
                    page += &self.see_also();
                    page += &format!(".Sh HISTORY\nSince version {text}.\n");
                }
                _ => {}
            }
        }
        page
    }

    fn callback(&self) -> String {
        let what = match self.taken_by {
            Some(function) => format!("callback for {function}"),
            None => "callback".to_owned(),
        };
        let mut page = head(self.own(), 3, &what);
        page += &code(self.item.text.lines().filter(|line| !line.starts_with("//")));
        let entries: Vec<_> = labelled(&self.item.comment())
            .into_iter()
            .map(|(label, text)| (label.to_owned(), self.sentence(&text)))
            .collect();
        page += ".Sh DESCRIPTION\n.Bl -tag -width Ds\n";
        for (label, text) in entries {
            page += &format!(".It Sy {label}\n{}", self.prose(&text));
        }
        page + ".El\n" + &self.enumerations() + &self.see_also()
    }

    /// A structure's fields with what is said above each.
    fn fields(&self) -> String {
        let mut made = String::new();
        let mut said = String::new();
        for line in self.item.text.lines().filter(|line| line.starts_with("  ")).map(str::trim) {
            match line.strip_prefix("// ") {
                Some(text) => said += &format!("{text} "),
                None => {
                    made += &format!(".It Fa \"{}\"\n{}", line.trim_end_matches(';'), self.prose(&said));
                    said.clear();
                }
            }
        }
        format!(".Bl -tag -width Ds\n{made}.El\n")
    }

    /// Any other type.
    fn other(&self) -> String {
        let comment = self.item.comment();
        let text = comment.join(" ");
        let sentence = text.split(". ").next().unwrap_or_default();
        let mut page = head(self.own(), 3, sentence);
        let declaration: Vec<&str> =
            self.item.text.lines().filter(|line| !line.trim().starts_with("//")).collect();
        page += &code(declaration);
        page += ".Sh DESCRIPTION\n";
        page += &self.words.blocks(self.own(), &blocks(&comment));
        if self.item.sort == Sort::Structure {
            page += &self.fields();
        }
        page + &self.enumerations() + &self.see_also()
    }

    /// The page.
    pub fn print(&self) -> String {
        match self.item.sort {
            Sort::Function => self.function(),
            Sort::Callback => self.callback(),
            Sort::Structure | Sort::Type => self.other(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::item::items;

    const HEADER: &str = "// Does it.\n//\n// Ownership: out is copied.\n// Threads:   any.\n// Blocking:  never.\n\
                          // Errors:    AGAIN (not yet, or never), ERR_STATE (also: freed). Nothing changes.\n\
                          // Lifetime:  for ever.\n// Since:     0.1\n//\n// More of it.\n\
                          wsstream_status wsstream_it(int out);\n";

    fn page(header: &str) -> String {
        let line = |name: &str, text: &str| Line { name: name.to_owned(), value: 0, text: text.to_owned() };
        let statuses = [line("WSSTREAM_AGAIN", "Not yet."), line("WSSTREAM_ERR_STATE", "Over.")];
        let mut words = Words { pages: BTreeMap::from([("wsstream".to_owned(), 7)]), ..Words::default() };
        let home = |status: &Line| (status.name.clone(), "wsstream".to_owned());
        words.constants.extend(statuses.iter().map(home));
        let item = &items(header)[0];
        let (enumerations, macros, see) = (Vec::new(), Vec::new(), Vec::new());
        Source { words: &words, item, enumerations, macros, statuses: &statuses, see, taken_by: None }.print()
    }

    #[test]
    fn every_line_of_a_function_has_its_section() {
        let page = page(HEADER);
        assert!(page.contains(".Nd does it\n"), "{page}");
        assert!(page.contains(".Sh OWNERSHIP\nout is copied.\n.Sh THREADS\nAny.\n"), "{page}");
        assert!(page.contains(".Sh DESCRIPTION\nDoes it.\n.Pp\nMore of it.\n"), "{page}");
        assert!(page.ends_with(".Sh SEE ALSO\n.Xr wsstream 7\n.Sh HISTORY\nSince version 0.1.\n"), "{page}");
    }

    #[test]
    fn each_status_is_an_entry_and_what_follows_them_is_kept() {
        let errors = ".It Dv WSSTREAM_AGAIN\nNot yet.\nHere: not yet, or never.\n.It Dv WSSTREAM_ERR_STATE\nOver.\n\
                      Also: freed.\n.El\nNothing changes.\n";
        assert!(page(HEADER).contains(errors), "{}", page(HEADER));
    }

    #[test]
    fn errors_that_are_no_list_stay_sentences() {
        let page = page(&HEADER.replace("AGAIN (not yet, or never)", "as with AGAIN"));
        assert!(page.contains(".Sh ERRORS\nAs with\n.Dv WSSTREAM_AGAIN ,\n"), "{page}");
    }
}
