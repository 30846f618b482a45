//! What the programs share: how they report.

use std::time::Instant;

/// Says that `amount` of something took the time since `start`: `NAME RATE`, per second.
pub fn report(name: &str, amount: f64, start: Instant) {
    eprintln!("{name} {:.3}", amount / start.elapsed().as_secs_f64());
}
