//! `HyperLogLog`: how many different visitors, in 12 kB and with an error one can state.
//!
//! Needs: a server.
//!
//! A set that counts visitors grows with them. A `HyperLogLog` keeps 16,384 small registers instead, says how many
//! different elements it has seen with a standard error of 0.81 %, and cannot say which: right for a dashboard, wrong
//! for an invoice.

use anyhow::Result;
use redis::{AsyncTypedCommands, Client, cmd};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut redis = Client::open(examples::redis_url()?)?.get_multiplexed_async_connection().await?;
    let [monday, tuesday, week, exact] =
        ["guide:visitors:monday", "guide:visitors:tuesday", "guide:visitors:week", "guide:visitors:exact"];
    redis.del(&[monday, tuesday, week, exact]).await?;

    // True if the estimate changed; an address that was seen never changes it.
    assert!(redis.pfadd(monday, "192.0.2.1").await?);
    assert!(!redis.pfadd(monday, "192.0.2.1").await?);
    // Few elements are counted all but exactly.
    assert_eq!(redis.pfcount(monday).await?, 1);
    redis.del(monday).await?;

    // 60,000 visitors on Monday, 60,000 on Tuesday, half of them the same.
    for (day, first) in [(monday, 0), (tuesday, 30_000)] {
        for thousand in (first..first + 60_000).step_by(1_000) {
            let visitors: Vec<String> = (thousand..thousand + 1_000).map(|id| format!("visitor-{id}")).collect();
            redis.pfadd(day, &visitors).await?;
            redis.sadd(exact, &visitors).await?;
        }
    }
    // Several keys at once: the size of their union, which no sum of daily counts can give.
    for (what, keys, truth) in [
        ("monday", vec![monday], 60_000),
        ("tuesday", vec![tuesday], 60_000),
        ("both together", vec![monday, tuesday], 90_000),
    ] {
        let estimate = redis.pfcount(&keys).await?;
        let error = 100.0 * (estimate as f64 - f64::from(truth)) / f64::from(truth);
        println!("{what:<14}{truth:>8} visitors, {estimate:>8} estimated: {error:+.2} %");
        // Four standard errors.
        assert!(error.abs() < 4.0 * 0.81);
    }
    // Merged for good, to be kept when the days expire.
    redis.pfmerge(week, &[monday, tuesday]).await?;
    assert_eq!(redis.pfcount(week).await?, redis.pfcount(&[monday, tuesday]).await?);

    let sketch: usize = cmd("MEMORY").arg("USAGE").arg(week).query_async(&mut redis).await?;
    let set: usize = cmd("MEMORY").arg("USAGE").arg(exact).query_async(&mut redis).await?;
    assert_eq!(redis.scard(exact).await?, 90_000);
    println!("{sketch} bytes, where the exact set takes {set}");
    assert!(sketch < 20_000 && set > 100 * sketch);

    redis.unlink(&[monday, tuesday, week, exact]).await?;
    Ok(())
}
