use crate::{queue::UNDO, stage::Stage, strike::blocking};
use anyhow::Result;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{runtime::Handle, time::sleep};

/// What is left of a store that was dropped.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Left {
    tasks: usize,
    connections: usize,
}

impl Left {
    /// Waits until nothing is, for as long as a wait that was left may go on.
    pub(crate) async fn behind(stage: &Arc<Stage>, tasks_before: usize) -> Result<Self> {
        let begun = Instant::now();
        loop {
            let tasks = Handle::current().metrics().num_alive_tasks().saturating_sub(tasks_before);
            let left = Self { tasks, connections: blocking(stage, Stage::connections).await? };
            if left.breaches().is_empty() || begun.elapsed() > UNDO {
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
