use super::{
    Inner,
    shape::{BLOCK_BYTES, Place},
};
use bytes::Bytes;
use kv_core::Result;
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// A copy of a filter in this process, never older than it may be.
#[derive(Debug)]
pub(super) struct Mirror {
    age: Duration,
    state: Mutex<State>,
    /// One reader at a time; the others ask the store meanwhile.
    reading: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct State {
    /// As old as the moment at which the reading began.
    read_at: Option<Instant>,
    pages: Vec<Page>,
    /// What is inserted here while the pages are read, and may not be in what is read.
    since: Option<Vec<Place>>,
}

#[derive(Clone, Debug, Default)]
struct Page {
    /// The first block: it says whether the store's page changed since.
    head: Bytes,
    /// Empty where there is no page.
    bits: Vec<u8>,
}

impl Page {
    fn insert(&mut self, place: &Place) {
        for bit in place.bits() {
            if let Some(byte) = self.bits.get_mut(bit / 8) {
                *byte |= 0x80 >> (bit % 8);
            }
        }
    }
}

impl Mirror {
    pub(super) fn new(age: Duration, pages: usize) -> Self {
        let state = State { read_at: None, pages: vec![Page::default(); pages], since: None };
        Self { age, state: Mutex::new(state), reading: tokio::sync::Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the copy says, or the store where the copy is too old and somebody else is reading it.
    pub(super) async fn look(&self, filter: &Inner, place: &Place) -> Result<Option<bool>> {
        if let Some(known) = self.known(place) {
            return Ok(known);
        }
        let Ok(_alone) = self.reading.try_lock() else { return filter.ask(place).await };
        self.read(filter).await?;
        match self.known(place) {
            Some(known) => Ok(known),
            // Reading it took longer than it may be old.
            None => filter.ask(place).await,
        }
    }

    /// `None` if the copy is too old to say.
    fn known(&self, place: &Place) -> Option<Option<bool>> {
        let state = self.state();
        state.read_at.filter(|at| at.elapsed() < self.age)?;
        let block = state.pages[place.page].bits.get(place.offset..place.offset + BLOCK_BYTES);
        Some(block.map(|block| place.is_in(block)))
    }

    /// What was inserted in the store by this process is here from now on.
    pub(super) fn insert(&self, places: &[Place]) {
        let mut state = self.state();
        for place in places {
            state.pages[place.page].insert(place);
        }
        if let Some(since) = &mut state.since {
            since.extend_from_slice(places);
        }
    }

    async fn read(&self, filter: &Inner) -> Result<()> {
        let began = Instant::now();
        self.state().since = Some(Vec::new());
        let _ended = Ended(self);
        for (page, key) in filter.pages.iter().enumerate() {
            let head = filter.store.get_range(key, 0, BLOCK_BYTES).await?;
            if !head.is_empty() && head == self.state().pages[page].head {
                continue;
            }
            let bits = filter.store.get(key).await?.filter(|bits| bits.len() == filter.shape.page_bytes());
            let bits = bits.unwrap_or_default();
            // The head that came with the bits: the one before may be older.
            let head = Bytes::copy_from_slice(&bits[..bits.len().min(BLOCK_BYTES)]);
            self.state().pages[page] = Page { head, bits: bits.into() };
        }
        let mut state = self.state();
        for place in state.since.take().unwrap_or_default() {
            state.pages[place.page].insert(&place);
        }
        state.read_at = Some(began);
        Ok(())
    }
}

/// A reading that fails or is dropped leaves nothing to grow.
struct Ended<'a>(&'a Mirror);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.state().since = None;
    }
}
