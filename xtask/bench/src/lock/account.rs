//! What the sections of one turn tell: who came after whom, how soon, and how evenly.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::paced::Paced;
use super::section::Section;
use crate::scenario::Sample;

/// From one hand-over to the next, on the average.
const EVERY: &str = "every ms";

/// The same of a turn that was added up.
pub(super) fn every(turn: &Sample) -> Option<Duration> {
    let (_, millis) = turn.figures.iter().find(|(name, _)| *name == EVERY)?;
    Some(Duration::from_secs_f64(millis / 1e3))
}

/// Adds up a turn of this many tasks. A hand-over is from one party to another: a task, or the process it is in.
pub(super) fn account(
    mut sections: Vec<Section>,
    tasks: usize,
    time: Duration,
    party: impl Fn(u64) -> u64,
    paced: Paced,
) -> Result<Sample> {
    sections.sort_by_key(|section| section.got);
    for pair in sections.windows(2) {
        ensure!(pair[0].left <= pair[1].got, "two hold the lock: {pair:?}");
        ensure!(pair[0].fence < pair[1].fence || pair[1].fence == 0, "fencing tokens do not grow: {pair:?}");
    }
    let started = sections.iter().map(|section| section.asked).min().unwrap_or_default();
    let until = |share: f64| started + (time.as_nanos() as f64 * share) as u64;
    // At the end there are fewer and fewer who want it.
    let counted = &sections[..sections.partition_point(|section| section.got < until(1.0))];
    let (Some(first), Some(last)) = (counted.first(), counted.last()) else { return Ok(Sample::default()) };

    let passed = |pair: &&[Section]| party(pair[0].task) != party(pair[1].task) && pair[1].asked < pair[0].left;
    let mut gaps: Vec<u64> = counted.windows(2).filter(passed).map(|pair| pair[1].got - pair[0].left).collect();
    gaps.sort_unstable();
    let held: u64 = counted.iter().map(|section| section.left - section.got).sum();
    let mut sample = Sample {
        ops: sections.len() as u64,
        // The speed is that of the sections that count, what an operation costs that of all.
        elapsed: time.mul_f64(sections.len() as f64 / counted.len() as f64),
        ..Sample::default()
    };
    let waits = counted.iter().map(|section| Duration::from_nanos(section.got - section.asked));
    waits.for_each(|wait| sample.latencies.record(wait));

    let figures = &mut sample.figures;
    figures.push(("total / holds", (last.left - first.got) as f64 / held as f64));
    let (p50, p99) = (quantile_us(&gaps, 0.5), quantile_us(&gaps, 0.99));
    if let (Some(p50), Some(p99)) = (p50, p99) {
        figures.extend([("hand-over / rtt", p50 / paced.p50_us), ("p99 / rtt p99", p99 / paced.p99_us)]);
    }
    figures.push(("handed over", gaps.len() as f64 / counted.len() as f64));
    figures.push((EVERY, (last.left - first.got) as f64 / gaps.len().max(1) as f64 / 1e6));
    let longest = sections.iter().map(|section| section.got - section.asked).max().unwrap_or_default();
    figures.push(("longest wait ms", longest as f64 / 1e6));
    let half = &counted[..counted.partition_point(|section| section.got < until(0.5))];
    figures.extend([("jain half", jain(half, tasks)), ("jain", jain(counted, tasks))]);
    if let (Some(p50), Some(p99)) = (p50, p99) {
        figures.extend([("hand-over p50 us", p50), ("hand-over p99 us", p99)]);
    }
    figures.extend([("rtt p50 us", paced.p50_us), ("rtt p99 us", paced.p99_us)]);
    figures.push(("hold us", held as f64 / counted.len() as f64 / 1e3));
    Ok(sample)
}

/// Of values in order.
fn quantile_us(sorted: &[u64], share: f64) -> Option<f64> {
    let rank = ((sorted.len() as f64 * share).ceil() as usize).max(1);
    Some(*sorted.get(rank - 1)? as f64 / 1e3)
}

/// Jain's index of how many sections each task had: 1 if all had as many, 1/n if one had them all.
fn jain(sections: &[Section], tasks: usize) -> f64 {
    let mut counts = BTreeMap::<u64, f64>::new();
    sections.iter().for_each(|section| *counts.entry(section.task).or_default() += 1.0);
    let squares: f64 = counts.values().map(|count| count * count).sum();
    (sections.len() as f64).powi(2) / (tasks as f64 * squares)
}

#[cfg(test)]
mod tests {
    use super::{Paced, account, jain};
    use crate::lock::section::Section;
    use std::time::Duration;

    fn section(task: u64, asked: u64, got: u64, left: u64) -> Section {
        Section { task, asked, got, left, fence: got }
    }

    #[test]
    fn a_hand_over_is_to_another_who_waits() {
        let paced = Paced { p50_us: 1.0, p99_us: 1.0 };
        let sections = vec![
            section(0, 0, 1_000, 2_000),
            section(1, 0, 4_000, 5_000),
            // The same again, and one who came too late to wait.
            section(1, 5_000, 6_000, 7_000),
            section(0, 7_500, 8_000, 9_000),
        ];
        let sample = account(sections.clone(), 2, Duration::from_micros(20), |task| task, paced).unwrap();
        let figure = |name| sample.figures.iter().find(|(other, _)| *other == name).map(|(_, value)| *value);
        assert_eq!(figure("handed over"), Some(0.25));
        assert_eq!(figure("hand-over p50 us"), Some(2.0));
        assert_eq!(figure("total / holds"), Some(2.0));
        let overlapping = vec![sections[0], section(1, 0, 1_999, 3_000)];
        assert!(account(overlapping, 2, Duration::from_micros(20), |task| task, paced).is_err());
    }

    #[test]
    fn the_index_is_one_when_all_had_as_many() {
        let [one, other] = [section(0, 0, 0, 0), section(1, 0, 0, 0)];
        assert_eq!(jain(&[one, other], 2), 1.0);
        assert_eq!(jain(&[one, one], 2), 0.5);
    }
}
