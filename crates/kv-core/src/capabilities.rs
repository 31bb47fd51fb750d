use crate::Limits;

/// What a store accepts and promises beyond the methods it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// What is refused before it is sent. Default: Redis' limits.
    pub limits: Limits,
    /// How much of an [`mset`](crate::KvStore::mset) happens at once. Default: all of it.
    pub atomic_batch: AtomicBatch,
    /// Whether [`eval`](crate::ScriptStore::eval) runs Lua, and not only scripts that have a twin. Default: no.
    pub lua: bool,
}

/// How much of a batch happens at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AtomicBatch {
    /// All or none.
    #[default]
    All,
    /// All or none of the keys of one hash slot; an error may leave others written.
    PerSlot,
}

impl Capabilities {
    /// Sets [`limits`](Self::limits).
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets [`atomic_batch`](Self::atomic_batch).
    #[must_use]
    pub fn atomic_batch(mut self, scope: AtomicBatch) -> Self {
        self.atomic_batch = scope;
        self
    }

    /// Sets [`lua`](Self::lua).
    #[must_use]
    pub fn lua(mut self, lua: bool) -> Self {
        self.lua = lua;
        self
    }
}
