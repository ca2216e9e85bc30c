//! Sizes, offsets and constants as the C compiler sees them in the header and as Rust has them; both must agree, and
//! be what is committed, since programs that were compiled before rely on them. The file is for 64-bit systems.

use std::fmt::Write;

use crate::Outcome;
use crate::compiler::run_c;
use crate::enumerator::enumerations;
use crate::header::PATH as HEADER;
use crate::item::{Sort, items};
use crate::rust_layout;
use crate::workspace::{read, settle};

const PATH: &str = "abi/layout.txt";
const MACROS: [&str; 4] = ["WSSTREAM_ABI_VERSION", "WSSTREAM_NUL", "WSSTREAM_FOREVER", "WSSTREAM_NO_CODE"];

/// Writes or checks it.
pub fn run(check: bool) -> Outcome {
    let c = run_c("layout", &program()?)?;
    let rust = rust_layout::print();
    if let Some((c, rust)) = c.lines().zip(rust.lines()).find(|(c, rust)| c != rust) {
        return Err(format!("C and Rust differ:\n  C:    {c}\n  Rust: {rust}"));
    }
    if c.lines().count() != rust.lines().count() {
        return Err("C and Rust do not have the same number of types and constants".to_owned());
    }
    settle(PATH, &c, check)
}

/// A C program that prints what the header declares.
fn program() -> Result<String, String> {
    let header = read(HEADER)?;
    let mut code = String::from("#include <stdio.h>\n#include <wsstream.h>\nint main(void) {\n");
    let mut print = |format: &str, value: &str| {
        let _ = writeln!(code, "  printf(\"{format}\\n\", (long long)({value}));");
    };
    print("type wsstream_status size %lld", "sizeof(wsstream_status)");
    for item in items(&header).iter().filter(|item| item.sort == Sort::Structure) {
        let name = &item.name;
        print(&format!("struct {name} size %lld"), &format!("sizeof({name})"));
        for field in item.fields() {
            print(&format!("  {field} offset %lld"), &format!("offsetof({name}, {field})"));
            print(&format!("  {field} size %lld"), &format!("sizeof((({name} *)0)->{field})"));
        }
    }
    for name in MACROS {
        print(&format!("macro {name} %lld"), name);
    }
    for name in declared_enumerators(&header) {
        print(&format!("enumerator {name} %lld"), &name);
    }
    Ok(code + "  return 0;\n}\n")
}

/// The names in the header's enumerations, in its order.
fn declared_enumerators(header: &str) -> Vec<String> {
    let mut inside = false;
    let mut names = Vec::new();
    for line in header.lines() {
        inside = (inside || line == "enum {") && line != "};";
        if let Some((name, _)) = line.trim().split_once(" = ").filter(|_| inside) {
            names.push(name.to_owned());
        }
    }
    names
}

/// The order of the enumerations in the header, for the Rust side.
pub fn enumerators_in_header_order() -> Vec<(String, i64)> {
    let known: Vec<(String, i64)> =
        enumerations().into_iter().flat_map(|each| each.lines).map(|line| (line.name, line.value)).collect();
    let order = read(HEADER).map(|header| declared_enumerators(&header)).unwrap_or_default();
    let position = |name: &String| order.iter().position(|declared| declared == name);
    let mut sorted = known;
    sorted.sort_by_key(|(name, _)| position(name).unwrap_or(usize::MAX));
    sorted
}
