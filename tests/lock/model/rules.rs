use super::{
    client::{Asked, Phase, Reckoning, Wait},
    mutant::Mutant,
    server::Server,
    world::{Action, World},
};

/// What may happen in a world, and what must not.
pub(super) struct Rules {
    pub(super) server: Server,
    pub(super) mutant: Mutant,
    /// Which things may go wrong.
    pub(super) may: fn(Action) -> bool,
    /// The client whose clock is slow.
    pub(super) slow: Option<usize>,
    /// Whether requests that nobody waits for any more may come after later ones, as they do over a new connection.
    pub(super) reorders: bool,
}

impl Rules {
    pub(super) fn reckoning(&self, client: usize) -> Reckoning {
        Reckoning { slow: self.slow == Some(client), mutant: self.mutant }
    }

    pub(super) fn actions(&self, world: &World) -> Vec<Action> {
        let mut actions = Vec::new();
        let may_fail = world.faults > 0;
        for (at, client) in world.clients.iter().enumerate() {
            let times_out = may_fail || world.is_unanswerable(at);
            match &client.phase {
                Phase::Idle if client.turns > 0 => actions.push(Action::Start(at)),
                Phase::Waiting(Wait { asked: None, look_at: 0, .. }) if self.mutant != Mutant::NobodyLooks => {
                    actions.push(Action::Look(at));
                }
                Phase::Waiting(Wait { asked, .. }) => {
                    actions.extend(answered(asked, at, times_out));
                }
                Phase::Holding(hold) => {
                    actions.push(Action::Release(at));
                    actions.extend(answered(&hold.asked, at, times_out));
                    let others = [
                        (hold.asked.is_none() && hold.renew_at == 0, Action::Renew(at)),
                        (hold.valid_for > 0 && hold.fence < hold.last, Action::PassOn(at)),
                    ];
                    actions.extend(others.iter().filter(|(may, _)| *may).map(|(_, action)| *action));
                }
                Phase::Idle | Phase::Crashed => {}
            }
            if may_fail {
                actions.extend(matches!(client.phase, Phase::Waiting(_)).then_some(Action::Cancel(at)));
                let undecided = matches!(client.phase, Phase::Waiting(_) | Phase::Holding(_));
                actions.extend(undecided.then_some(Action::Crash(at)));
            }
        }
        for (at, sent) in world.sent.iter().enumerate() {
            let is_next = at == 0 || world.sent[at - 1].client != sent.client;
            actions.extend((is_next || self.reorders).then_some(Action::Arrive(at)));
            actions.extend(may_fail.then_some(Action::LoseRequest(at)));
        }
        for (at, letter) in world.letters.iter().enumerate() {
            let reads = matches!(&world.clients[usize::from(letter.token.client)].phase, Phase::Waiting(wait) if wait.asked.is_none());
            actions.extend(reads.then_some(Action::Read(at)));
            actions.extend(may_fail.then_some(Action::LoseLetter(at)));
        }
        actions.push(Action::Pass);
        actions.retain(|action| !self.is_fault(world, *action) || (self.may)(*action));
        actions
    }
}

impl Rules {
    fn is_fault(&self, world: &World, action: Action) -> bool {
        match action {
            Action::LoseRequest(_) | Action::LoseLetter(_) | Action::Cancel(_) | Action::Crash(_) => true,
            Action::TimeOut(at) => !world.is_unanswerable(at),
            _ => false,
        }
    }
}

fn answered(asked: &Option<Asked>, client: usize, times_out: bool) -> Option<Action> {
    match asked.as_ref()?.answer {
        Some(_) => Some(Action::Answered(client)),
        None => times_out.then_some(Action::TimeOut(client)),
    }
}
