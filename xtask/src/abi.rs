//! The interface as programs that were compiled before rely on it: functions with their types, structures, enumerators, the
//! SONAME. What is recorded in `abi/wsstream.abi` is compared with the header by libabigail.
//!
//! The header says it and not the library: there the types are Rust's. A library of empty functions is compiled from the header,
//! in which enumerations have names, since a program keeps their numbers. That the real one exports these functions, and has
//! these layouts, `symbols` and `layout` see to.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Outcome;
use crate::header::PATH as HEADER;
use crate::item::{Item, Sort, items};
use crate::symbol::line;
use crate::workspace::{command, output, read, root, succeed, target};

const PATH: &str = "abi/wsstream.abi";
/// Structures that carry or take their size and grow at their end, as the header's "Growth" says: abidiff is to overlook that they
/// grow, and sees each field for itself.
const GROWING: [&str; 2] = ["wsstream_close_info", "wsstream_statistics"];
/// Constants that programs hand to the library.
const CONSTANTS: [&str; 3] = ["WSSTREAM_NUL", "WSSTREAM_FOREVER", "WSSTREAM_NO_CODE"];

/// Writes or checks it.
pub fn run(check: bool) -> Outcome {
    let soname = soname()?;
    cargo_c_agrees(&soname)?;
    let made = compile("interface", &read(HEADER)?, &soname)?;
    let recorded = root().join(PATH);
    if recorded.exists() {
        // Of what is the same nothing is written: compilers word the record differently.
        let Some(difference) = compare(&recorded, &made, &["--harmless"])? else { return Ok(()) };
        let same_soname = read(PATH)?.contains(&format!(" soname='{soname}'"));
        let broken = if same_soname { broken(&recorded, &made)? } else { None };
        if let Some(broken) = broken.filter(|_| is_released()) {
            return Err(format!(
                "{broken}\nThis breaks programs that are there: take it back, or change the SONAME in build.rs"
            ));
        }
        if check {
            return Err(format!(
                "{difference}\n{PATH} is not the header's interface; `make header` records it"
            ));
        }
    } else if check || is_released() {
        return Err(format!("{PATH} is missing, which releases are compared with: git has it"));
    }
    let mut record = Command::new("abidw");
    record.args(["--no-corpus-path", "--no-comp-dir-path", "--no-show-locs"]).arg(&made);
    fs::write(&recorded, output(record)?).map_err(|error| format!("{PATH}: {error}"))
}

/// What a program that was compiled before would stumble over.
fn broken(recorded: &Path, made: &Path) -> Result<Option<String>, String> {
    let overlooked = made.with_file_name("growing");
    let text = format!("[suppress_type]\n  name_regexp = ^({})$\n", GROWING.join("|"));
    fs::write(&overlooked, text).map_err(|error| format!("{}: {error}", overlooked.display()))?;
    compare(recorded, made, &["--no-added-syms", "--suppressions", &overlooked.to_string_lossy()])
}

/// Where the changelog has a version that is not marked as unreleased.
fn is_released() -> bool {
    let changelog = read("CHANGELOG.md").unwrap_or_default();
    changelog.lines().any(|line| line.starts_with("## ") && !line.contains("(unreleased)"))
}

/// Its home is build.rs.
fn soname() -> Result<String, String> {
    let build = read("build.rs")?;
    let line = build.lines().find_map(|line| line.strip_prefix("const SONAME: &str = \""));
    line.and_then(|line| line.split('"').next())
        .map(str::to_owned)
        .ok_or_else(|| "build.rs names no SONAME".to_owned())
}

/// cargo-c makes the SONAME of the first number of its library's version, which is the crate's unless Cargo.toml gives one.
fn cargo_c_agrees(soname: &str) -> Outcome {
    let cargo = read("Cargo.toml")?;
    let (_, library) =
        cargo.split_once("[package.metadata.capi.library]\n").ok_or("Cargo.toml has nothing for cargo-c")?;
    let library = library.split("\n[").next().unwrap_or_default();
    let version = |text: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix("version = \""));
        line.and_then(|version| version.split('.').next()).map(str::to_owned)
    };
    let number = version(library).or_else(|| version(&cargo)).unwrap_or_default();
    if library.contains("version_suffix_components = 1\n") && soname == format!("libwsstream.so.{number}") {
        return Ok(());
    }
    Err(format!("cargo-c would make libwsstream.so.{number} of Cargo.toml, where build.rs has {soname}"))
}

/// What abidiff says where two differ.
fn compare(old: &Path, new: &Path, options: &[&str]) -> Result<Option<String>, String> {
    let mut diff = command("abidiff", &["--no-architecture", "--no-show-locs"]);
    diff.args(options).arg(old).arg(new);
    let told = diff.output().map_err(|error| format!("abidiff: {error}; Debian has it in abigail-tools"))?;
    let text = String::from_utf8_lossy(&told.stdout).into_owned();
    match told.status.code() {
        Some(0) => Ok(None),
        // The lowest two bits are its own failures.
        Some(bits) if bits & 3 == 0 => Ok(Some(text)),
        _ => Err(format!("{diff:?}: {}\n{text}{}", told.status, String::from_utf8_lossy(&told.stderr))),
    }
}

/// The library of empty functions, with debugging information.
fn compile(name: &str, header: &str, soname: &str) -> Result<PathBuf, String> {
    let folder = target().join("xtask").join(name);
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let write = |name: &str, text: &str| {
        fs::write(folder.join(name), text)
            .map_err(|error| format!("{}: {error}", folder.join(name).display()))
    };
    write("wsstream.c", &code(header))?;
    write("wsstream.map", &version_script(header)?)?;
    let mut compile = Command::new(std::env::var("CC").unwrap_or_else(|_| "cc".to_owned()));
    compile.args(["-std=gnu11", "-g", "-O0", "-fPIC", "-shared", "wsstream.c", "-o", "wsstream.so"]);
    compile
        .arg(format!("-Wl,-soname,{soname}"))
        .arg("-Wl,--version-script=wsstream.map")
        .current_dir(&folder);
    succeed(compile)?;
    Ok(folder.join("wsstream.so"))
}

fn code(header: &str) -> String {
    let (mut code, mut variables) = (String::new(), String::new());
    let mut lines = header.lines().filter(|line| !line.trim_start().starts_with("//")).peekable();
    while let Some(line) = lines.next() {
        if line != "enum {" {
            let _ = writeln!(code, "{line}");
            continue;
        }
        // After the first of them, since those behind it may grow in number.
        let first = lines.peek().map_or("", |line| line.trim());
        let name = format!("numbers_from_{}", first.split(' ').next().unwrap_or_default());
        let _ = writeln!(code, "enum {name} {{");
        let _ = writeln!(variables, "enum {name} wsstream_{name};");
    }
    let constants: Vec<String> =
        CONSTANTS.iter().map(|name| format!("VALUE_OF_{name} = (int){name}")).collect();
    let _ = writeln!(code, "{variables}enum constants {{ {} }} wsstream_constants;", constants.join(", "));
    for item in items(header).iter().filter(|item| item.sort == Sort::Function) {
        let _ = writeln!(code, "{} {{ __builtin_trap(); }}", item.declaration().trim_end_matches(';'));
    }
    for item in items(header).iter().filter(|item| GROWING.contains(&item.name.as_str())) {
        code += &fields(item);
    }
    code
}

/// For each field a variable of its type, and its place as an enumerator.
fn fields(structure: &Item) -> String {
    let (name, mut variables, mut places) = (&structure.name, String::new(), Vec::new());
    for field in structure.fields() {
        let _ = writeln!(variables, "__typeof__((({name} *)0)->{field}) {name}_{field};");
        places.push(format!("PLACE_OF_{name}_{field} = offsetof({name}, {field})"));
    }
    format!("{variables}enum places_in_{name} {{ {} }} {name}_places;\n", places.join(", "))
}

fn version_script(header: &str) -> Result<String, String> {
    let mut versions: BTreeMap<String, String> = BTreeMap::new();
    for item in items(header).iter().filter(|item| item.sort == Sort::Function) {
        let line = line(item)?;
        let (name, version) = line.trim_end().split_once("@@").unwrap_or_default();
        let _ = write!(versions.entry(version.to_owned()).or_default(), " {name};");
    }
    let mut script = String::from("WSSTREAM_DATA { global: wsstream_*; local: *; };\n");
    for (version, names) in versions {
        let _ = writeln!(script, "{version} {{ global:{names} }};");
    }
    Ok(script)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of putting something else into the header, each way in a folder of its own.
    fn broken_by(name: &str, old: &str, new: &str) -> Option<String> {
        let header = read(HEADER).expect("the header");
        assert!(header.contains(old), "the header has no {old:?}");
        let before =
            compile(&format!("{name}-before"), &header, "libwsstream.so.0").expect("the header compiles");
        let after =
            compile(name, &header.replacen(old, new, 1), "libwsstream.so.0").expect("it still compiles");
        broken(&before, &after).expect("abidiff runs")
    }

    #[test]
    fn a_removed_function_is_a_break() {
        let told = broken_by("removed", "\nwsstream_status wsstream_resume(wsstream *stream);\n", "\n");
        assert!(told.is_some_and(|told| told.contains("1 Removed function")));
    }

    #[test]
    fn an_argument_of_another_type_is_a_break() {
        let (old, new) = (
            "wsstream_wait_opened(wsstream *stream, int64_t",
            "wsstream_wait_opened(wsstream *stream, int32_t",
        );
        assert!(broken_by("argument", old, new).is_some_and(|told| told.contains("wsstream_wait_opened")));
    }

    #[test]
    fn a_field_that_moves_or_has_another_type_is_a_break() {
        let (old, new) = ("  uint16_t sent_code;\n", "  uint16_t before;\n  uint16_t sent_code;\n");
        assert!(broken_by("field", old, new).is_some_and(|told| told.contains("sent_code")));
        let (old, new) = ("  uint64_t unread;\n", "  int64_t unread;\n");
        assert!(broken_by("sign", old, new).is_some_and(|told| told.contains("unread")));
    }

    #[test]
    fn a_structure_of_fixed_size_that_grows_is_a_break() {
        let (old, new) = ("  void *owner;\n", "  void *owner;\n  size_t more;\n");
        assert!(broken_by("fixed", old, new).is_some_and(|told| told.contains("more")));
    }

    #[test]
    fn another_number_for_an_enumerator_is_a_break() {
        assert!(
            broken_by("number", "WSSTREAM_QUEUED = 3", "WSSTREAM_QUEUED = 4")
                .is_some_and(|told| told.contains("QUEUED"))
        );
    }

    #[test]
    fn another_version_of_a_function_is_a_break() {
        let (old, new) = (
            "// Since:     0.1\nconst char *wsstream_version",
            "// Since:     0.2\nconst char *wsstream_version",
        );
        assert!(broken_by("version", old, new).is_some_and(|told| told.contains("wsstream_version")));
    }

    #[test]
    fn what_is_added_as_the_header_allows_is_no_break() {
        let new = "wsstream_status wsstream_resume(wsstream *stream);\n\n// Since:     0.2\nint wsstream_added(void);\n";
        assert_eq!(broken_by("function", "wsstream_status wsstream_resume(wsstream *stream);\n", new), None);
        assert_eq!(
            broken_by(
                "enumerator",
                "  WSSTREAM_QUEUED = 3,\n",
                "  WSSTREAM_QUEUED = 3,\n  WSSTREAM_ADDED = 9,\n"
            ),
            None
        );
        let (old, new) = ("  size_t response_body_size;\n", "  size_t response_body_size;\n  size_t more;\n");
        assert_eq!(broken_by("end", old, new), None);
    }
}
