//! The database behind the service, simulated.

use crate::{
    product::Product,
    tally::{Figure, Tally},
};
use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{task::spawn_blocking, time::sleep};

/// The products on sale, whose stock is kept.
pub(crate) const ON_SALE: std::ops::RangeInclusive<u64> = 1..=8;
/// How many of each there are in the beginning.
pub(crate) const STOCK: u64 = 500;
/// Every so manieth id is that of no product.
const ABSENT: u64 = 50;

/// The product table, which is made up, and the rows that change, which all processes share in a file.
pub(crate) struct Database {
    latency: Duration,
    reviews: u64,
    rows: PathBuf,
    tally: Arc<Tally>,
}

/// A value, and the largest fencing token it was written with.
#[derive(Clone, Copy, Default)]
struct Row {
    value: u64,
    token: u64,
}

/// Refused: the row was written with a larger token.
#[derive(Debug)]
pub(crate) struct Stale;

impl Database {
    pub(crate) fn new(rows: PathBuf, latency: Duration, reviews: u64, tally: Arc<Tally>) -> Self {
        Self { latency, reviews, rows, tally }
    }

    /// Loads a product; what the cache is there to avoid.
    pub(crate) async fn product(&self, id: u64) -> io::Result<Option<Product>> {
        self.tally.add(Figure::DatabaseLoads, 1);
        if !ON_SALE.contains(&id) {
            sleep(self.latency).await;
            return Ok((!id.is_multiple_of(ABSENT)).then(|| Product::new(id, STOCK, self.reviews)));
        }
        Ok(Some(Product::new(id, self.stock(id).await?, self.reviews)))
    }

    /// How many of a product on sale are left.
    pub(crate) async fn stock(&self, id: u64) -> io::Result<u64> {
        Ok(self.read(&format!("stock:{id}")).await?.unwrap_or(STOCK))
    }

    /// Reads a row.
    pub(crate) async fn read(&self, name: &str) -> io::Result<Option<u64>> {
        sleep(self.latency).await;
        let name = name.to_owned();
        self.with_rows(move |rows| rows.get(&name).map(|row| row.value)).await
    }

    /// Writes a row, unless it was written with a larger token: then the writer's lock is another's by now.
    pub(crate) async fn write(&self, name: &str, value: u64, token: u64) -> io::Result<Result<(), Stale>> {
        sleep(self.latency).await;
        let name = name.to_owned();
        self.with_rows(move |rows| {
            let row = rows.entry(name).or_default();
            if token < row.token {
                return Err(Stale);
            }
            *row = Row { value, token };
            Ok(())
        })
        .await
    }

    /// Does something with the rows that no other process comes between.
    async fn with_rows<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut BTreeMap<String, Row>) -> T + Send + 'static,
    ) -> io::Result<T> {
        let path = self.rows.clone();
        spawn_blocking(move || {
            let mut file = open(&path)?;
            let mut rows = parse(&mut file)?;
            let answer = change(&mut rows);
            let text: String = rows.iter().map(|(name, row)| format!("{name} {} {}\n", row.value, row.token)).collect();
            file.rewind()?;
            file.set_len(0)?;
            file.write_all(text.as_bytes())?;
            Ok(answer)
        })
        .await?
    }
}

/// Opens the file and locks it, until it is closed.
fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    file.lock()?;
    Ok(file)
}

fn parse(file: &mut File) -> io::Result<BTreeMap<String, Row>> {
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    let row = |line: &str| {
        let mut words = line.split(' ');
        let (name, value, token) = (words.next()?, words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        Some((name.to_owned(), Row { value, token }))
    };
    text.lines().map(|line| row(line).ok_or_else(|| io::Error::other("the database is damaged"))).collect()
}
