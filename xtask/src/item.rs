//! The declarations of the header, cut apart: what cbindgen made of `src/ffi`, or what a header has.

use std::path::PathBuf;

use crate::workspace::root;

/// What a declaration declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// A function.
    Function,
    /// A type of function pointers.
    Callback,
    /// A structure with its fields.
    Structure,
    /// Any other type.
    Type,
}

/// A declaration with the comment above it.
#[derive(Debug)]
pub struct Item {
    /// What is declared.
    pub name: String,
    /// What it is.
    pub sort: Sort,
    /// Comment and declaration.
    pub text: String,
}

impl Item {
    /// The comment's lines without their slashes.
    pub fn comment(&self) -> Vec<&str> {
        let lines = self.text.lines().map_while(|line| line.strip_prefix("//"));
        lines.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect()
    }

    /// What is not comment, in one line.
    pub fn declaration(&self) -> String {
        let code = self.text.lines().map(|line| line.split_once("//").map_or(line, |(code, _)| code));
        code.collect::<Vec<_>>().join(" ").split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// The names of a structure's fields.
    pub fn fields(&self) -> Vec<String> {
        let declaration = self.declaration();
        let body = declaration
            .split_once('{')
            .and_then(|(_, rest)| rest.split_once('}'))
            .map_or("", |(body, _)| body);
        let fields = body.split(';').map(str::trim).filter(|field| !field.is_empty());
        fields.filter_map(|field| field.rsplit([' ', '*']).next().map(str::to_owned)).collect()
    }
}

fn word(text: &str) -> String {
    text.chars().take_while(|&c| c.is_alphanumeric() || c == '_').collect()
}

fn name(declaration: &str) -> Option<(String, Sort)> {
    if let Some((_, callback)) = declaration.split_once("(*").filter(|_| declaration.starts_with("typedef")) {
        return Some((word(callback), Sort::Callback));
    }
    if declaration.starts_with("typedef") {
        let sort = if declaration.contains('{') { Sort::Structure } else { Sort::Type };
        let name = declaration.trim_end_matches(';').rsplit([' ', '*']).next()?;
        return Some((name.to_owned(), sort));
    }
    let (head, _) = declaration.split_once('(').filter(|_| declaration.ends_with(");"))?;
    let name = head.rsplit([' ', '*']).next().filter(|name| name.starts_with("wsstream_"))?;
    Some((name.to_owned(), Sort::Function))
}

/// Every declaration of a text, in its order. They are apart by empty lines.
pub fn items(text: &str) -> Vec<Item> {
    let blocks = text.split("\n\n").map(|block| block.trim_matches('\n'));
    blocks
        .filter_map(|block| {
            let mut item = Item { name: String::new(), sort: Sort::Type, text: block.to_owned() };
            (item.name, item.sort) = name(&item.declaration())?;
            Some(item)
        })
        .collect()
}

/// What cbindgen makes of the sources.
pub fn generated() -> Result<Vec<Item>, String> {
    let folder = root().join("src/ffi");
    let listing = std::fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut sources: Vec<PathBuf> = listing.filter_map(|entry| Some(entry.ok()?.path())).collect();
    sources.retain(|path| {
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        path.extension().is_some_and(|extension| extension == "rs")
            && !["mod", "handle", "tests"].contains(&stem)
    });
    sources.sort();
    let config = cbindgen::Config::from_file(root().join("cbindgen.toml"))?;
    let builder = cbindgen::Builder::new().with_config(config);
    let builder = sources.into_iter().fold(builder, cbindgen::Builder::with_src);
    let mut text = Vec::new();
    builder.generate().map_err(|error| error.to_string())?.write(&mut text);
    let text = String::from_utf8(text).map_err(|error| error.to_string())?;
    // The tags are typedefs of their own name: `wsstream *` instead of `struct wsstream *`.
    let text =
        text.replace("struct wsstream", "wsstream").replace("typedef wsstream", "typedef struct wsstream");
    Ok(items(&text))
}
