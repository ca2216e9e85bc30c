//! What the shared library is called and how it is found: its SONAME, the link of that name beside it, and that it
//! is never unloaded. Knows nothing of what is inside, and never fails a build for a link it cannot make.

use std::env;
use std::path::{Path, PathBuf};

/// The number changes when a program would have to be compiled again.
const SONAME: &str = "libwsstream.so.0";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let unix = env::var_os("CARGO_CFG_UNIX").is_some();
    let apple = env::var("CARGO_CFG_TARGET_VENDOR").is_ok_and(|vendor| vendor == "apple");
    if !unix || apple {
        return;
    }
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,{SONAME}");
    // Threads of the library may be inside its code whenever somebody calls dlclose.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    for folder in folders() {
        link(&folder);
    }
}

/// Where cargo puts the library: the profile's folder and `deps` in it. OUT_DIR is `<profile>/build/<package>/out`.
fn folders() -> Vec<PathBuf> {
    let out = env::var_os("OUT_DIR").map(PathBuf::from);
    let profile = out.as_deref().and_then(|out| out.ancestors().nth(3));
    profile.map_or_else(Vec::new, |profile| vec![profile.to_path_buf(), profile.join("deps")])
}

/// Without it a program linked there would not start: the loader looks for the SONAME.
#[cfg(unix)]
fn link(folder: &Path) {
    let _ = std::os::unix::fs::symlink("libwsstream.so", folder.join(SONAME));
}

#[cfg(not(unix))]
fn link(_folder: &Path) {}
