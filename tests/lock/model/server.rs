use super::mutant::Mutant;
use kv_core::{Arg, Clock, MemoryStore, PubSub, Reply, Result, Script, ScriptStore, Subscription, TwinContext};
use redis_lock::SCRIPTS;
use std::{
    collections::VecDeque,
    pin::pin,
    task::{Context, Poll, Waker},
};

pub(super) type Millis = i64;

pub(super) const LEASE: Millis = 400;
pub(super) const CLAIM: Millis = 200;
/// More than one, so that tasks of a holder have numbers of their own.
pub(super) const RESERVE: i64 = 2;
/// As if there had been holders before: a new counter begins at the time of day.
const FIRST_FENCE: i64 = 1000;

/// Who asks, and for the how manieth time under a new name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Token {
    pub(super) client: u8,
    pub(super) serial: u8,
}

/// What the keys of the lock hold, with times from now on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Keys {
    /// The owner, and for how many milliseconds after this one.
    pub(super) owner: Option<(Token, Millis)>,
    /// Whether the owner is told that somebody may wait.
    pub(super) marked: bool,
    /// The counter as it is, marked too.
    pub(super) fence: i64,
    pub(super) line: Vec<Token>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Request {
    Acquire { token: Token, waits: bool, is_old: bool },
    Extend { token: Token },
    Release { token: Token, leaves_line: bool },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Answer {
    Ours(i64),
    Held(Option<Millis>),
    Passed,
    Found(i64),
}

/// The word that the lock was granted, on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Letter {
    pub(super) token: Token,
    pub(super) last: i64,
}

/// The scripts' twins, run on whatever the keys hold in a state.
pub(super) struct Server {
    store: MemoryStore,
    post: Subscription,
    listeners: Vec<Option<Subscription>>,
    /// Whether it knows everybody who listens.
    knows: bool,
}

impl Default for Keys {
    fn default() -> Self {
        Self { owner: None, marked: false, fence: FIRST_FENCE, line: Vec::new() }
    }
}

impl Server {
    pub(super) fn new(knows: bool) -> Self {
        let store = MemoryStore::with_clock(Clock::manual(1_000_000_000_000));
        let post = at_once(store.psubscribe(&["mailbox:*"])).unwrap();
        Self { store, post, listeners: Vec::new(), knows }
    }

    pub(super) fn knows(&self) -> bool {
        self.knows
    }

    /// Who listens from now on.
    pub(super) fn hear(&mut self, listening: impl Iterator<Item = bool>) {
        for (client, listens) in listening.enumerate() {
            if self.listeners.len() == client {
                self.listeners.push(None);
            }
            if listens != self.listeners[client].is_some() {
                let channel = format!("mailbox:{client}");
                self.listeners[client] = listens.then(|| at_once(self.store.subscribe(&[&channel])).unwrap());
            }
        }
    }

    /// Whether a ticket's owner may be there, as far as the server can know.
    pub(super) fn is_live(&self, ticket: Token) -> bool {
        !self.knows || self.listeners[usize::from(ticket.client)].is_some()
    }

    pub(super) fn step(&mut self, keys: &Keys, request: Request, mutant: Mutant) -> (Keys, Answer, Vec<Letter>) {
        let (mut before, mut asked) = (keys.clone(), request);
        mutant.before(&mut before, &mut asked);
        let (mut after, answer) = self.run(&before, asked);
        let mut letters = Vec::new();
        while let Some(Some(message)) = poll_once(self.post.next_message()) {
            let text = String::from_utf8(message.payload.to_vec()).unwrap();
            let (token, last) = text.split_once(':').unwrap();
            letters.push(Letter { token: parse(token), last: last.parse().unwrap() });
        }
        mutant.after(keys, &mut after, &mut letters);
        (after, answer, letters)
    }

    fn run(&self, keys: &Keys, request: Request) -> (Keys, Answer) {
        let text = |token: Token| format!("{:02x}{:02x}/", token.client, token.serial);
        let knows = u8::from(self.knows);
        let ticket = |token: Token| format!("{}:{CLAIM}:{RESERVE}:{knows}:mailbox:{}", text(token), token.client);
        let mark = if keys.marked { "*" } else { "" };
        let (owner, left) = keys.owner.map_or((String::new(), 0), |(owner, left)| (text(owner) + mark, left));
        let line = keys.line.iter().map(|token| ticket(*token)).collect::<Vec<_>>().join(" ");
        let (script, token, ticket) = match request {
            Request::Acquire { token, waits, .. } => (0, token, waits.then(|| ticket(token))),
            Request::Extend { token } => (1, token, None),
            Request::Release { token, leaves_line } => (3, token, leaves_line.then(|| ticket(token))),
        };
        let token = if token == Mutant::ANYBODY { String::new() } else { text(token) };
        let token = Arg::from(&*token);
        let mut args = match request {
            Request::Acquire { .. } => vec![token, LEASE.into(), RESERVE.into()],
            Request::Extend { .. } => vec![token, LEASE.into()],
            Request::Release { .. } => vec![token],
        };
        args.extend(ticket.as_deref().map(Arg::from));
        args.extend(matches!(request, Request::Acquire { is_old: true, .. }).then_some(Arg::Int(1)));
        let state = [script.into(), Arg::from(&*owner), left.into(), keys.fence.into(), Arg::from(&*line)];
        let reply = at_once(self.store.run(&STEP, &["lock", "fence", "line"], &[&state[..], &args].concat())).unwrap();
        let Ok([answer, Reply::Bytes(owner), Reply::Int(left), Reply::Int(fence), Reply::Bytes(line)]) =
            <[Reply; 5]>::try_from(reply.into_array("step").unwrap())
        else {
            panic!("what the step returns")
        };
        let words =
            |bytes: &[u8]| -> Vec<Token> { String::from_utf8_lossy(bytes).split_whitespace().map(parse).collect() };
        let marked = owner.ends_with(b"*");
        let owner = words(&owner).first().map(|owner| (*owner, left));
        let answer = match (script, answer) {
            (0, Reply::Nil) => Answer::Passed,
            (0, Reply::Int(last @ 1..)) => Answer::Ours(last),
            (0, Reply::Int(held)) => Answer::Held((held < 0).then(|| -1 - held)),
            (_, Reply::Int(found)) => Answer::Found(found),
            (_, answer) => panic!("{answer:?}"),
        };
        (Keys { owner, marked, fence, line: words(&line) }, answer)
    }
}

fn parse(ticket: &str) -> Token {
    let byte = |at: usize| u8::from_str_radix(&ticket[at..at + 2], 16).unwrap();
    Token { client: byte(0), serial: byte(2) }
}

/// Puts a state under the keys, runs the twin of a script, and says what there is after it.
static STEP: Script = Script::new("test/step", "return redis.error_reply('for the twins only')", step);

fn step(store: &mut TwinContext<'_>, keys: &[&str], args: &[Arg<'_>]) -> Result<Reply> {
    type Line = VecDeque<Box<str>>;
    let text = |arg: Arg<'_>| String::from_utf8_lossy(&arg.to_bytes()).into_owned();
    let (script, owner, left, fence, line) =
        (args[0].to_int()?, text(args[1]), args[2].to_int()?, args[3].to_int()?, text(args[4]));
    for key in keys {
        store.delete(key);
    }
    if !owner.is_empty() {
        store.set(keys[0], owner, Some(left));
    }
    store.set(keys[1], fence.to_string(), None);
    let line: Line = line.split_whitespace().map(Into::into).collect();
    if !line.is_empty() {
        store.set_state(keys[2], line, Some(30_000));
    }
    let name = ["redis-lock/acquire", "redis-lock/extend", "", "redis-lock/release"]
        [usize::try_from(script).unwrap_or_default()];
    let script = SCRIPTS.iter().find(|script| script.name() == name).expect("a script of ours");
    let used = if script.name().ends_with("extend") { &keys[..1] } else { keys };
    let answer = script.twin()(store, used, &args[5..])?;
    let owner = store.get(keys[0])?.unwrap_or_default();
    let line = store.state::<Line>(keys[2])?.map(|line| Vec::from(line.clone()).join(" ")).unwrap_or_default();
    let left = store.pttl(keys[0]);
    let fence = store.integer(keys[1])?.unwrap_or_default();
    Ok(Reply::Array(vec![answer, Reply::Bytes(owner), Reply::Int(left), Reply::Int(fence), Reply::Bytes(line.into())]))
}

fn poll_once<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => Some(done),
        Poll::Pending => None,
    }
}

fn at_once<T>(future: impl Future<Output = T>) -> T {
    poll_once(future).expect("memory does not wait")
}
