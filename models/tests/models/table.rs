//! That the table in `README.md` has a case for every bit of both words, and that its tests are there.

const README: &str = include_str!("../../README.md");
const WORDS: [(&str, &str); 2] = [
    ("read", include_str!("../../../src/stream/read_word.rs")),
    ("write", include_str!("../../../src/stream/write_word.rs")),
];
const CLAIMS: [&str; 6] = [
    include_str!("reading_claims.rs"),
    include_str!("writing_claims.rs"),
    include_str!("ending_claims.rs"),
    include_str!("interrupt_claims.rs"),
    include_str!("descriptor_claims.rs"),
    include_str!("callback_claims.rs"),
];

fn bits(source: &str) -> Vec<&str> {
    source
        .lines()
        .filter_map(|line| line.strip_prefix("pub const "))
        .filter_map(|rest| rest.split_once(": u64"))
        .map(|(name, _)| name)
        .collect()
}

/// The table's rows: word, bit, claims, mistakes.
fn rows() -> Vec<Vec<&'static str>> {
    README
        .lines()
        .filter(|line| line.starts_with("| read |") || line.starts_with("| write |"))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect()
}

#[test]
fn every_bit_has_a_claim_and_a_seeded_mistake() {
    let rows = rows();
    let mut count = 0;
    for (word, source) in WORDS {
        for bit in bits(source) {
            count += 1;
            let row = rows.iter().filter(|row| row[0] == word && row[1] == format!("`{bit}`"));
            assert_eq!(row.count(), 1, "{bit} of the {word} word has no row, or more than one");
        }
    }
    assert_eq!(count, rows.len(), "a row is left of a bit that is gone");
    assert!(count > 20, "the words' constants are found");
}

#[test]
fn every_claim_and_mistake_of_the_table_is_a_test() {
    for row in rows() {
        for (cell, call) in [(row[2], "holds("), (row[3], "fails(")] {
            let name = cell.trim_matches('`');
            let body = CLAIMS.iter().find_map(|claims| {
                let (_, rest) = claims.split_once(&format!("#[test]\nfn {name}() {{\n"))?;
                rest.split_once("\n}\n").map(|(body, _)| body)
            });
            assert!(body.is_some_and(|body| body.contains(call)), "{name} is no test with {call}..)");
        }
    }
}
