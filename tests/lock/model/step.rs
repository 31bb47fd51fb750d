use super::{
    client::{Asked, Hold, Phase, Wait},
    mutant::Mutant,
    rules::Rules,
    server::{CLAIM, Keys, LEASE, Letter, Request, Token},
    world::{Action, Sent, World},
};

impl Rules {
    /// The world after an action, or what must not be in it.
    pub(super) fn step(&mut self, world: &World, action: Action) -> Result<World, String> {
        let mut next = world.clone();
        let fault = |next: &mut World| next.faults = next.faults.saturating_sub(1);
        match action {
            Action::Start(at) => next.start(at),
            Action::Arrive(at) => {
                let sent = next.sent.remove(at);
                self.arrive(&mut next, sent)?;
            }
            Action::LoseRequest(at) => {
                fault(&mut next);
                next.sent.remove(at);
            }
            Action::Answered(at) => self.answered(&mut next, at),
            Action::TimeOut(at) => {
                if !world.is_unanswerable(at) {
                    fault(&mut next);
                }
                match &mut next.clients[at].phase {
                    Phase::Waiting(wait) => {
                        *wait = Wait { in_line: true, look_at: CLAIM / 4, asked: None, ..wait.clone() };
                    }
                    Phase::Holding(hold) => (hold.asked, hold.renew_at) = (None, CLAIM / 4),
                    Phase::Idle | Phase::Crashed => {}
                }
                next.forget_asked(at);
            }
            Action::Read(at) => {
                let letter = next.letters.remove(at);
                self.read(&mut next, letter);
            }
            Action::LoseLetter(at) => {
                fault(&mut next);
                next.letters.remove(at);
            }
            Action::Look(at) => {
                if let Phase::Waiting(wait) = &world.clients[at].phase {
                    next.ask(at, wait);
                }
            }
            Action::Renew(at) => {
                if let Phase::Holding(hold) = &world.clients[at].phase {
                    next.renew(at, hold);
                }
            }
            Action::PassOn(at) => {
                if let Phase::Holding(hold) = &mut next.clients[at].phase {
                    hold.fence += 1;
                }
            }
            Action::Release(at) => next.leave(at),
            Action::Cancel(at) => {
                fault(&mut next);
                next.leave(at);
            }
            Action::Crash(at) => {
                fault(&mut next);
                // The server has not noticed if it cannot know.
                let listens = !self.server.knows();
                next.crash(at, listens);
            }
            Action::Pass => {
                let time = next.next_instant(|at| self.reckoning(at)).unwrap_or_default();
                next.pass(time);
            }
        }
        next.tidy();
        judge(&mut next)?;
        Ok(next)
    }

    fn arrive(&mut self, world: &mut World, sent: Sent) -> Result<(), String> {
        let Sent { client, awaited, request } = sent;
        self.server.hear(world.clients.iter().map(|client| client.listens));
        let (keys, answer, letters) = self.server.step(&world.keys, request, self.mutant);
        self.judge_order(world, &keys, request)?;
        world.keys = keys;
        world.letters.extend(letters);
        let client = &mut world.clients[usize::from(client)];
        let asked = match &mut client.phase {
            Phase::Waiting(wait) => &mut wait.asked,
            Phase::Holding(hold) => &mut hold.asked,
            Phase::Idle | Phase::Crashed => return Ok(()),
        };
        if let Some(asked) = asked.as_mut().filter(|_| awaited) {
            asked.answer = Some(answer);
        }
        Ok(())
    }

    fn answered(&self, world: &mut World, at: usize) {
        let phase = world.clients[at].phase.clone();
        let (Phase::Waiting(Wait { asked, .. }) | Phase::Holding(Hold { asked, .. })) = &phase else {
            return;
        };
        let Some(Asked { sent, answer: Some(answer) }) = *asked else { return };
        let reckoning = self.reckoning(at);
        match phase {
            Phase::Waiting(wait) => match reckoning.answered(&wait, sent, answer) {
                Some(next) => world.clients[at].phase = next,
                None if self.mutant == Mutant::TicketsReturn => {
                    world.ask(at, &Wait { in_line: false, sent, look_at: 0, asked: None });
                }
                None => {
                    world.clients[at].serial += 1;
                    world.ask(at, &Wait { in_line: false, sent, look_at: 0, asked: None });
                }
            },
            Phase::Holding(hold) => match reckoning.renewed(&hold, sent, answer) {
                Some(hold) => world.clients[at].phase = Phase::Holding(hold),
                None => world.end(at),
            },
            Phase::Idle | Phase::Crashed => {}
        }
    }

    fn read(&self, world: &mut World, letter: Letter) {
        let at = usize::from(letter.token.client);
        let Phase::Waiting(wait) = world.clients[at].phase.clone() else { return };
        match self.reckoning(at).granted(&wait, letter) {
            Some(hold) => world.clients[at].phase = Phase::Holding(hold),
            None => world.ask(at, &wait),
        }
    }

    /// Who gets the lock is the first in line who is there, and nobody loses a place.
    fn judge_order(&self, world: &World, after: &Keys, request: Request) -> Result<(), String> {
        let before = &world.keys;
        if let Request::Extend { token } | Request::Release { token, .. } = request
            && before.owner != after.owner
            && before.owner.is_none_or(|(owner, _)| owner != token)
        {
            return Err(format!("{request:?} changes what is not its own"));
        }
        let (asker, gives) = match request {
            Request::Acquire { token, .. } => (Some(token), before.owner.is_none()),
            Request::Release { token, .. } => (None, before.owner.is_some_and(|(owner, _)| owner == token)),
            Request::Extend { .. } => (None, false),
        };
        let mut line = before.line.iter().filter(|ticket| self.server.is_live(**ticket) || Some(**ticket) == asker);
        let first: Option<Token> = line.next().copied().or(asker);
        let owner = after.owner.map(|(owner, _)| owner);
        if gives && owner != first {
            return Err(format!("{first:?} is the first, and {owner:?} has the lock"));
        }
        let leaver = match request {
            Request::Release { token, .. } => Some(token),
            Request::Acquire { .. } | Request::Extend { .. } => None,
        };
        let stay = before.line.iter().filter(|ticket| {
            let served = gives && Some(**ticket) == owner;
            !served && self.server.is_live(**ticket) && Some(**ticket) != leaver
        });
        let mut left = after.line.iter();
        for ticket in stay {
            if !left.any(|other| other == ticket) {
                return Err(format!("{ticket:?} has lost its place"));
            }
        }
        match after.owner {
            Some((_, left)) if left > LEASE => Err(format!("a lease of {left} ms")),
            _ => Ok(()),
        }
    }
}

/// At most one holder, and none after one with a larger number.
fn judge(world: &mut World) -> Result<(), String> {
    let mut valid = world.clients.iter().enumerate().filter(|(_, client)| client.is_valid());
    let Some((at, client)) = valid.next() else { return Ok(()) };
    if let Some((other, _)) = valid.next() {
        return Err(format!("{at} and {other} hold the lock"));
    }
    let Phase::Holding(hold) = &client.phase else { return Ok(()) };
    let (newest, by) = world.newest;
    if hold.fence < newest || (hold.fence == newest && usize::from(by) != at) {
        return Err(format!("{at} holds the lock with {}, after {by} with {newest}", hold.fence));
    }
    world.newest = (hold.fence, at as u8);
    Ok(())
}
