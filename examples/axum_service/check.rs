//! What has to hold: with each guard on, and off, and on again.

use anyhow::{Result, ensure};
use examples::http::Connection;
use std::{collections::HashMap, net::SocketAddr, time::Duration};
use tokio::time::{Instant, sleep, timeout};

/// As long as a busy machine may take until something is seen.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) async fn check(address: SocketAddr) -> Result<()> {
    let mut client = Client(Connection::open(address).await?);
    let health = client.0.get("/health", "").await?;
    ensure!(health.status == 200 && health.body == "well\n", "health: {}", health.status);
    let page = client.0.get("/", "").await?;
    ensure!(page.status == 200 && page.body.contains("new EventSource"), "the page is served");
    let event = timeout(PATIENCE, Connection::open(address).await?.first_event("/events")).await??;
    let event: serde_json::Value = serde_json::from_str(&event)?;
    ensure!(event["guards"]["cache"] == true && event["totals"]["requests"].is_u64(), "an event: {event}");
    ensure!(client.0.get("/products/1", "check").await?.body.contains("kettle no. 1"), "a product");
    ensure!(client.0.get("/products/5000", "check").await?.status == 404, "none of this id");
    ensure!(client.0.send("POST", "/guards/moat/off", "").await?.status == 404, "no such guard");

    // All on: most reads are hits, the scraper is denied, nobody overlaps.
    client.until("all guards at work", |now| now["hits"] > 200 && now["denials"] > 50 && now["handovers"] > 3).await?;
    let safe = client.totals().await?;
    ensure!(safe["overlaps"] == 0 && safe["loads"] < safe["hits"], "{safe:?}");

    client.switch("cache", "off").await?;
    let before = client.totals().await?;
    client.until("each read is a load", |now| now["loads"] > before["loads"] + 300).await?;
    client.switch("cache", "on").await?;

    client.switch("limit", "off").await?;
    // Those on their way are through before two are asked and answered one after the other.
    sleep(Duration::from_millis(200)).await;
    let before = client.totals().await?;
    client.until("requests are served", |now| now["requests"] > before["requests"] + 300).await?;
    ensure!(client.totals().await?["denials"] == before["denials"], "nobody is denied");
    client.switch("limit", "on").await?;
    client.until("the scraper is denied again", |now| now["denials"] > before["denials"]).await?;

    client.switch("lock", "off").await?;
    client.until("workers overlap", |now| now["overlaps"] > 0).await?;
    client.switch("lock", "on").await?;
    // Who began without a lock is through after a while.
    sleep(Duration::from_millis(200)).await;
    let before = client.totals().await?;
    client.until("the job is handed over", |now| now["handovers"] > before["handovers"] + 3).await?;
    ensure!(client.totals().await?["overlaps"] == before["overlaps"], "nobody overlaps");
    println!("with each guard on and off: as it should be");
    Ok(())
}

struct Client(Connection);

impl Client {
    async fn switch(&mut self, guard: &str, state: &str) -> Result<()> {
        ensure!(self.0.send("POST", &format!("/guards/{guard}/{state}"), "").await?.status == 204, "{guard} {state}");
        Ok(())
    }

    async fn totals(&mut self) -> Result<HashMap<String, u64>> {
        let metrics = self.0.get("/metrics", "").await?.body;
        let total = |line: &str| {
            let (name, value) = line.strip_prefix("service_")?.split_once("_total ")?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        Ok(metrics.lines().filter_map(total).collect())
    }

    async fn until(&mut self, what: &str, holds: impl Fn(&HashMap<String, u64>) -> bool) -> Result<()> {
        let began = Instant::now();
        loop {
            let now = self.totals().await?;
            if holds(&now) {
                return Ok(());
            }
            ensure!(began.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}; {now:?}");
            sleep(Duration::from_millis(50)).await;
        }
    }
}
