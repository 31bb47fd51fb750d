use crate::{stage::Stage, strike::blocking};
use anyhow::Result;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{runtime::Handle, time::sleep};

/// How long something may be left behind: a wait that was left ends with its own time-out and a deadline.
const BOUND: Duration = Duration::from_secs(2);

/// What is left of a store that was dropped.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Left {
    tasks: usize,
    connections: usize,
}

impl Left {
    /// Waits until nothing is, for as long as something may be.
    pub(crate) async fn behind(stage: &Arc<Stage>, tasks_before: usize) -> Result<Self> {
        let begun = Instant::now();
        loop {
            let tasks = Handle::current().metrics().num_alive_tasks().saturating_sub(tasks_before);
            let left = Self { tasks, connections: blocking(stage, Stage::connections).await? };
            if left.breaches().is_empty() || begun.elapsed() > BOUND {
                return Ok(left);
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) fn breaches(&self) -> Vec<String> {
        let found = [(self.tasks, "tasks"), (self.connections, "connections")];
        found.iter().filter(|(left, _)| *left > 0).map(|(left, what)| format!("{left} {what} leaked")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Left;

    #[test]
    fn whatever_is_left_is_a_leak() {
        assert!(Left { tasks: 0, connections: 0 }.breaches().is_empty());
        assert_eq!(Left { tasks: 1, connections: 2 }.breaches(), ["1 tasks leaked", "2 connections leaked"]);
    }
}
