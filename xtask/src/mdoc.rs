//! The header's prose as mdoc(7): what names a page or a number becomes a macro, and each sentence begins a line.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Characters of the longest line of text.
const WIDTH: usize = 78;
/// What may stand behind a macro's argument as one of its own.
const PUNCTUATION: &str = ".,;:)!?";

/// What the words of a text stand for.
#[derive(Debug, Default)]
pub struct Words {
    /// Every page with its section of the manual.
    pub pages: BTreeMap<String, u8>,
    /// Every enumerator and macro of the header with the page that tells it.
    pub constants: BTreeMap<String, String>,
}

/// A piece of a comment.
#[derive(Debug, PartialEq, Eq)]
pub enum Block {
    /// Sentences.
    Paragraph(String),
    /// Terms with what is said of them.
    List(Vec<(String, String)>),
    /// Lines as they are.
    Code(Vec<String>),
}

/// What a word is, without what surrounds it.
fn parts(word: &str) -> (&str, &str, &str) {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let begin = word.find(is_part).unwrap_or(0);
    let end = word[begin..].find(|c| !is_part(c)).map_or(word.len(), |end| begin + end);
    (&word[..begin], &word[begin..end], &word[end..])
}

/// Makes a text harmless to troff.
pub fn escaped(text: &str) -> String {
    let mut made = text.replace('\\', "\\e");
    if let Some(digits) = made.strip_prefix('-').filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    {
        made = format!("\\-{digits}");
    }
    if made.starts_with(['.', '\'']) { format!("\\&{made}") } else { made }
}

/// Lines that are printed as they are.
pub fn code<'a>(lines: impl IntoIterator<Item = &'a str>) -> String {
    let mut made = String::from(".Bd -literal\n");
    for line in lines {
        made += &escaped(&line.replace('-', "\u{1}")).replace('\u{1}', "\\-");
        made.push('\n');
    }
    made + ".Ed\n"
}

impl Words {
    /// The whole name of a constant that the header may call by its last words.
    fn constant(&self, word: &str) -> Option<String> {
        let known = |name: String| Some(name).filter(|name| self.constants.contains_key(name));
        let is_status = word.starts_with("ERR_") || ["OK", "DONE", "AGAIN", "QUEUED"].contains(&word);
        known(word.to_owned())
            .or_else(|| known(format!("WSSTREAM_{word}")).filter(|_| is_status))
            .or_else(|| known(format!("WSSTREAM_OPTION_{word}")).filter(|_| word.contains('_')))
    }

    /// The page that tells a word.
    pub fn home(&self, word: &str) -> Option<&str> {
        match self.pages.get_key_value(word) {
            Some((page, _)) => Some(page),
            None => self.constants.get(&self.constant(word)?).map(String::as_str),
        }
    }

    /// The macro for a word, on the page `own`.
    fn macros(&self, own: &str, word: &str) -> Option<String> {
        if word == own && word != "wsstream" {
            return Some(format!("Nm {word}"));
        }
        match self.pages.get(word).filter(|_| word != "wsstream") {
            Some(section) => Some(format!("Xr {word} {section}")),
            None => self.constant(word).map(|name| format!("Dv {name}")),
        }
    }

    /// A line with a macro for a word and its punctuation.
    fn macro_line(&self, own: &str, word: &str) -> Option<String> {
        let (lead, core, trail) = parts(word);
        if !["", "("].contains(&lead) || !trail.chars().all(|c| PUNCTUATION.contains(c)) {
            return None;
        }
        let named = self.macros(own, core)?;
        let mut line = if lead.is_empty() { format!(".{named}") } else { format!(".Pf ( {named}") };
        trail.chars().for_each(|c| {
            let _ = write!(line, " {c}");
        });
        Some(line)
    }

    /// Sentences, on the page `own`.
    pub fn prose(&self, own: &str, text: &str) -> String {
        let (mut made, mut line) = (String::new(), String::new());
        let mut flush = |line: &mut String| {
            if !line.is_empty() {
                made.push_str(line);
                made.push('\n');
                line.clear();
            }
        };
        for word in text.split_whitespace() {
            let ends = word.trim_end_matches(')').ends_with(['.', '?', '!']) && !word.ends_with("...");
            if let Some(with_macro) = self.macro_line(own, word) {
                flush(&mut line);
                line = with_macro;
                flush(&mut line);
                continue;
            }
            if !line.is_empty() && line.len() + 1 + word.len() > WIDTH {
                flush(&mut line);
            }
            if line.is_empty() {
                line = escaped(word);
            } else {
                line.push(' ');
                line += escaped(word).trim_start_matches("\\&");
            }
            if ends {
                flush(&mut line);
            }
        }
        flush(&mut line);
        made
    }

    /// The head of an entry: its words as macros where they are some.
    pub fn term(&self, own: &str, text: &str) -> String {
        let words = text.split_whitespace().map(|word| {
            let (_, core, trail) = parts(word);
            let named = self.macros(own, core).unwrap_or_else(|| format!("Sy {}", escaped(core)));
            if trail.is_empty() { named } else { format!("{named} {trail}") }
        });
        words.collect::<Vec<_>>().join(" ")
    }

    /// A list of terms.
    pub fn list(&self, own: &str, entries: &[(String, String)]) -> String {
        let mut made = String::from(".Bl -tag -width Ds\n");
        for (term, text) in entries {
            made += &format!(".It {}\n{}", self.term(own, term), self.prose(own, text));
        }
        made + ".El\n"
    }

    /// Pieces one below the other.
    pub fn blocks(&self, own: &str, blocks: &[Block]) -> String {
        let mut made = String::new();
        for block in blocks {
            match block {
                Block::Paragraph(text) => {
                    if !made.is_empty() {
                        made += ".Pp\n";
                    }
                    made += &self.prose(own, text);
                }
                Block::List(entries) => made += &self.list(own, entries),
                Block::Code(lines) => made += &code(lines.iter().map(String::as_str)),
            }
        }
        made
    }
}

/// Cuts the lines of a comment into pieces: code is indented by four, lists by two or by what they look like.
pub fn blocks(lines: &[&str]) -> Vec<Block> {
    let mut made = Vec::new();
    let mut lines = lines.iter().copied().peekable();
    while let Some(&first) = lines.peek() {
        if first.is_empty() {
            lines.next();
        } else if first.starts_with("    ") {
            let mut code = Vec::new();
            while let Some(line) = lines.next_if(|line| line.is_empty() || line.starts_with("    ")) {
                code.push(line.get(4..).unwrap_or_default().to_owned());
            }
            while code.last().is_some_and(String::is_empty) {
                code.pop();
            }
            made.push(Block::Code(code));
        } else {
            let mut paragraph = Vec::new();
            while let Some(line) = lines.next_if(|line| !line.is_empty()) {
                paragraph.push(line);
            }
            made.push(entries(&paragraph).map_or_else(|| Block::Paragraph(paragraph.join(" ")), Block::List));
        }
    }
    made
}

/// The term that a line of a list begins with, and what follows.
fn entry(line: &str) -> Option<(&str, &str)> {
    if let Some(inner) = line.strip_prefix("  ").filter(|inner| !inner.starts_with(' ')) {
        return inner.split_once(' ');
    }
    let (term, text) = line.split_once(':')?;
    let is_capital = |c: char| c.is_ascii_uppercase() || "_, ".contains(c);
    (!term.is_empty() && term.chars().all(is_capital)).then_some((term, text))
}

/// The entries of a list, where the lines are one.
fn entries(lines: &[&str]) -> Option<Vec<(String, String)>> {
    const HANGING: &str = "           ";
    let hangs = lines.get(1).is_some_and(|line| line.starts_with(HANGING)) && !lines[0].starts_with(' ');
    let head = |line| {
        if hangs { str::split_once(line, ' ').filter(|(term, _)| !term.is_empty()) } else { entry(line) }
    };
    head(lines[0])?;
    let mut made: Vec<(String, String)> = Vec::new();
    for line in lines {
        match (head(line), made.last_mut()) {
            (None, Some((_, text))) => *text += &format!(" {}", line.trim()),
            (Some((term, text)), _) => made.push((term.to_owned(), text.trim().to_owned())),
            (None, None) => return None,
        }
    }
    Some(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words() -> Words {
        let constants = ["WSSTREAM_AGAIN", "WSSTREAM_ERR_BUSY", "WSSTREAM_OPTION_CLOSE_TIMEOUT_MS"];
        Words {
            pages: BTreeMap::from([("wsstream_read".to_owned(), 3), ("wsstream_poll".to_owned(), 3)]),
            constants: constants.map(|name| (name.to_owned(), "wsstream_poll".to_owned())).into(),
        }
    }

    #[test]
    fn names_become_macros_and_keep_their_punctuation() {
        let text = "Answers AGAIN (ERR_BUSY), as wsstream_poll does. Not after CLOSE_TIMEOUT_MS; wsstream_read's is -1.";
        let made = "Answers\n.Dv WSSTREAM_AGAIN\n.Pf ( Dv WSSTREAM_ERR_BUSY ) ,\nas\n.Xr wsstream_poll 3\ndoes.\nNot after\n\
                    .Dv WSSTREAM_OPTION_CLOSE_TIMEOUT_MS ;\nwsstream_read's is \\-1.\n";
        assert_eq!(words().prose("wsstream_wait", text), made);
    }

    #[test]
    fn a_page_does_not_refer_to_itself() {
        assert_eq!(words().prose("wsstream_read", "see wsstream_read"), "see\n.Nm wsstream_read\n");
    }

    #[test]
    fn text_is_harmless_to_troff() {
        assert_eq!(words().prose("", ".Xr \\n"), "\\&.Xr \\en\n");
        assert_eq!(code(["  a-b \\", ".c"]), ".Bd -literal\n  a\\-b \\e\n\\&.c\n.Ed\n");
    }

    #[test]
    fn lists_paragraphs_and_code_are_told_apart() {
        let text = "One\nline.\n\n  wsstream_read   reads.\n                  On.\n\n    code();\n\n    more();\n\nOK: yes.\nAGAIN: no.\n\n\
                    Status     A call\n           answers.\nHandles    are good.";
        let lines: Vec<&str> = text.lines().collect();
        let pair = |term: &str, text: &str| (term.to_owned(), text.to_owned());
        let expected = [
            Block::Paragraph("One line.".to_owned()),
            Block::List(vec![pair("wsstream_read", "reads. On.")]),
            Block::Code(vec!["code();".to_owned(), String::new(), "more();".to_owned()]),
            Block::List(vec![pair("OK", "yes."), pair("AGAIN", "no.")]),
            Block::List(vec![pair("Status", "A call answers."), pair("Handles", "are good.")]),
        ];
        assert_eq!(blocks(&lines), expected);
    }
}
