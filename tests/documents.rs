//! The lists in README.md are those of the header and of the examples.

use std::collections::BTreeSet;
use std::path::Path;

fn text(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name))
        .expect("it is in the repository")
}

/// The words in backquotes of one section.
fn quoted(document: &str, section: &str) -> BTreeSet<String> {
    let (_, rest) = document.split_once(&format!("\n## {section}\n")).expect("the section is there");
    let body = rest.split("\n## ").next().unwrap_or_default();
    body.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn the_readme_names_every_function_and_every_example() {
    let named = quoted(&text("README.md"), "The functions");
    let symbols = text("abi/symbols.txt");
    // Behind the name stands the version that brought it.
    let functions = symbols.lines().filter_map(|line| line.split('@').next()?.strip_prefix("wsstream_"));
    let mut expected: BTreeSet<String> = functions.map(str::to_owned).collect();
    for (folder, suffix) in [("examples", ".c"), ("bindings/python/examples", ".py")] {
        let examples =
            std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).expect("they are");
        let names = examples.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"));
        // The program that the Autobahn suite tests is no example of anything else.
        expected.extend(names.filter(|name| name.ends_with(suffix) && name != "autobahn_testee.c"));
    }
    let named: BTreeSet<String> = named.into_iter().filter(|name| name != "wsstream_").collect();
    assert_eq!(named, expected);
}
