use crate::{
    Subject,
    dice::Dice,
    moment::{Micros, now},
    worker::{LONGEST, ROLE},
};
use anyhow::{Context, Result, ensure};
use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// Hears each line that the process of this number tells.
pub(crate) type Ear = Arc<dyn Fn(usize, &str) + Send + Sync>;

/// The workers, one process each.
pub(crate) struct Crew {
    subject: Subject,
    urls: Vec<String>,
    members: Vec<Member>,
    lives: Vec<Life>,
    ear: Ear,
    /// What processes did that they must not.
    pub(crate) breaches: Vec<String>,
}

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
    pub(crate) fn start(subject: Subject, urls: Vec<String>, count: usize, ear: Ear, dice: &mut Dice) -> Result<Self> {
        let mut crew = Self { subject, urls, members: Vec::new(), lives: Vec::new(), ear, breaches: Vec::new() };
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
            .args([ROLE, self.subject.name(), &dice.next().to_string()])
            .args(&self.urls)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("a worker does not start")?;
        let told = child.stdout.take().context("a worker has no output")?;
        let ear = self.ear.clone();
        let ear =
            thread::spawn(move || BufReader::new(told).lines().map_while(Result::ok).for_each(|line| ear(life, &line)));
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
    pub(crate) fn end(&mut self) -> Result<Vec<Life>> {
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
        Ok(self.lives.clone())
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

fn signal(pid: u32, signal: &str) -> Result<()> {
    let status = Command::new("kill").args([signal, &pid.to_string()]).status()?;
    ensure!(status.success(), "kill {signal} {pid}: {status}");
    Ok(())
}
