//! `cargo xtask graph`: who may depend on whom.

use anyhow::{Result, bail};
use xshell::{Shell, cmd};
use xtask::workspace;

/// Checks the normal dependencies of every crate, with all features.
pub(crate) fn run(sh: &Shell) -> Result<()> {
    let crates: Vec<String> = workspace::crates()?.iter().map(|path| workspace::name(path)).collect();
    let mut offences = Vec::new();
    for name in &crates {
        let tree = cmd!(sh, "cargo tree -p {name} -e normal --all-features --prefix depth");
        eprintln!("$ {tree}");
        offences.extend(offence(name, &tree.read()?, &crates));
    }
    if offences.is_empty() {
        return Ok(());
    }
    bail!("{}", offences.join("\n"))
}

/// What a crate may know of our crates and of redis-rs, and how to say it.
fn rule(name: &str) -> (&'static [&'static str], &'static str) {
    match name {
        "kv-core" => (&[], "knows neither redis nor a crate of ours"),
        "kv-redis" => (&["kv-core", "redis"], "knows kv-core and redis, and no other crate of ours"),
        _ => (&["kv-core"], "knows kv-core and nothing else of ours, and not redis"),
    }
}

/// The first edge of a tree, printed with `--prefix depth`, which the crate's rule forbids.
fn offence(name: &str, tree: &str, ours: &[String]) -> Option<String> {
    let (allowed, rule) = rule(name);
    let mut path: Vec<&str> = Vec::new();
    for line in tree.lines() {
        let digits = line.len() - line.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (depth, rest) = line.split_at(digits);
        let Ok(depth) = depth.parse::<usize>() else { continue };
        path.truncate(depth);
        let package = rest.split(' ').next().unwrap_or_default();
        path.push(package);
        let watched = package == "redis" || ours.iter().any(|our| our == package);
        if depth > 0 && watched && !allowed.contains(&package) {
            return Some(format!("{name} reaches {package} ({}): {name} {rule}", path.join(" -> ")));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::offence;

    fn check(name: &str, tree: &str) -> Option<String> {
        offence(name, tree, &["kv-core", "kv-redis", "redis-cache", "redis-lock"].map(str::to_owned))
    }

    #[test]
    fn the_offending_edge_is_named() {
        let good = "0redis-lock v0.1.0 (/x)\n1kv-core v0.1.0 (/y)\n2bytes v1.0.0\n1redis-like v1.0.0\n";
        assert_eq!(check("redis-lock", good), None);
        let direct = "0redis-lock v0.1.0\n1bytes v1.0.0\n1redis-cache v0.1.0\n";
        assert!(check("redis-lock", direct).is_some_and(|text| text.contains("(redis-lock -> redis-cache)")));
        let hidden = "0redis-lock v0.1.0\n1bytes v1.0.0\n2a v1.0.0\n1kv-core v0.1.0\n2other v1.0.0\n3redis v1.0.0\n";
        assert!(check("redis-lock", hidden).is_some_and(|text| text.contains("-> kv-core -> other -> redis)")));
    }

    #[test]
    fn only_kv_redis_knows_redis() {
        assert_eq!(check("kv-redis", "0kv-redis v0.1.0\n1kv-core v0.1.0\n1redis v1.8.0\n"), None);
        assert!(check("kv-redis", "0kv-redis v0.1.0\n1redis-lock v0.1.0\n").is_some());
        assert!(check("kv-core", "0kv-core v0.1.0\n1redis v1.8.0\n").is_some());
    }
}
