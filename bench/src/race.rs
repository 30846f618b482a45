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

/// Nanoseconds that each contestant takes for doing it once: the median of the rounds.
///
/// # Errors
/// The contestants'.
pub fn race(contestants: &mut [Contestant<'_>]) -> Result<Vec<f64>> {
    let mut counts = Vec::new();
    for contestant in contestants.iter_mut() {
        counts.push(count_for_a_turn(contestant)?);
    }
    let mut samples = vec![Vec::new(); contestants.len()];
    for _ in 0..rounds()? {
        for ((contestant, &count), samples) in contestants.iter_mut().zip(&counts).zip(&mut samples) {
            samples.push(time(contestant, count)? / f64::from(count));
        }
    }
    Ok(samples.into_iter().map(median).collect())
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
