//! Clients that keep the page moving.

use anyhow::Result;
use examples::http::Connection;
use std::{net::SocketAddr, time::Duration};
use tokio::time::sleep;

/// Eight of them read within their quota, and one reads all it can.
pub(crate) fn start(address: SocketAddr) {
    for client in 0..8 {
        tokio::spawn(async move { ask(address, format!("reader-{client}"), Duration::from_millis(25)).await });
    }
    for _ in 0..2 {
        tokio::spawn(async move { ask(address, "scraper".to_owned(), Duration::from_millis(2)).await });
    }
}

/// Until the service is gone.
async fn ask(address: SocketAddr, client: String, pause: Duration) -> Result<()> {
    let mut connection = Connection::open(address).await?;
    loop {
        // A few are asked for often, and now and then one that is not there.
        let id = (rand::random::<f64>().powi(3) * 101.0) as u32;
        connection.get(&format!("/products/{id}"), &client).await?;
        sleep(pause).await;
    }
}
