//! A database for the chapters on caching.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::sleep;

/// Products by their id, each after 50 ms, and a count of how often it was asked. Clones are the same database.
#[derive(Clone, Debug, Default)]
pub struct SlowDatabase(Arc<AtomicUsize>);

impl SlowDatabase {
    /// Asks for a product. `7` does not exist, `13` is called `NULL`, and `broken` is an error.
    pub fn load(&self, id: &str) -> impl Future<Output = io::Result<Option<String>>> + Send + use<> {
        let (count, id) = (self.0.clone(), id.to_owned());
        async move {
            count.fetch_add(1, Ordering::Relaxed);
            sleep(Duration::from_millis(50)).await;
            match &*id {
                "broken" => Err(io::Error::other("the database is away")),
                "7" => Ok(None),
                "13" => Ok(Some("NULL".to_owned())),
                id => Ok(Some(format!("product {id}"))),
            }
        }
    }

    /// How often it was asked since the last question.
    pub fn loads(&self) -> usize {
        self.0.swap(0, Ordering::Relaxed)
    }
}
