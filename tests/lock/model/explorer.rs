use super::{
    client::{Client, Phase, Wait},
    rules::Rules,
    server::Millis,
    world::{Action, World},
};
use std::{
    collections::{HashMap, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
};

/// How an exploration went.
#[derive(Debug, Default)]
pub(super) struct Explored {
    pub(super) worlds: usize,
    /// Whether there is nothing beyond.
    pub(super) complete: bool,
    /// What must not happen, and the shortest way there.
    pub(super) breach: Option<(String, Vec<Action>)>,
}

/// Visits every world there is a way to, the nearest first, up to so many.
pub(super) fn explore(rules: &mut Rules, begin: World, most: usize) -> Explored {
    let mut explored = Explored { complete: true, ..Explored::default() };
    // Where each came from, in the order they were found.
    let mut ways: Vec<(usize, Action)> = vec![(0, Action::Pass)];
    let mut seen = HashMap::from([(hash(&begin), ())]);
    let mut queue = VecDeque::from([(0, begin)]);
    let mut waits = HashMap::new();
    while let Some((at, world)) = queue.pop_front() {
        explored.worlds += 1;
        if let Err(breach) = serves(rules, &world, &mut waits) {
            explored.breach = Some((breach, way(&ways, at)));
            return explored;
        }
        for action in rules.actions(&world) {
            match rules.step(&world, action) {
                Err(breach) => {
                    let way = way(&ways, at).into_iter().chain([action]).collect();
                    explored.breach = Some((breach, way));
                    return explored;
                }
                Ok(next) if ways.len() < most => {
                    if seen.insert(hash(&next), ()).is_none() {
                        ways.push((at, action));
                        queue.push_back((ways.len() - 1, next));
                    }
                }
                Ok(_) => explored.complete = false,
            }
        }
    }
    explored
}

/// If from now on nothing goes wrong, somebody who waits gets the lock in time.
fn serves(rules: &mut Rules, world: &World, waits: &mut HashMap<u64, Millis>) -> Result<(), String> {
    let mut way: Vec<(u64, Millis)> = Vec::new();
    let mut world = World { faults: 0, ..world.clone() };
    let patience = world.patience();
    let mut rest = loop {
        let at = hash(&world);
        if let Some(known) = waits.get(&at) {
            break *known;
        }
        if !world.is_waited_for() || world.clients.iter().any(Client::is_valid) {
            waits.insert(at, 0);
            break 0;
        }
        if way.len() > 500 {
            return Err("a wake-up is lost: nobody who waits gets the lock".to_owned());
        }
        let action = fair(rules, &world);
        let time = match action {
            Action::Pass => world.next_instant(|at| rules.reckoning(at)).unwrap_or_default(),
            _ => 0,
        };
        way.push((at, time));
        world = rules.step(&world, action)?;
    };
    for (at, time) in way.into_iter().rev() {
        rest += time;
        waits.insert(at, rest);
    }
    if rest > patience { Err(format!("whoever waits gets the lock after {rest} ms only")) } else { Ok(()) }
}

/// What happens next where everybody does what they should, at once.
fn fair(rules: &Rules, world: &World) -> Action {
    let mut actions = rules.actions(world);
    actions.retain(|action| match action {
        Action::Arrive(_) | Action::Answered(_) | Action::TimeOut(_) | Action::Read(_) | Action::Release(_) => true,
        Action::Look(at) => matches!(world.clients[*at].phase, Phase::Waiting(Wait { look_at: 0, .. })),
        _ => false,
    });
    actions.first().copied().unwrap_or(Action::Pass)
}

fn way(ways: &[(usize, Action)], mut at: usize) -> Vec<Action> {
    let mut actions = Vec::new();
    while at > 0 {
        actions.push(ways[at].1);
        at = ways[at].0;
    }
    actions.reverse();
    actions
}

fn hash(world: &World) -> u64 {
    let mut hasher = DefaultHasher::new();
    world.hash(&mut hasher);
    hasher.finish()
}
