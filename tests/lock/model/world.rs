use super::{
    client::{Asked, Client, Hold, Phase, Reckoning, Wait},
    server::{Keys, LEASE, Letter, Millis, Request, Token},
};

/// Everything there is at one moment; two that differ by nothing that matters are equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct World {
    pub(super) keys: Keys,
    pub(super) clients: Vec<Client>,
    /// On their way to the server: by client, in the order they were sent.
    pub(super) sent: Vec<Sent>,
    pub(super) letters: Vec<Letter>,
    /// How much may still go wrong.
    pub(super) faults: u8,
    /// The last who held the lock and did not doubt it.
    pub(super) newest: (i64, u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Sent {
    pub(super) client: u8,
    /// Whether anybody waits for the answer.
    pub(super) awaited: bool,
    pub(super) request: Request,
}

/// What may happen next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Start(usize),
    /// A request comes to the server.
    Arrive(usize),
    /// A request never comes.
    LoseRequest(usize),
    Answered(usize),
    /// The client waits for the answer no more; the request may come all the same.
    TimeOut(usize),
    Read(usize),
    LoseLetter(usize),
    Look(usize),
    Renew(usize),
    /// Another task of the holder's process takes over.
    PassOn(usize),
    Release(usize),
    Cancel(usize),
    Crash(usize),
    /// Time passes until something may happen that could not before.
    Pass,
}

impl World {
    pub(super) fn new(turns: &[u8], faults: u8) -> Self {
        let keys = Keys::default();
        let newest = (keys.fence, u8::MAX);
        let clients = turns.iter().map(|turns| Client::new(*turns)).collect();
        Self { keys, clients, sent: Vec::new(), letters: Vec::new(), faults, newest }
    }

    pub(super) fn token(&self, client: usize) -> Token {
        Token { client: client as u8, serial: self.clients[client].serial }
    }

    fn send(&mut self, client: usize, awaited: bool, request: Request) {
        self.sent.push(Sent { client: client as u8, awaited, request });
    }

    /// Sends the question of one who waits.
    pub(super) fn ask(&mut self, client: usize, wait: &Wait) {
        let request = Request::Acquire { token: self.token(client), waits: true, is_old: wait.in_line };
        self.send(client, true, request);
        self.clients[client].phase = Phase::Waiting(Wait { asked: Asked::now(), ..*wait });
    }

    pub(super) fn start(&mut self, client: usize) {
        self.clients[client].turns -= 1;
        self.clients[client].serial += 1;
        self.ask(client, &Wait { in_line: false, sent: 0, look_at: 0, asked: None });
    }

    pub(super) fn renew(&mut self, client: usize, hold: &Hold) {
        self.send(client, true, Request::Extend { token: self.token(client) });
        self.clients[client].phase = Phase::Holding(Hold { asked: Asked::now(), ..*hold });
    }

    /// Gives back what it has or waits for.
    pub(super) fn leave(&mut self, client: usize) {
        let leaves_line = matches!(self.clients[client].phase, Phase::Waiting(_));
        self.send(client, false, Request::Release { token: self.token(client), leaves_line });
        self.end(client);
    }

    pub(super) fn end(&mut self, client: usize) {
        self.clients[client].phase = Phase::Idle;
        self.forget_asked(client);
    }

    pub(super) fn crash(&mut self, client: usize, listens: bool) {
        self.clients[client].phase = Phase::Crashed;
        self.clients[client].listens = listens;
        self.forget_asked(client);
    }

    /// Nobody waits for what this client has asked.
    pub(super) fn forget_asked(&mut self, client: usize) {
        for sent in self.sent.iter_mut().filter(|sent| usize::from(sent.client) == client) {
            sent.awaited = false;
        }
    }

    /// Whether no answer can come to what a client has asked.
    pub(super) fn is_unanswerable(&self, client: usize) -> bool {
        !self.sent.iter().any(|sent| sent.awaited && usize::from(sent.client) == client)
    }

    /// How long until something may happen that could not before.
    pub(super) fn next_instant(&self, reckoning: impl Fn(usize) -> Reckoning) -> Option<Millis> {
        let mut instants: Vec<Millis> = self.keys.owner.iter().map(|(_, left)| left + 1).collect();
        for (at, client) in self.clients.iter().enumerate() {
            match &client.phase {
                Phase::Waiting(wait) => {
                    instants.push(wait.look_at);
                    // The last moment a letter is good for.
                    let is_told = self.letters.iter().any(|letter| usize::from(letter.token.client) == at);
                    instants.extend(is_told.then(|| reckoning(at).heeds_letters(wait) - 1));
                }
                Phase::Holding(hold) => instants.extend([hold.valid_for, hold.renew_at]),
                Phase::Idle | Phase::Crashed => {}
            }
        }
        instants.into_iter().filter(|instant| *instant > 0).min()
    }

    pub(super) fn pass(&mut self, time: Millis) {
        self.clients.iter_mut().for_each(|client| client.pass(time));
        self.keys.owner = self.keys.owner.map(|(owner, left)| (owner, left - time)).filter(|(_, left)| *left >= 0);
        self.keys.marked &= self.keys.owner.is_some();
    }

    /// Makes equal what differs by nothing that matters.
    pub(super) fn tidy(&mut self) {
        let clients = &self.clients;
        // Nobody opens them any more.
        self.letters.retain(|letter| clients[usize::from(letter.token.client)].waits_for(letter.token));
        self.letters.sort_unstable();
        self.letters.dedup();
        // Stable: what one client sends stays in order.
        self.sent.sort_by_key(|sent| sent.client);
    }

    /// Whether nobody can still want or have anything.
    pub(super) fn is_waited_for(&self) -> bool {
        self.clients.iter().any(|client| matches!(client.phase, Phase::Waiting(_)))
    }

    /// For how long those who are gone may keep the lock from one who waits.
    pub(super) fn patience(&self) -> Millis {
        // One who has it, everybody else in line or on the way there, and the pauses between looks.
        2 * LEASE * (1 + self.keys.line.len() + self.sent.len()) as Millis
    }
}
