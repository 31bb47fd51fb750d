//! What compression would save in a keyspace: by kind of key, for each algorithm and level, with the time it takes.
//!
//! It walks with SCAN and reads, and writes nothing unless `--demo` or `--dictionary` asks for it.
//!
//! ```text
//! cargo xtask example compress_report --redis redis://... --keys 5000
//! cargo xtask example compress_report --redis redis://... --prefix session: --dictionary session.dict
//! ```

mod args;
mod candidate;
mod demo;
mod measured;
mod sample;

use crate::{args::Args, candidate::candidates, measured::Measured, sample::Kind};
use anyhow::{Context, Result, ensure};
use kv_core::{KvStore, MemoryStore};
use kv_redis::RedisStore;
use redis_compress::Dictionary;
use std::sync::Arc;

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::from_env();
    let store: Arc<dyn KvStore> = match &args.redis {
        Some(url) => Arc::new(RedisStore::connect(url).await.context("cannot use the Redis of --redis or REDIS_URL")?),
        None => Arc::new(MemoryStore::new()),
    };
    let is_demo = args.demo || args.redis.is_none();
    if is_demo {
        demo::fill(&*store).await?;
    }
    let kinds = sample::kinds(&*store, &args.prefix, args.keys).await?;
    ensure!(!kinds.is_empty(), "there is no string under the prefix {:?}; --demo makes some", args.prefix);
    for kind in &kinds {
        let measured = report(kind)?;
        if is_demo {
            demo::check(kind, &measured)?;
        }
    }
    if let (Some(file), [kind]) = (&args.dictionary, &kinds[..]) {
        let dictionary = Dictionary::train(&kind.values, args.dictionary_bytes)?;
        std::fs::write(file, dictionary.as_bytes()).with_context(|| format!("cannot write {}", file.display()))?;
        println!("\ndictionary {} of {}, in {}", dictionary.id(), kind.pattern, file.display());
    } else {
        ensure!(args.dictionary.is_none(), "a dictionary is for one kind of key: narrow --prefix");
    }
    Ok(())
}

/// One table, the smallest first.
fn report(kind: &Kind) -> Result<Vec<Measured>> {
    let mut measured = candidates(kind).map(|one| one.and_then(|one| one.measure(kind))).collect::<Result<Vec<_>>>()?;
    measured.sort_by_key(|measured| measured.stored);
    println!("\n{}: {} values, {} bytes, {} on average", kind.pattern, kind.values.len(), kind.bytes(), kind.average());
    println!("{:<20}{:>10}{:>12}{:>12}{:>12}", "", "saved", "compressed", "write us", "read us");
    for Measured { name, stored, compressed, written, read } in &measured {
        let saved = 100.0 - *stored as f64 * 100.0 / kind.bytes() as f64;
        let (written, read) = (written.as_secs_f64() * 1e6, read.as_secs_f64() * 1e6);
        let share = compressed * 100 / kind.values.len();
        println!("{name:<20}{saved:>9.1}%{share:>11}%{written:>12.1}{read:>12.1}");
    }
    Ok(measured)
}
