//! Taking times: contestants take turns in every round, so that what the machine does besides hurts all of them alike.

use crate::Result;
use std::{env, time::Instant};

/// Rounds that a median is taken of; the environment's `ROUNDS` replaces it.
const ROUNDS: usize = 9;
/// How long one contestant's turn is at least, in nanoseconds.
const TURN: f64 = 25e6;

/// Does something as often as it is told, and nothing else that takes long.
pub type Contestant<'a> = Box<dyn FnMut(u32) -> Result<()> + 'a>;

/// How many rounds there are.
///
/// # Errors
/// When `ROUNDS` is no number above 0.
pub fn rounds() -> Result<usize> {
    match env::var("ROUNDS") {
        Ok(text) => match text.parse() {
            Ok(rounds @ 1..) => Ok(rounds),
            _ => Err(format!("ROUNDS={text}: not a number above 0").into()),
        },
        Err(_) => Ok(ROUNDS),
    }
}

/// Nanoseconds that each contestant takes for doing it once: the median of the rounds, each as if the machine had been in it as
/// fast as it was in the median round. (Its clock changes by a factor of two within seconds: medians of times would compare the fast
/// rounds of one with the slow ones of another.)
///
/// # Errors
/// The contestants'.
pub fn race(contestants: &mut [Contestant<'_>]) -> Result<Vec<f64>> {
    let mut counts = Vec::new();
    for contestant in contestants.iter_mut() {
        counts.push(count_for_a_turn(contestant)?);
    }
    let mut rounds_times = Vec::new();
    for _ in 0..rounds()? {
        let turns = contestants.iter_mut().zip(&counts);
        let times = turns.map(|(contestant, &count)| Ok(time(contestant, count)? / f64::from(count)));
        rounds_times.push(times.collect::<Result<Vec<f64>>>()?);
    }
    Ok(medians(&rounds_times))
}

/// The median of each column, after each row was scaled to the median row: by the geometric mean, in which all columns count alike.
fn medians(rows: &[Vec<f64>]) -> Vec<f64> {
    let mean = |row: &[f64]| (row.iter().map(|value| value.ln()).sum::<f64>() / row.len() as f64).exp();
    let typical = median(rows.iter().map(|row| mean(row)).collect());
    let scaled = |column: usize| rows.iter().map(move |row| row[column] * typical / mean(row)).collect();
    (0..rows.first().map_or(0, Vec::len)).map(|column| median(scaled(column))).collect()
}

/// The median of some values; not a number for none.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn count_for_a_turn(contestant: &mut Contestant<'_>) -> Result<u32> {
    let mut count = 1_u32;
    loop {
        // The fastest: one that was interrupted would make all turns too short.
        let mut took = f64::INFINITY;
        for _ in 0..3 {
            took = took.min(time(contestant, count)?);
        }
        if took >= TURN / 4.0 || count > u32::MAX / 4 {
            return Ok((f64::from(count) * TURN / took).ceil() as u32);
        }
        count *= 4;
    }
}

fn time(contestant: &mut Contestant<'_>, count: u32) -> Result<f64> {
    let start = Instant::now();
    contestant(count)?;
    Ok(start.elapsed().as_nanos() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_changes_its_speed_changes_no_ratio() {
        // The second takes three times as long; the machine is slow in two rounds of five, and in one while the second runs.
        let rows = [[1.0, 3.0], [2.0, 6.0], [1.0, 3.0], [1.0, 6.0], [2.0, 6.0]].map(Vec::from);
        let [first, second] = medians(&rows)[..] else { panic!("two columns") };
        assert!((second / first - 3.0).abs() < 1e-9, "{first} {second}");
        assert!(medians(&[]).is_empty());
    }
}
