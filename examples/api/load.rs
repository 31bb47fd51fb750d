//! Clients of the service, each on several connections.

use anyhow::{Context, Result, ensure};
use examples::http::{Answer, Connection};
use std::{net::SocketAddr, time::Duration};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) address: SocketAddr,
    pub(crate) connections: usize,
    pub(crate) time: Duration,
}

/// What came of a client's requests.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) served: u64,
    pub(crate) refused: u64,
    pub(crate) elapsed: Duration,
}

impl Tally {
    pub(crate) fn sent(&self) -> u64 {
        self.served + self.refused
    }

    pub(crate) fn rate(&self) -> f64 {
        self.served as f64 / self.elapsed.as_secs_f64()
    }
}

impl Load {
    /// How long each connection pauses so that all of them send so many requests a second together.
    pub(crate) fn pause(&self, per_second: u32) -> Duration {
        Duration::from_secs(1) * self.connections as u32 / per_second
    }

    /// Sends as one client on all connections, and counts.
    pub(crate) async fn drive(self, client: &'static str, pause: Duration) -> Result<Tally> {
        let began = Instant::now();
        let mut senders = JoinSet::new();
        for _ in 0..self.connections {
            senders.spawn(async move {
                let (mut connection, mut tally) = (Connection::open(self.address).await?, Tally::default());
                while began.elapsed() < self.time {
                    let answer = connection.get("/", client).await?;
                    match answer.status {
                        200 => tally.served += 1,
                        429 => {
                            let wait: u64 = answer.field("retry-after").context("when to come back")?.parse()?;
                            ensure!(wait == 1, "the next page is less than a second away: {}", answer.head);
                            tally.refused += 1;
                        }
                        status => anyhow::bail!("unexpected status {status}"),
                    }
                    if !pause.is_zero() {
                        sleep(pause).await;
                    }
                }
                Ok(tally)
            });
        }
        let mut sum = Tally::default();
        while let Some(tally) = senders.join_next().await {
            let tally = tally??;
            sum.served += tally.served;
            sum.refused += tally.refused;
        }
        Ok(Tally { elapsed: began.elapsed(), ..sum })
    }

    /// Shows what clients are told, and checks it.
    pub(crate) async fn show_fields(self) -> Result<()> {
        let mut connection = Connection::open(self.address).await?;
        let mut show = async |path: &str| -> Result<Answer> {
            let answer = connection.get(path, "curious").await?;
            println!(
                "\nGET {path}\n{}{}",
                answer.head.trim_end().replace('\r', ""),
                if answer.body.is_empty() { "" } else { "\n" }
            );
            print!("{}", answer.body);
            Ok(answer)
        };
        let page = show("/").await?;
        ensure!(page.field("ratelimit-policy") == Some("\"pages\";q=100;w=2"), "{}", page.head);
        ensure!(page.field("ratelimit") == Some("\"pages\";r=99;t=1"), "{}", page.head);
        let health = show("/health").await?;
        ensure!(health.field("ratelimit").is_none(), "{}", health.head);
        // A report takes ten, and gives them back because it fails.
        for _ in 0..20 {
            let report = connection.get("/report", "reporter").await?;
            ensure!(report.status == 500, "{}", report.head);
            sleep(Duration::from_millis(20)).await;
        }
        let mut refused = connection.get("/", "hasty").await?;
        while refused.status == 200 {
            refused = connection.get("/", "hasty").await?;
        }
        println!("\nGET / once more than the quota\n{}\n\n{}", refused.head.trim_end().replace('\r', ""), refused.body);
        ensure!(refused.status == 429 && refused.field("ratelimit") == Some("\"pages\";r=0;t=1"), "{}", refused.head);
        ensure!(refused.field("content-type") == Some("application/problem+json"), "{}", refused.head);
        ensure!(refused.body.contains("\"violated-policies\":[\"pages\"]"), "{}", refused.body);
        Ok(())
    }
}
