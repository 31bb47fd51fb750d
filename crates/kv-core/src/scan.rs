use crate::Result;
use async_trait::async_trait;

/// The capability of walking over the keys, page by page.
#[async_trait]
pub trait ScanStore: Send + Sync {
    /// One page of the keys that begin with the prefix; an empty prefix is every key.
    ///
    /// Start with [`Cursor::start`] and go on with the [next](Page::next) one until there is none. A key that is there from
    /// the first page to the last is seen at least once, as long as no hash slot moves meanwhile; others may be. The same key may come
    /// twice. `count` is how much to look at, a hint: a page may be empty though more follow. Keys that are not UTF-8 are
    /// left out. One round trip a page.
    async fn scan_page(&self, prefix: &str, cursor: &Cursor, count: u32) -> Result<Page>;
}

/// Where the next page of a [scan](ScanStore::scan_page) begins. It is good for the store it came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    place: String,
    position: u64,
}

impl Cursor {
    /// The beginning.
    pub fn start() -> Self {
        Self::default()
    }

    /// A cursor, for those who write a store.
    pub fn new(place: impl Into<String>, position: u64) -> Self {
        Self { place: place.into(), position }
    }

    /// Which part of the store is being walked.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// How far the walk is there.
    pub fn position(&self) -> u64 {
        self.position
    }
}

/// One page of a [scan](ScanStore::scan_page).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The keys.
    pub keys: Vec<String>,
    /// Where to go on; `None` at the end.
    pub next: Option<Cursor>,
}
