//! The manual pages, from the committed header: one for each declaration, and wsstream(7) for what holds for all.

use std::collections::BTreeMap;
use std::fs;

use crate::Outcome;
use crate::enumerator::{Enumeration, enumerations};
use crate::item::{Item, Sort};
use crate::mdoc::{Block, Words, blocks, code};
use crate::page::{Source, head, macro_list, see_also};
use crate::section::{Macro, Section, macros, sections};
use crate::workspace::{command, output, read, root, settle};
use crate::{header, section};

const FOLDER: &str = "docs/man";
/// The page of the conventions, and the handle's.
const CONVENTIONS: &str = "wsstream";

/// The page on which each enumeration is told.
const ENUMERATIONS: [(&str, &str); 10] = [
    ("STATUS", "wsstream_status"),
    ("TYPE", "wsstream_message"),
    ("FLAG", "wsstream_message"),
    ("EVENT", "wsstream_poll"),
    ("NEXT", "wsstream_message_fn"),
    ("LOG", "wsstream_log_fn"),
    ("INITIATOR", "wsstream_close_info"),
    ("PHASE", "wsstream_close_info"),
    ("CAUSE", "wsstream_close_info"),
    ("OPTION", "wsstream_options"),
];

/// The page on which a macro is told, if not that of the conventions.
const MACROS: [(&str, &str); 2] =
    [("WSSTREAM_HAS", "wsstream_close_info"), ("WSSTREAM_ABI_VERSION", "wsstream_abi_version")];

/// What the header says where names are cut short; here they are whole.
const SHORT_NAMES: &str = "Below, ERR_STATE stands for WSSTREAM_ERR_STATE, and so on. ";

/// Writes the pages, or compares them and lints them where mandoc is there.
pub fn run(check: bool) -> Outcome {
    let pages = make()?;
    stale(&pages, check)?;
    for (path, text) in &pages {
        settle(path, text, check)?;
    }
    if check { lint(&pages) } else { Ok(()) }
}

/// Files that are no page any more.
fn stale(pages: &BTreeMap<String, String>, check: bool) -> Outcome {
    for folder in ["man3", "man7"].map(|folder| format!("{FOLDER}/{folder}")) {
        fs::create_dir_all(root().join(&folder)).map_err(|error| format!("{folder}: {error}"))?;
        let listing = fs::read_dir(root().join(&folder)).map_err(|error| format!("{folder}: {error}"))?;
        for entry in listing.flatten() {
            let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
            if pages.contains_key(&path) {
                continue;
            }
            if check {
                return Err(format!("{path} is none of the pages that are made now"));
            }
            fs::remove_file(root().join(&path)).map_err(|error| format!("{path}: {error}"))?;
        }
    }
    Ok(())
}

fn lint(pages: &BTreeMap<String, String>) -> Outcome {
    if output(command("mandoc", &["-T", "lint", "/dev/null"]))
        .is_err_and(|error| error.contains("No such file"))
    {
        println!("man: mandoc is not there to look at the pages");
        return Ok(());
    }
    let mut arguments = vec!["-T", "lint", "-W", "warning"];
    let written = pages.iter().filter(|(_, text)| !text.starts_with(".so"));
    arguments.extend(written.map(|(path, _)| path.as_str()));
    output(command("mandoc", &arguments)).map(drop)
}

fn make() -> Result<BTreeMap<String, String>, String> {
    let text = read(header::PATH)?;
    let (sections, macros, enumerations) = (sections(&text), macros(&text), enumerations());
    let mut words = Words::default();
    let items: Vec<&Item> = sections.iter().flat_map(|section| &section.items).collect();
    words.pages.extend(items.iter().map(|item| (item.name.clone(), 3)));
    words.pages.insert(CONVENTIONS.to_owned(), 7);
    words.constants.extend(macros.iter().map(|each| (each.name.clone(), macro_page(each).to_owned())));
    places_exist(&words, &enumerations)?;
    for (tag, page) in ENUMERATIONS {
        let lines = enumerations.iter().filter(|each| each.tag == tag).flat_map(|each| &each.lines);
        words.constants.extend(lines.map(|line| (line.name.clone(), page.to_owned())));
    }

    let mut pages = BTreeMap::new();
    for section in &sections {
        for item in section.items.iter().filter(|item| item.name != CONVENTIONS) {
            let source = Source {
                words: &words,
                item,
                enumerations: told_on(&item.name, &enumerations),
                macros: macros.iter().filter(|each| macro_page(each) == item.name).collect(),
                statuses: &enumerations[0].lines,
                see: section
                    .items
                    .iter()
                    .filter(|each| each.sort == item.sort)
                    .map(|each| each.name.as_str())
                    .collect(),
                taken_by: items.iter().find(|each| takes(each, item)).map(|each| each.name.as_str()),
            };
            pages.insert(format!("{FOLDER}/man3/{}.3", item.name), source.print());
        }
    }
    let conventions = conventions(&text, &words, &sections, &macros)?;
    pages.insert(format!("{FOLDER}/man7/{CONVENTIONS}.7"), conventions);
    pages.insert(format!("{FOLDER}/man3/{CONVENTIONS}.3"), format!(".so man7/{CONVENTIONS}.7\n"));
    Ok(pages)
}

/// Every enumeration has its page, and every page that is named is one.
fn places_exist(words: &Words, enumerations: &[Enumeration]) -> Outcome {
    let homeless = enumerations.iter().find(|each| ENUMERATIONS.iter().all(|(tag, _)| *tag != each.tag));
    if let Some(each) = homeless {
        return Err(format!("xtask/src/manual.rs names no page for the enumeration {}", each.tag));
    }
    let unknown = ENUMERATIONS.iter().chain(&MACROS).find(|(_, page)| !words.pages.contains_key(*page));
    unknown.map_or(Ok(()), |(_, page)| Err(format!("xtask/src/manual.rs: there is no page {page}")))
}

fn told_on<'a>(page: &str, enumerations: &'a [Enumeration]) -> Vec<&'a Enumeration> {
    let is_told = |each: &&Enumeration| ENUMERATIONS.contains(&(each.tag, page));
    enumerations.iter().filter(is_told).collect()
}

fn macro_page(each: &Macro) -> &'static str {
    MACROS.iter().find(|(name, _)| *name == each.name).map_or(CONVENTIONS, |(_, page)| page)
}

fn takes(function: &Item, callback: &Item) -> bool {
    let is_argument = format!("{} ", callback.name);
    function.sort == Sort::Function && function.declaration().contains(&is_argument)
}

fn title(capitals: &str) -> String {
    let mut made = capitals.to_lowercase();
    made[..1].make_ascii_uppercase();
    made
}

fn index(words: &Words, sections: &[Section]) -> String {
    let mut made = String::from(".Sh FUNCTIONS\n");
    for section in sections {
        let functions: Vec<_> = section.items.iter().filter(|item| item.sort == Sort::Function).collect();
        if functions.is_empty() {
            continue;
        }
        made += &format!(".Ss {}\n.Bl -tag -width Ds\n", title(&section.title));
        for function in functions {
            let comment = function.comment();
            let sentence =
                comment.iter().take_while(|line| !line.is_empty()).copied().collect::<Vec<_>>().join(" ");
            made += &format!(".It Xr {} 3\n{}", function.name, words.prose(&function.name, &sentence));
        }
        made += ".El\n";
    }
    made
}

fn conventions(
    header: &str,
    words: &Words,
    sections: &[Section],
    macros: &[Macro],
) -> Result<String, String> {
    let lines = section::head(header);
    let cut =
        lines.iter().position(|line| *line == "THE CONVENTIONS").ok_or("the header has no CONVENTIONS")?;
    let (_, what) =
        lines.iter().find_map(|line| line.split_once("wsstream: ")).ok_or("the header has no first line")?;
    let mut about: Vec<Block> = blocks(&lines[..cut]).into_iter().skip(1).collect();
    about.retain(|block| !matches!(block, Block::Paragraph(text) if text.contains(what)));
    let mut page = head(CONVENTIONS, 7, what) + ".Sh DESCRIPTION\n";
    let mut example = String::new();
    for block in about {
        match block {
            Block::Code(lines) => example += &code(lines.iter().map(String::as_str)),
            Block::Paragraph(text) => {
                let text = text.split(" The smallest complete program").next().unwrap_or_default();
                page += &words.prose(CONVENTIONS, text);
            }
            Block::List(_) => {}
        }
    }
    let rules = blocks(&lines[cut + 1..]);
    let Some(Block::List(rules)) = rules.first() else {
        return Err("the CONVENTIONS are no list".to_owned());
    };
    if !rules.iter().any(|(_, text)| text.contains(SHORT_NAMES)) {
        return Err(format!("the header does not say: {SHORT_NAMES}"));
    }
    let rules: Vec<_> =
        rules.iter().map(|(term, text)| (term.clone(), text.replace(SHORT_NAMES, ""))).collect();
    page += &format!(".Sh CONVENTIONS\n{}", words.list(CONVENTIONS, &rules));
    page += &index(words, sections);
    for section in sections.iter().filter(|section| !section.prose.is_empty()) {
        let prose: Vec<&str> = section.prose.iter().map(String::as_str).collect();
        page += &format!(".Sh {}\n{}", section.title, words.blocks(CONVENTIONS, &blocks(&prose)));
    }
    page += ".Sh CONSTANTS\n";
    let own: Vec<&Macro> = macros.iter().filter(|each| macro_page(each) == CONVENTIONS).collect();
    page += &macro_list(words, CONVENTIONS, &own);
    page += &format!(".Sh EXAMPLES\nThe smallest complete program:\n{example}");
    let types = sections.iter().flat_map(|section| &section.items).filter(|item| item.sort != Sort::Function);
    let types: Vec<&str> = types.map(|item| item.name.as_str()).collect();
    Ok(page + &see_also(words, CONVENTIONS, &types))
}
