//! Every way that acquiring, standing in line, grants, claims, renewals, expiry and cancellation can go, up to a number of worlds: the
//! server's steps are the scripts' own twins, the clients follow the rules of `request.rs`, `lease.rs` and `renewer.rs`.
//!
//! `LOCK_MODEL_WORLDS` says how many worlds each case visits at most; 2500 by default, half a second each.

mod client;
mod explorer;
mod mutant;
mod rules;
mod server;
mod step;
mod world;

use Action::{Answered, Arrive, Look, Pass, Read, Release, Renew, Start, TimeOut};
use explorer::{Explored, explore};
use mutant::Mutant;
use rules::Rules;
use server::Server;
use world::{Action, World};

/// Who takes part, and what may go wrong.
#[derive(Clone, Copy)]
struct Case {
    /// How many acquisitions each client makes.
    turns: &'static [u8],
    /// How many things may go wrong, and which.
    faults: u8,
    may: fn(Action) -> bool,
    /// Whether the server knows who listens.
    knows: bool,
    /// The client whose clock is slow.
    slow: Option<usize>,
    /// Whether requests overtake each other.
    reorders: bool,
    /// What has happened before.
    after: &'static [&'static [Action]],
}

const ALL: Case =
    Case { turns: &[2, 2], faults: 2, may: |_| true, knows: true, slow: None, reorders: false, after: &[] };
/// Nothing goes wrong, but all may be late.
const LATE: Case = Case { turns: &[2, 1], faults: 0, ..ALL };
const ONE_CRASHES: Case =
    Case { turns: &[1, 1, 1], faults: 1, may: |action| matches!(action, Action::Crash(0)), ..ALL };

/// One holds the lock, the other is in line.
const LINED_UP: &[Action] = &[Start(0), Arrive(0), Answered(0), Start(1), Arrive(0), Answered(1)];
/// The first gives the lock to the other, who has not heard of it.
const GRANTED: &[Action] = &[Release(0), Arrive(0)];
/// The other has given up a question that is still on its way, and has the lock by the letter.
const ASKS_IN_VAIN: &[Action] = &[Pass, Look(1), TimeOut(1), Release(0), Arrive(0), Read(0), Pass, Pass, Renew(1)];

fn run(case: Case, mutant: Mutant, most: usize) -> Explored {
    let Case { turns, faults, may, knows, slow, reorders, after } = case;
    let mut rules = Rules { server: Server::new(knows), mutant, may, slow, reorders };
    let mut world = World::new(turns, faults);
    for action in after.concat() {
        assert!(rules.actions(&world).contains(&action), "{action:?}");
        world = rules.step(&world, action).unwrap();
    }
    explore(&mut rules, world, most)
}

fn holds(case: Case) {
    let most = std::env::var("LOCK_MODEL_WORLDS").ok().and_then(|most| most.parse().ok()).unwrap_or(2_500);
    let explored = run(case, Mutant::None, most);
    println!("{} worlds, {}", explored.worlds, if explored.complete { "all there are" } else { "and there are more" });
    assert!(explored.breach.is_none(), "{:?}", explored.breach);
}

/// Says that a case has no breach.
macro_rules! holds {
    ($($name:ident: $case:expr;)*) => {
        $(#[test]
        fn $name() {
            holds($case);
        })*
    };
}

/// Says which breach there is once a rule is broken.
macro_rules! misses {
    ($($name:ident: $mutant:ident in $case:expr, $breach:literal;)*) => {
        $(#[test]
        fn $name() {
            let explored = run($case, Mutant::$mutant, 40_000);
            let (breach, way) = explored.breach.expect("a breach");
            println!("{breach} in the {}th world, after {} steps: {way:?}", explored.worlds, way.len());
            assert!(breach.contains($breach), "{breach}: {way:?}");
        })*
    };
}

holds! {
    two_with_faults: ALL;
    two_with_many_faults: Case { turns: &[1, 1], faults: 4, ..ALL };
    two_whose_requests_overtake: Case { turns: &[2, 1], reorders: true, ..ALL };
    one_with_a_slow_clock: Case { slow: Some(0), ..ALL };
    a_server_that_does_not_know_who_listens: Case { knows: false, ..ALL };
    three: Case { turns: &[1, 1, 1], ..ALL };
    four: Case { turns: &[1, 1, 1, 1], faults: 1, knows: false, ..ALL };
    one_in_line: Case { after: &[LINED_UP], ..ALL };
    one_who_is_granted_the_lock: Case { after: &[LINED_UP, GRANTED], ..ALL };
    one_whose_question_is_late: Case { after: &[LINED_UP, ASKS_IN_VAIN], ..ALL };
}

misses! {
    validity_from_the_receipt: ValidFromReceipt in LATE, "hold the lock";
    validity_without_a_margin: ValidInFull in Case { slow: Some(0), ..LATE }, "hold the lock";
    grants_for_a_lease: GrantsAreLeases in Case { after: &[LINED_UP, GRANTED], ..LATE }, "hold the lock";
    letters_at_any_time: LateLettersGrant in Case { after: &[LINED_UP, &[Pass, Look(1)], GRANTED], ..LATE }, "hold";
    tickets_that_return: TicketsReturn in Case { after: &[LINED_UP, GRANTED, &[Start(0)]], ..LATE }, "hold";
    waiters_that_never_look: NobodyLooks in Case { turns: &[1, 1], faults: 1, ..ALL }, "wake-up is lost";
    renewals_that_ignore_a_loss: NobodyMindsLosses in LATE, "hold the lock";
    renewals_that_revive: RenewalsRevive in Case { faults: 1, may: |action| matches!(action, TimeOut(1)), after: &[LINED_UP, ASKS_IN_VAIN, &[Start(0)]], ..ALL }, "holds the lock with";
    releases_that_only_delete: ReleaseOnlyDeletes in LATE, "is the first";
    acquisitions_that_ignore_the_line: AcquireIgnoresTheLine in ONE_CRASHES, "is the first";
    grants_without_a_fence: GrantsReserveNothing in LATE, "holds the lock with";
    releases_of_anybodys_lock: ReleaseAnybodys in LATE, "not its own";
    renewals_of_anybodys_lock: ExtendAnybodys in LATE, "not its own";
    renewals_that_resurrect: ExtendResurrects in Case { turns: &[1, 0], ..LATE }, "not its own";
    the_last_served_first: LastComeFirstServed in Case { turns: &[1, 1, 1], ..LATE }, "is the first";
}
