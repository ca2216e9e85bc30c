//! The C compiler, for what only it knows.

use std::fs;
use std::process::Command;

use crate::workspace::{output, root, succeed, target};

/// Compiles a C program against the header and runs it for what it prints.
pub fn run_c(name: &str, source: &str) -> Result<String, String> {
    let folder = target().join("xtask");
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let (code, program) = (folder.join(format!("{name}.c")), folder.join(name));
    fs::write(&code, source).map_err(|error| format!("{}: {error}", code.display()))?;
    let mut compile = Command::new(std::env::var("CC").unwrap_or_else(|_| "cc".to_owned()));
    compile.args(["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-I"]);
    compile.arg(root().join("include")).arg(&code).arg("-o").arg(&program);
    succeed(compile)?;
    output(Command::new(&program))
}
