//! `cargo xtask lint`: format, clippy, documentation.

use std::fs;

use anyhow::Result;
use xshell::{Shell, cmd};
use xtask::workspace;

/// Checks the workspace as a whole, then every feature of every crate alone.
pub(crate) fn run(sh: &Shell) -> Result<()> {
    cmd!(sh, "cargo fmt --all --check").run()?;
    cmd!(sh, "cargo clippy --workspace --all-targets --all-features -- -D warnings").run()?;
    for path in workspace::crates()? {
        let package = workspace::name(&path);
        let features = features(&fs::read_to_string(path.join("Cargo.toml"))?);
        if features.is_empty() {
            continue;
        }
        cmd!(sh, "cargo clippy -p {package} --no-default-features -- -D warnings").run()?;
        for feature in features {
            cmd!(sh, "cargo clippy -p {package} --no-default-features --features {feature} -- -D warnings").run()?;
        }
    }
    eprintln!("$ export RUSTDOCFLAGS='-D warnings'");
    cmd!(sh, "cargo doc --workspace --no-deps --all-features").env("RUSTDOCFLAGS", "-D warnings").run()?;
    Ok(())
}

/// The names in the `[features]` table, without `default`.
fn features(manifest: &str) -> Vec<String> {
    let table = manifest.lines().map(str::trim).skip_while(|line| *line != "[features]").skip(1);
    table
        .take_while(|line| !line.starts_with('['))
        .filter(|line| !line.starts_with('#'))
        // The further lines of a list have no `=`.
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| name.trim().trim_matches('"').to_owned())
        .filter(|name| name != "default")
        .collect()
}

#[cfg(test)]
mod tests {
    use super::features;

    #[test]
    fn features_are_the_names_in_their_table() {
        let manifest = "[package]\nname = \"x\"\n\n[features]\n# a = comment\ndefault = [\"json\"]\njson = [\n  \
                        \"dep:serde\",\n]\n\"obs\" = []\n\n[dependencies]\nserde = \"1\"\n";
        assert_eq!(features(manifest), ["json", "obs"]);
        assert!(features("[package]\nname = \"x\"\n").is_empty());
    }
}
