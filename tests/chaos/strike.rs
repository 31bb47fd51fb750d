use crate::{
    dice::Dice,
    fault::Fault,
    knock,
    stage::{PASSWORDS, Stage, USER, expect_ok},
};
use anyhow::{Context, Result, bail};
use kv_core::ErrorKind;
use kv_redis::RedisStore;
use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};
use xtask::{fixture::Proxy, resp::Reply};

/// A fault that has happened.
#[derive(Debug)]
pub(crate) struct Struck {
    /// From when on the servers answer, or others may take over.
    pub(crate) since: Instant,
    /// A server that is still down.
    down: Option<usize>,
    /// What the store has done that it must not.
    pub(crate) breach: Option<String>,
}

/// Does a fault, and returns when the servers could answer again.
pub(crate) async fn strike(stage: &Arc<Stage>, store: &RedisStore, fault: Fault, mut dice: Dice) -> Result<Struck> {
    if fault == Fault::Rotate {
        let [old, new] = PASSWORDS;
        rotate(stage, store, old, new).await?;
        rotate(stage, store, new, old).await?;
        return Ok(Struck { since: Instant::now(), down: None, breach: None });
    }
    blocking(stage, move |stage| break_it(stage, fault, &mut dice)).await
}

/// Makes good what the fault has left behind, and waits until the servers agree again.
pub(crate) async fn mend(stage: &Arc<Stage>, fault: Fault, struck: Struck) -> Result<()> {
    blocking(stage, move |stage| {
        if let Some(server) = struck.down.map(|down| stage.servers()[down]) {
            if fault == Fault::FreezeMaster { server.resume()? } else { server.restart()? }
        }
        // A replica that hears nothing behind its proxy would wait for long.
        if matches!(stage, Stage::Cluster(_)) && matches!(fault, Fault::HalfOpen | Fault::BlackHole(_)) {
            stage.proxies().into_iter().for_each(Proxy::cut);
        }
        stage.settle()
    })
    .await
}

pub(crate) async fn blocking<T: Send + 'static>(
    stage: &Arc<Stage>,
    work: impl FnOnce(&Stage) -> Result<T> + Send + 'static,
) -> Result<T> {
    let stage = stage.clone();
    tokio::task::spawn_blocking(move || work(&stage)).await?
}

fn break_it(stage: &Stage, fault: Fault, dice: &mut Dice) -> Result<Struck> {
    let (mut down, mut breach) = (None, None);
    let begun = Instant::now();
    let at = dice.pick(&stage.masters()?).context("there is no master")?;
    let server = stage.servers()[at];
    match fault {
        Fault::KillClients => kill_clients(stage)?,
        Fault::FlushScripts => everywhere(stage, &["SCRIPT", "FLUSH"])?,
        // Needs the store's help.
        Fault::Rotate => {}
        Fault::MaxClients(most, time) => {
            let mut admin = server.connect(Duration::from_secs(5))?;
            for command in [["CONFIG", "SET", "maxclients", &most.to_string()], ["CLIENT", "KILL", "USER", USER]] {
                if let Reply::Error(error) = admin.call(&command)? {
                    bail!("{}: {error}", command.join(" "));
                }
            }
            thread::sleep(time);
            admin.call(&["CONFIG", "SET", "maxclients", "10000"])?;
        }
        Fault::PauseClients(time) => {
            // Sentinels would think that it is dead.
            let what = if matches!(stage, Stage::Sentinel(_)) { "WRITE" } else { "ALL" };
            expect_ok(server, &["CLIENT", "PAUSE", &time.as_millis().to_string(), what])?;
            thread::sleep(time);
        }
        Fault::Restart(time) => {
            server.kill()?;
            thread::sleep(time);
            server.restart()?;
        }
        Fault::Freeze(time) => {
            server.pause()?;
            thread::sleep(time);
            server.resume()?;
        }
        Fault::Cut | Fault::HalfOpen | Fault::BlackHole(_) | Fault::Delay(..) | Fault::DropReply => {
            let mut proxies = stage.proxies();
            if !dice.one_in(3) {
                proxies = vec![proxies[at]];
            }
            breach = disturb(&proxies, fault)?;
        }
        Fault::KillMaster => {
            server.kill()?;
            down = Some(at);
        }
        Fault::FreezeMaster => {
            server.pause()?;
            down = Some(at);
        }
        Fault::FailOver => match stage {
            Stage::Cluster(cluster) => drop(cluster.fail_over(at)?),
            Stage::Sentinel(group) => drop(group.fail_over()?),
            Stage::One(..) | Stage::Tls(..) => {}
        },
        Fault::Reshard(slots) => reshard(stage, slots, dice)?,
    }
    Ok(Struck { since: if down.is_some() { begun } else { Instant::now() }, down, breach })
}

fn disturb(proxies: &[&Proxy], fault: Fault) -> Result<Option<String>> {
    let mut breach = None;
    match fault {
        Fault::Cut => proxies.iter().for_each(|proxy| proxy.cut()),
        Fault::HalfOpen => proxies.iter().for_each(|proxy| proxy.black_hole_existing()),
        Fault::DropReply => proxies.iter().for_each(|proxy| proxy.drop_next_reply()),
        Fault::BlackHole(time) => {
            proxies.iter().for_each(|proxy| proxy.black_hole());
            let before: Vec<usize> = proxies.iter().map(|proxy| proxy.accepted()).collect();
            thread::sleep(time);
            let knocks = proxies.iter().zip(before).map(|(proxy, before)| proxy.accepted() - before);
            breach = knocks.max().and_then(|most| knock::judge(most, time));
        }
        Fault::Delay(delay, time) => {
            proxies.iter().for_each(|proxy| proxy.delay(delay));
            thread::sleep(time);
        }
        _ => {}
    }
    if matches!(fault, Fault::BlackHole(_) | Fault::Delay(..)) {
        proxies.iter().try_for_each(|proxy| proxy.pass())?;
    }
    Ok(breach)
}

fn everywhere(stage: &Stage, command: &[&str]) -> Result<()> {
    stage.servers().into_iter().try_for_each(|server| expect_ok(server, command))
}

/// The connections of the store, and nobody else's: those of sentinels and replicas go on.
fn kill_clients(stage: &Stage) -> Result<()> {
    everywhere(stage, &["CLIENT", "KILL", "USER", USER])
}

/// Has the store use another password, while connections are opened.
async fn rotate(stage: &Arc<Stage>, store: &RedisStore, old: &'static str, new: &'static str) -> Result<()> {
    blocking(stage, move |stage| {
        everywhere(stage, &["ACL", "SETUSER", USER, &format!(">{new}")])?;
        kill_clients(stage)
    })
    .await?;
    match store.set_credentials(Some(USER), new).await {
        // One of the connections that have just been killed.
        Err(error) if error.kind() == ErrorKind::Auth => bail!("the new password is refused: {error}"),
        _ => {}
    }
    blocking(stage, move |stage| {
        everywhere(stage, &["ACL", "SETUSER", USER, &format!("<{old}")])?;
        kill_clients(stage)
    })
    .await
}

/// Moves slots that are in use to another master, and back.
fn reshard(stage: &Stage, slots: u64, dice: &mut Dice) -> Result<()> {
    let Stage::Cluster(cluster) = stage else { return Ok(()) };
    for _ in 0..slots {
        let kinds = ["counter:own", "counter:shared", "register", "queue"];
        let key = format!("{}:{}", dice.pick(&kinds).unwrap_or_default(), dice.below(4));
        let slot = cluster.slot_of(&key)?;
        let from = cluster.owner_of(slot)?;
        let others: Vec<usize> = cluster.masters()?.into_iter().filter(|at| *at != from).collect();
        let to = dice.pick(&others).context("there is one master only")?;
        cluster.move_slots(slot..=slot, from, to)?;
        cluster.move_slots(slot..=slot, to, from)?;
    }
    Ok(())
}
