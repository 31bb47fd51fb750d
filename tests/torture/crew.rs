use crate::{
    ask::Ask,
    dice::Dice,
    event::{Event, Micros, now},
    worker::{LONGEST, ROLE},
};
use anyhow::{Context, Result, ensure};
use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    process::{Child, ChildStdout, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// The workers, one process each.
#[derive(Debug)]
pub(crate) struct Crew {
    url: String,
    members: Vec<Member>,
    lives: Vec<Life>,
    asks: Arc<Mutex<Asks>>,
    /// What processes did that they must not.
    pub(crate) breaches: Vec<String>,
}

/// By the number of the process, and that of the acquisition in it.
pub(crate) type Asks = BTreeMap<(usize, u64), Ask>;

#[derive(Debug)]
struct Member {
    child: Child,
    /// The number of its life.
    life: usize,
    ear: JoinHandle<()>,
}

/// What a process went through.
#[derive(Clone, Debug, Default)]
pub(crate) struct Life {
    pub(crate) ended: Micros,
    /// From when to when it stood still.
    pub(crate) stops: Vec<(Micros, Micros)>,
}

impl Life {
    /// For how long it stood still in between.
    pub(crate) fn stood_still(&self, from: Micros, to: Micros) -> Micros {
        self.stops.iter().map(|(since, until)| (to.min(*until) - from.max(*since)).max(0)).sum()
    }
}

impl Crew {
    pub(crate) fn start(url: String, count: usize, dice: &mut Dice) -> Result<Self> {
        let mut crew = Self { url, members: Vec::new(), lives: Vec::new(), asks: Arc::default(), breaches: Vec::new() };
        for _ in 0..count {
            let member = crew.hire(dice)?;
            crew.members.push(member);
        }
        Ok(crew)
    }

    fn hire(&mut self, dice: &mut Dice) -> Result<Member> {
        let life = self.lives.len();
        self.lives.push(Life { ended: Micros::MAX, stops: Vec::new() });
        let mut child = Command::new(std::env::current_exe()?)
            .args([ROLE, &self.url, &dice.next().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("a worker does not start")?;
        let told = child.stdout.take().context("a worker has no output")?;
        let asks = self.asks.clone();
        let ear = thread::spawn(move || listen(life, told, &asks));
        Ok(Member { child, life, ear })
    }

    pub(crate) fn count(&self) -> u64 {
        self.members.len() as u64
    }

    /// Kills a process as nothing in it can prevent, and starts another.
    pub(crate) fn replace(&mut self, at: usize, dice: &mut Dice) -> Result<()> {
        let next = self.hire(dice)?;
        let member = std::mem::replace(&mut self.members[at], next);
        self.kill(member)
    }

    fn kill(&mut self, mut member: Member) -> Result<()> {
        if let Some(status) = member.child.try_wait()? {
            self.breaches.push(format!("a worker ends by itself: {status}"));
        }
        member.child.kill()?;
        member.child.wait()?;
        self.lives[member.life].ended = now();
        // What was said before is heard.
        let _ = member.ear.join();
        Ok(())
    }

    /// Has a process stand still for a while.
    pub(crate) fn stop(&mut self, at: usize, time: Duration) -> Result<()> {
        let Member { child, life, .. } = &self.members[at];
        let (pid, life) = (child.id(), *life);
        let since = now();
        signal(pid, "-STOP")?;
        thread::sleep(time);
        signal(pid, "-CONT")?;
        self.lives[life].stops.push((since, now()));
        Ok(())
    }

    /// Half of them end in order, then the others by force.
    pub(crate) fn end(&mut self) -> Result<(Vec<Life>, Asks)> {
        let mut members = std::mem::take(&mut self.members);
        let rest = members.split_off(members.len() / 2);
        for member in &mut members {
            drop(member.child.stdin.take());
        }
        let begun = Instant::now();
        for mut member in members {
            let status = loop {
                match member.child.try_wait()? {
                    Some(status) => break status,
                    None if begun.elapsed() > LONGEST => {
                        break member.child.kill().and_then(|()| member.child.wait())?;
                    }
                    None => thread::sleep(Duration::from_millis(5)),
                }
            };
            if !status.success() {
                self.breaches.push(format!("a worker does not end well: {status}"));
            }
            self.lives[member.life].ended = now();
            let _ = member.ear.join();
        }
        for member in rest {
            self.kill(member)?;
        }
        let asks = std::mem::take(&mut *self.asks.lock().unwrap_or_else(PoisonError::into_inner));
        Ok((self.lives.clone(), asks))
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        for member in &mut self.members {
            let _ = member.child.kill();
            let _ = member.child.wait();
        }
    }
}

fn listen(life: usize, told: ChildStdout, asks: &Mutex<Asks>) {
    for line in BufReader::new(told).lines().map_while(Result::ok) {
        // A killed process may leave half a line.
        let Ok(event) = line.parse::<Event>() else { continue };
        let mut asks = asks.lock().unwrap_or_else(PoisonError::into_inner);
        asks.entry((life, event.ask)).or_insert_with(|| Ask { worker: life, ..Ask::default() }).hear(event);
    }
}

fn signal(pid: u32, signal: &str) -> Result<()> {
    let status = Command::new("kill").args([signal, &pid.to_string()]).status()?;
    ensure!(status.success(), "kill {signal} {pid}: {status}");
    Ok(())
}
