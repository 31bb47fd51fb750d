//! The table at the end.

use crate::{
    Args,
    database::{ON_SALE, STOCK},
    tally::{Figure, Tally},
    traffic::PRODUCTS,
};
use std::{
    io::{Result, Write, stdout},
    time::Duration,
};

/// What a run came to.
pub(crate) struct Report<'a> {
    pub(crate) args: &'a Args,
    pub(crate) tally: &'a Tally,
    pub(crate) elapsed: Duration,
    /// The reads of the trace, and its distinct pages.
    pub(crate) survey: Option<(u64, u64)>,
    /// What the database says is left of the products on sale.
    pub(crate) left: u64,
}

impl Report<'_> {
    pub(crate) fn print(&self) -> Result<()> {
        let mut text = format!("{}\n\n", self.title());
        for (label, value, note) in self.rows() {
            text.push_str(format!("{label:<31}{value:>11}  {note}").trim_end());
            text.push('\n');
        }
        stdout().write_all(text.as_bytes())
    }

    fn title(&self) -> String {
        let Args { processes, clients, redis, .. } = self.args;
        let seconds = self.elapsed.as_secs_f64();
        let store = if redis.is_some() { "Redis" } else { "a store in memory" };
        let source = match &self.args.trace {
            Some(trace) => trace.file_name().unwrap_or(trace.as_os_str()).display().to_string(),
            None => format!("{} products, Zipf", grouped(PRODUCTS)),
        };
        let crowd = match processes {
            1 => format!("{clients} clients"),
            _ => format!("{processes} processes of {clients} clients"),
        };
        format!("{crowd}, {source}, on {store}, {seconds:.1} s")
    }

    fn rows(&self) -> Vec<(&'static str, String, String)> {
        let get = |figure| self.tally.get(figure);
        let count = |figure| grouped(get(figure));
        let served = get(Figure::Served);
        let loads = get(Figure::DatabaseLoads);
        let (plain, stored) = (get(Figure::PlainBytes), get(Figure::StoredBytes));
        let sold = get(Figure::Sold);
        let stock = STOCK * ON_SALE.count() as u64;
        let balance = if sold + self.left == stock { "none lost, none sold twice" } else { "this does not add up" };

        let mut rows = vec![
            ("requests", count(Figure::Requests), self.per_second(get(Figure::Requests))),
            ("denied by the rate limit", count(Figure::Denied), self.denied()),
            ("reads served", grouped(served), format!("{} of them of absent products", count(Figure::NotFound))),
            (
                "hit ratio",
                percent(get(Figure::Hits), served),
                format!(
                    "{} hits, {} of them on a cached absence; {} reads joined a load under way",
                    count(Figure::Hits),
                    count(Figure::NullHits),
                    count(Figure::Joined)
                ),
            ),
            (
                "database loads",
                grouped(loads),
                format!("{} of them not stored: overtaken by a sale or by another process", count(Figure::NotStored)),
            ),
        ];
        if let Some((reads, pages)) = self.survey {
            let note = if get(Figure::Requests) == reads { "" } else { "in all of the trace; the run ended before it" };
            rows.push(("  distinct pages", grouped(pages), note.into()));
        }
        rows.extend([
            ("  without the cache", grouped(served), "one for every read served".into()),
            ("  loads saved", grouped(served.saturating_sub(loads)), percent(served.saturating_sub(loads), served)),
            ("latency of a read, p50", millis(self.tally.percentile(0.50)), String::new()),
            ("latency of a read, p99", millis(self.tally.percentile(0.99)), String::new()),
            (
                "bytes saved by compression",
                megabytes(plain.saturating_sub(stored)),
                format!(
                    "{} of the {} written to the cache",
                    percent(plain.saturating_sub(stored), plain),
                    megabytes(plain)
                ),
            ),
            (
                "units sold under a lock",
                grouped(sold),
                format!("of {}, {} left in the database: {balance}", grouped(stock), grouped(self.left)),
            ),
            (
                "purchases turned down",
                grouped(get(Figure::SoldOut) + get(Figure::NotSold)),
                format!("{} sold out, {} for want of the lock", count(Figure::SoldOut), count(Figure::NotSold)),
            ),
            (
                "nightly jobs done",
                count(Figure::NightsDone),
                format!("for one night; {} found it done", count(Figure::NightsSkipped)),
            ),
            (
                "stale writes refused",
                count(Figure::Refused),
                "by fencing token: one job is made to freeze for longer than its lease".into(),
            ),
        ]);
        if get(Figure::StoreErrors) > 0 {
            rows.push(("store errors", count(Figure::StoreErrors), "the cache went on without Redis".into()));
        }
        rows
    }

    fn per_second(&self, n: u64) -> String {
        format!("{} per second", grouped((n as f64 / self.elapsed.as_secs_f64()) as u64))
    }

    fn denied(&self) -> String {
        if self.survey.is_some() {
            return "the quota is real, and beyond what a client can do".into();
        }
        let polite = grouped(self.tally.get(Figure::DeniedPolite));
        format!("{polite} of them to clients other than the scraper")
    }
}

fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let groups = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy);
    groups.collect::<Vec<_>>().join(",")
}

fn percent(part: u64, whole: u64) -> String {
    format!("{:.1} %", 100.0 * part as f64 / whole.max(1) as f64)
}

fn millis(time: Duration) -> String {
    format!("{:.3} ms", time.as_secs_f64() * 1000.0)
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}
