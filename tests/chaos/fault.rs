use crate::{dice::Dice, topology::Topology};
use std::{fmt, time::Duration};

/// Something that goes wrong, with all that chance has to say about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// `CLIENT KILL` of all our connections, on every server.
    KillClients,
    FlushScripts,
    /// Another password, and the first again, with connections killed in between.
    Rotate,
    /// No more connections than this for a moment, and those there are killed.
    MaxClients(u64, Duration),
    /// `CLIENT PAUSE`.
    PauseClients(Duration),
    /// `kill -9`, and started again.
    Restart(Duration),
    /// SIGSTOP, and SIGCONT.
    Freeze(Duration),
    /// All connections closed by the network.
    Cut,
    /// The network forgets the connections there are; new ones work.
    HalfOpen,
    BlackHole(Duration),
    Delay(Duration, Duration),
    DropReply,
    /// `kill -9`, until a replica has taken over.
    KillMaster,
    /// SIGSTOP, until a replica has taken over.
    FreezeMaster,
    /// A planned failover.
    FailOver,
    /// Slots with keys in them, to another master and back.
    Reshard(u64),
}

impl Fault {
    /// Every kind of fault a topology knows, drawn once.
    fn all(topology: Topology, dice: &mut Dice) -> Vec<Self> {
        let anywhere = [
            Self::KillClients,
            Self::FlushScripts,
            Self::Rotate,
            Self::MaxClients(1 + dice.below(4), dice.millis(50..300)),
            Self::PauseClients(dice.millis(100..400)),
            // Shorter than any deadline, and than what makes a replica take over.
            Self::Freeze(dice.millis(50..350)),
        ];
        let network = [
            Self::Cut,
            Self::HalfOpen,
            Self::BlackHole(dice.millis(200..1_200)),
            Self::Delay(dice.millis(5..100), dice.millis(200..600)),
            Self::DropReply,
        ];
        let alone = [
            Self::Restart(dice.millis(0..300)),
            Self::PauseClients(dice.millis(600..900)),
            Self::Freeze(dice.millis(600..1_500)),
        ];
        let group = [Self::KillMaster, Self::FreezeMaster, Self::FailOver];
        let mut all = anywhere.to_vec();
        match topology {
            Topology::Standalone | Topology::Tls | Topology::Pool => all.extend(network.into_iter().chain(alone)),
            Topology::Cluster => {
                all.extend(network.into_iter().chain(group));
                all.extend([Self::Restart(dice.millis(0..300)), Self::Reshard(1 + dice.below(6))]);
            }
            Topology::Sentinel => all.extend(group),
        }
        all
    }

    /// Faults without end: each kind before any kind again.
    pub(crate) fn plan(topology: Topology, mut dice: Dice) -> impl Iterator<Item = Self> {
        std::iter::repeat_with(move || {
            let mut round = Self::all(topology, &mut dice);
            dice.shuffle(&mut round);
            round
        })
        .flatten()
    }

    /// Whether a replica may take over, and with it a write be lost that it has not heard of.
    pub(crate) fn may_lose(self, topology: Topology) -> bool {
        let replicated = matches!(topology, Topology::Cluster | Topology::Sentinel);
        let stops = match self {
            Self::Restart(_) | Self::Freeze(_) | Self::KillMaster | Self::FreezeMaster => true,
            // A replica of a cluster waits for what its master still has to say; those of sentinels do not.
            Self::FailOver => topology == Topology::Sentinel,
            _ => false,
        };
        replicated && stops
    }

    /// How soon a call has to succeed: after the fault, or after its beginning when a replica takes over.
    pub(crate) fn limit(self, topology: Topology) -> Duration {
        match self {
            Self::KillMaster | Self::FreezeMaster => Duration::from_secs(5),
            // A master that comes back to its cluster refuses everything for two seconds.
            Self::Restart(_) if topology == Topology::Cluster => Duration::from_secs(5),
            _ => Duration::from_secs(1),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KillClients => f.write_str("client kill"),
            Self::FlushScripts => f.write_str("script flush"),
            Self::Rotate => f.write_str("password rotated twice"),
            Self::MaxClients(most, time) => write!(f, "at most {most} clients for {time:?}"),
            Self::PauseClients(time) => write!(f, "client pause of {time:?}"),
            Self::Restart(down) => write!(f, "kill -9, back after {down:?}"),
            Self::Freeze(time) => write!(f, "frozen for {time:?}"),
            Self::Cut => f.write_str("connections cut"),
            Self::HalfOpen => f.write_str("connections half open"),
            Self::BlackHole(time) => write!(f, "black hole of {time:?}"),
            Self::Delay(delay, time) => write!(f, "{delay:?} later for {time:?}"),
            Self::DropReply => f.write_str("a reply dropped"),
            Self::KillMaster => f.write_str("a master killed"),
            Self::FreezeMaster => f.write_str("a master frozen"),
            Self::FailOver => f.write_str("failover"),
            Self::Reshard(slots) => write!(f, "{slots} slots moved and back"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_plan() {
        let plan = |seed| Vec::from_iter(Fault::plan(Topology::Cluster, Dice::new(seed)).take(40));
        assert_eq!(plan(1), plan(1));
        assert_ne!(plan(1), plan(2));
        assert!(plan(3)[..16].iter().any(|fault| matches!(fault, Fault::Reshard(_))), "each kind in a round");
    }
}
