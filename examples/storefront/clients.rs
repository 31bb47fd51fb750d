//! The clients of the shop, and the job that comes every night.

use crate::{
    LEASE, Outcome, Response, Storefront,
    database::ON_SALE,
    tally::{Figure, Tally},
    traffic::Traffic,
};
use anyhow::Result;
use redis_ratelimit::Quota;
use std::{sync::Arc, time::Duration};
use tokio::{
    task::{JoinSet, yield_now},
    time::{Instant, sleep},
};

/// How the shop and its clients behave.
#[derive(Clone, Copy)]
pub(crate) struct Scenario {
    pub(crate) quota: Quota,
    /// How long a client pauses after [`VISIT`] requests; `None` for no pause.
    pub(crate) pause: Option<Duration>,
    /// One in so many reads ends with a purchase.
    pub(crate) reads_per_purchase: u32,
    pub(crate) database_latency: Duration,
    /// Of each product: they make the size of its record.
    pub(crate) reviews: u64,
}

/// How many requests a client makes in a row.
const VISIT: u32 = 10;

impl Scenario {
    /// Clients whose pauses keep them within the quota whatever the hardware, but for one.
    pub(crate) const RANDOM: Self = Self {
        quota: Quota::per_second(200).burst(50),
        pause: Some(Duration::from_millis(50)),
        reads_per_purchase: 400,
        database_latency: Duration::from_millis(3),
        reviews: 10,
    };

    /// As fast as it goes: a quota nobody reaches, few purchases, a fast database and small records.
    pub(crate) const TRACE: Self = Self {
        quota: Quota::per_second(1_000_000),
        pause: None,
        reads_per_purchase: 5000,
        database_latency: Duration::from_millis(1),
        reviews: 4,
    };
}

/// The load one process puts on the shop.
pub(crate) struct Clients {
    pub(crate) shop: Storefront,
    pub(crate) scenario: Scenario,
    pub(crate) traffic: Traffic,
    pub(crate) until: Option<Instant>,
    pub(crate) process: usize,
    pub(crate) tally: Arc<Tally>,
}

impl Clients {
    /// Runs so many clients until there is no more traffic or time.
    pub(crate) async fn run(self: Arc<Self>, clients: usize) -> Result<()> {
        let mut tasks = JoinSet::new();
        for client in 0..clients {
            tasks.spawn(self.clone().client(client));
        }
        tasks.spawn(self.clone().night(Duration::ZERO));
        if self.process == 0 {
            // This one freezes in the middle, and wakes when another has done its work.
            tasks.spawn(self.clone().night(LEASE * 2));
        }
        while let Some(ended) = tasks.join_next().await {
            ended??;
        }
        Ok(())
    }

    /// The figures so far.
    pub(crate) fn tally(&self) -> Arc<Tally> {
        self.tally.set_cache(&self.shop.products.stats());
        self.tally.clone()
    }

    /// The first client of every process is the same scraper: it hardly pauses, and ignores that it is denied.
    async fn client(self: Arc<Self>, number: usize) -> Result<()> {
        let scraper = number == 0 && self.scenario.pause.is_some();
        let name = if scraper { "scraper".to_owned() } else { format!("client {}/{number}", self.process) };
        while self.until.is_none_or(|until| Instant::now() < until) {
            for _ in 0..VISIT {
                let Some(id) = self.traffic.next()? else { return Ok(()) };
                self.request(&name, scraper, id).await?;
            }
            match self.scenario.pause {
                Some(_) if scraper => sleep(Duration::from_millis(1)).await,
                Some(pause) => sleep(pause).await,
                None => yield_now().await,
            }
        }
        Ok(())
    }

    async fn request(&self, name: &str, scraper: bool, id: u64) -> Result<()> {
        let began = Instant::now();
        let response = self.shop.product(name, id).await?;
        self.tally.add(Figure::Requests, 1);
        match response {
            Response::TooManyRequests => {
                self.tally.add(Figure::Denied, 1);
                self.tally.add(Figure::DeniedPolite, u64::from(!scraper));
                return Ok(());
            }
            Response::Found(product) => debug_assert_eq!(product.id, id),
            Response::NotFound => self.tally.add(Figure::NotFound, 1),
        }
        self.tally.record(began.elapsed());
        self.tally.add(Figure::Served, 1);
        if rand::random_ratio(1, self.scenario.reads_per_purchase) {
            let figure = match self.shop.buy(rand::random_range(ON_SALE)).await {
                Ok(Outcome::Written) => Figure::Sold,
                Ok(Outcome::NothingToDo) => Figure::SoldOut,
                Ok(Outcome::Refused) => Figure::Refused,
                Ok(Outcome::Busy) | Err(_) => Figure::NotSold,
            };
            self.tally.add(figure, 1);
        }
        Ok(())
    }

    async fn night(self: Arc<Self>, pause: Duration) -> Result<()> {
        if pause.is_zero() {
            // The frozen one goes first.
            sleep(LEASE / 4).await;
        }
        let figure = match self.shop.nightly(1, pause).await? {
            Outcome::Written => Figure::NightsDone,
            Outcome::NothingToDo | Outcome::Busy => Figure::NightsSkipped,
            Outcome::Refused => Figure::Refused,
        };
        self.tally.add(figure, 1);
        Ok(())
    }
}
