//! Which examples there are, as their manifest and their first lines say.

use std::fs;

use anyhow::{Context, Result};
use xtask::workspace;

use super::needs::Needs;

/// An example.
#[derive(Debug)]
pub(super) struct Example {
    pub(super) name: String,
    pub(super) needs: Needs,
    /// The first line of its documentation.
    pub(super) summary: String,
    path: String,
}

impl Example {
    /// Whether it is a chapter of the guide, and not a program to play with.
    pub(super) fn is_chapter(&self) -> bool {
        self.path.starts_with("guide/")
    }
}

/// The examples in the order of the manifest, which is the order of reading.
pub(super) fn examples() -> Result<Vec<Example>> {
    let folder = workspace::root().join("examples");
    let manifest = fs::read_to_string(folder.join("Cargo.toml"))?;
    let example = |(name, path): (String, String)| {
        let text = fs::read_to_string(folder.join(&path)).with_context(|| format!("example {name}: {path}"))?;
        let head = || text.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim);
        let needs = head().find_map(|line| line.strip_prefix("Needs: "));
        // A program that says nothing runs with and without a server.
        let needs = needs.unwrap_or("a server.").parse().with_context(|| path.clone())?;
        Ok(Example { name, needs, summary: head().next().unwrap_or_default().to_owned(), path })
    };
    entries(&manifest).into_iter().map(example).collect()
}

/// The names and paths of the `[[example]]` tables.
fn entries(manifest: &str) -> Vec<(String, String)> {
    let value = |table: &str, key: &str| {
        let mut pairs =
            table.lines().map_while(|line| (!line.starts_with('[')).then(|| line.split_once('='))).flatten();
        pairs.find(|(name, _)| name.trim() == key).map(|(_, value)| value.trim().trim_matches('"').to_owned())
    };
    let tables = manifest.split("[[example]]\n").skip(1);
    tables.filter_map(|table| Some((value(table, "name")?, value(table, "path")?))).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use anyhow::Result;
    use xtask::workspace;

    use super::{entries, examples};

    #[test]
    fn the_manifest_names_them_in_order() {
        let manifest = "[[example]]\nname = \"b\"\npath = \"guide/b.rs\"\n\n# why\n[[example]]\nname = \"a\"\n\
                        path = \"a/main.rs\"\n\n[dev-dependencies]\nname = \"no\"\n";
        let pair = |name: &str, path: &str| (name.to_owned(), path.to_owned());
        assert_eq!(entries(manifest), [pair("b", "guide/b.rs"), pair("a", "a/main.rs")]);
    }

    #[test]
    fn every_chapter_is_an_example_with_a_line_in_the_list() -> Result<()> {
        let folder = workspace::root().join("examples");
        let list = fs::read_to_string(folder.join("README.md"))?;
        let examples = examples()?;
        for example in &examples {
            assert!(!example.summary.is_empty(), "{} says nothing of itself", example.name);
            let link = format!("[`{}`]({})", example.name, example.path);
            assert!(list.contains(&link), "examples/README.md has no {link}");
        }
        let paths: BTreeSet<_> = examples.iter().map(|example| example.path.clone()).collect();
        for entry in fs::read_dir(folder.join("guide"))? {
            let path = format!("guide/{}", entry?.file_name().to_string_lossy());
            assert!(paths.contains(&path), "{path} is no example of examples/Cargo.toml");
        }
        Ok(())
    }
}
