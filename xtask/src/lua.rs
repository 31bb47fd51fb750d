//! `cargo xtask lua`: every script says what it takes, takes what it says, and compiles on a real server.

mod body;
mod check;
mod header;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use xtask::resp::Reply;
use xtask::{binary, fixture::Server, workspace};

/// Checks every `crates/*/lua/*.lua`.
pub(crate) fn run() -> Result<()> {
    binary::find_or_install()?;
    let server = Server::start()?;
    let mut problems = Vec::new();
    let mut count = 0;
    for folder in workspace::crates()? {
        let sources = texts(&folder.join("src"), "rs")?;
        for (path, text) in texts(&folder.join("lua"), "lua")? {
            count += 1;
            let mut found = check::problems(&text);
            let file = workspace::name(&path);
            if !sources.iter().any(|(_, source)| check::includes(source, &file)) {
                found.push(format!("no include_str!(\"…/lua/{file}\") in this crate"));
            }
            if let Reply::Error(error) = server.call(&["SCRIPT", "LOAD", &text])? {
                found.push(format!("the server says {error}"));
            }
            let shown = path.strip_prefix(workspace::root()).unwrap_or(&path).display();
            problems.extend(found.iter().map(|problem| format!("{shown}: {problem}")));
        }
    }
    eprintln!("lua: {count} scripts");
    ensure!(problems.is_empty(), "{}", problems.join("\n"));
    Ok(())
}

/// The files below a folder with this extension; none if there is no such folder.
fn texts(folder: &Path, extension: &str) -> Result<Vec<(PathBuf, String)>> {
    let mut texts = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop().filter(|folder| folder.is_dir()) {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
                texts.push((path, text));
            }
        }
    }
    texts.sort();
    Ok(texts)
}
