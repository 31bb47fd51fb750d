//! What was true a moment ago.

use super::{
    Ground, Row,
    source::{LATENCY, Source},
};
use anyhow::Result;
use redis_cache::{Cache, CacheOptions, Lookup, NearOptions};
use tokio::time::sleep;

pub(super) async fn no_stale_overwrite(ground: &Ground) -> Result<Row> {
    let stale = async |guarded: bool| {
        let mut stale = 0;
        for round in 0..50 {
            let (cache, source) = ground.cache(CacheOptions::default())?;
            source.set_price(round);
            let reader = tokio::spawn(read(cache.clone(), source.clone(), guarded));
            sleep(LATENCY / 2).await;
            // The price changes while it is being read, and the cache is told.
            source.set_price(round + 1000);
            cache.invalidate("product").await?;
            reader.await??;
            stale += u64::from(cache.get("product").await? == Lookup::Hit(round.into()));
        }
        anyhow::Ok(stale)
    };
    Ok(Row {
        guard: "no stale overwrite",
        what: "50 changes of a price while it is being loaded, after which the old one is cached",
        off: stale(false).await?,
        on: stale(true).await?,
    })
}

/// Reads through the cache, or as one would with a cache that only has get and set.
async fn read(cache: Cache<u64>, source: Source, guarded: bool) -> Result<()> {
    if guarded {
        cache.get_or_load("product", || source.load("product".into())).await?;
    } else {
        let price = source.load("product".into()).await?;
        cache.insert("product", price.as_ref()).await?;
    }
    Ok(())
}

pub(super) async fn near(ground: &Ground) -> Result<Row> {
    let asked = async |near: Option<NearOptions>| {
        let (cache, source) = ground.cache(CacheOptions::default().near(near))?;
        for request in 0..2000 {
            let id = (request % 20).to_string();
            cache.get_or_load(&id, || source.clone().load(id.clone())).await?;
        }
        let stats = cache.stats();
        anyhow::Ok(stats.reads() - stats.near_hits)
    };
    Ok(Row {
        guard: "near cache",
        what: "2000 requests for 20 products that ask the store",
        off: asked(None).await?,
        on: asked(Some(NearOptions::default())).await?,
    })
}
