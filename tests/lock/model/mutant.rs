use super::server::{Keys, LEASE, Letter, RESERVE, Request, Token};

/// A rule that is broken, to see that it is missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mutant {
    None,
    /// A lease counts from when its answer comes.
    ValidFromReceipt,
    /// A lease counts in full, whatever the clocks do.
    ValidInFull,
    /// What is granted is held for a lease, and not for a claim.
    GrantsAreLeases,
    /// A letter grants however late it comes.
    LateLettersGrant,
    /// A ticket that was granted and not claimed stands in line again.
    TicketsReturn,
    /// Whoever waits relies on letters.
    NobodyLooks,
    /// A holder goes on when it was told that the lock is lost.
    NobodyMindsLosses,
    /// A renewal counts, though the lease may have run out meanwhile.
    RenewalsRevive,
    /// The lock becomes free when it is released, and whoever waits is not told.
    ReleaseOnlyDeletes,
    /// A free lock is whoever's asks first.
    AcquireIgnoresTheLine,
    /// The same fencing token again.
    GrantsReserveNothing,
    /// The lock is given back whoever has it.
    ReleaseAnybodys,
    /// The lease is prolonged whoever has it.
    ExtendAnybodys,
    /// A lock that is gone comes back when it is renewed.
    ExtendResurrects,
    /// The last to come is the first to be served.
    LastComeFirstServed,
}

impl Mutant {
    /// No owner named: the lock's, whoever that is.
    pub(super) const ANYBODY: Token = Token { client: u8::MAX, serial: 0 };

    /// What the server makes of its keys and a request before it runs a script.
    pub(super) fn before(self, keys: &mut Keys, request: &mut Request) {
        let owner = keys.owner.map(|(owner, _)| owner);
        match (self, &mut *request) {
            (Self::ReleaseOnlyDeletes, Request::Release { token, .. }) if owner == Some(*token) => keys.line.clear(),
            (Self::AcquireIgnoresTheLine, Request::Acquire { .. }) if owner.is_none() => keys.line.clear(),
            (Self::ReleaseAnybodys, Request::Release { token, .. }) if owner.is_some() => *token = Self::ANYBODY,
            (Self::ExtendAnybodys, Request::Extend { token }) => *token = owner.unwrap_or(*token),
            (Self::ExtendResurrects, Request::Extend { token }) if owner.is_none() => {
                keys.owner = Some((*token, LEASE));
            }
            (Self::LastComeFirstServed, Request::Release { token, .. }) if owner == Some(*token) => keys.line.reverse(),
            _ => {}
        }
    }

    /// What it makes of them after it.
    pub(super) fn after(self, before: &Keys, after: &mut Keys, letters: &mut [Letter]) {
        match self {
            Self::ReleaseOnlyDeletes if after.owner.is_none() => after.line.clone_from(&before.line),
            Self::AcquireIgnoresTheLine if before.owner.is_none() => {
                after.line.splice(..0, before.line.iter().copied());
            }
            Self::GrantsReserveNothing => {
                for letter in letters {
                    letter.last -= RESERVE;
                    after.fence -= RESERVE;
                }
            }
            _ => {}
        }
    }
}
