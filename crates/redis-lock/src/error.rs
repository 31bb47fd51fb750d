use kv_core::Error;

/// Why a lock could not be had, kept or given back.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// Somebody else held the lock for all of the wait.
    #[error("acquire: lock is held by another")]
    Timeout,
    /// The lease ran out, or somebody else holds the lock now.
    #[error("lock is lost")]
    Lost,
    /// The store failed; whether the lock is held is not known if the error [may have been
    /// executed](kv_core::Executed::Maybe).
    #[error(transparent)]
    Store(#[from] Error),
}

impl LockError {
    /// Whether the same call may well succeed later.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Timeout => true,
            Self::Lost => false,
            Self::Store(error) => error.is_temporary(),
        }
    }
}
