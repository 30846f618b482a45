//! What the program is given: arguments, environment, streams, clocks, random bytes.

use std::env;
use std::io::{self, Write};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::{Fault, Tour};

pub fn arguments(tour: &mut Tour) -> Result<String, Fault> {
    let args: Vec<String> = env::args().collect();
    tour.check(args == ["tour", "two words", "naïve"], format!("they are {args:?}"))?;
    Ok(format!("{args:?}"))
}

pub fn environment(tour: &mut Tour) -> Result<String, Fault> {
    let value = env::var("SISAL_TOUR").map_err(|error| format!("SISAL_TOUR: {error}"))?;
    tour.check(value == "a=b", format!("SISAL_TOUR is {value:?}"))?;
    tour.check(env::var_os("PATH").is_none(), "the host's PATH is in it")?;
    Ok(format!("SISAL_TOUR={value}, and nothing of the host's"))
}

pub fn stdio(tour: &mut Tour) -> Result<String, Fault> {
    let mut stderr = io::stderr();
    let line = b"  (This line comes on standard error.)\n";
    tour.check(stderr.write(line)? == line.len(), "standard error took a part of a line")?;
    io::stdout().flush()?;
    tour.checks += 1;
    Ok("standard output and standard error take what is written".into())
}

pub fn clocks(tour: &mut Tour) -> Result<String, Fault> {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    // 2025-01-01: this program is younger.
    tour.check(wall > 1_735_689_600, format!("the wall clock is {wall} s after 1970"))?;
    let start = Instant::now();
    let mut last = start;
    for _ in 0..1000 {
        let now = Instant::now();
        tour.check(now >= last, "the monotonic clock went back")?;
        last = now;
    }
    tour.check(last > start, "the monotonic clock stands still")?;
    let nap = Duration::from_millis(20);
    let start = Instant::now();
    thread::sleep(nap);
    let took = start.elapsed();
    tour.check(took >= nap, format!("{nap:?} of sleep took {took:?}"))?;
    tour.check(took < Duration::from_secs(10), format!("{nap:?} of sleep took {took:?}"))?;
    Ok(format!("{}; {nap:?} of sleep took {:.1} ms", date(wall), took.as_secs_f64() * 1e3))
}

pub fn random(tour: &mut Tour) -> Result<String, Fault> {
    let mut draws = [[0u8; 32]; 2];
    for draw in &mut draws {
        // SAFETY: the pointer and the length are those of a buffer that is borrowed for the call.
        unsafe { wasip1::random_get(draw.as_mut_ptr(), draw.len()) }?;
    }
    tour.check(draws[0] != draws[1], "two draws are the same")?;
    // By chance once in 2^256 runs.
    tour.check(!draws.contains(&[0; 32]), "a draw is all zeros")?;
    let hex: String = draws[0][..8].iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{hex}..., and other bytes each time"))
}

/// Date and time in UTC of a number of seconds after 1970 (the algorithm of Howard Hinnant's `civil_from_days`).
fn date(seconds: u64) -> String {
    let (days, second) = (seconds / 86400, seconds % 86400);
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year}-{month:02}-{day:02} {:02}:{:02}:{:02} UTC", second / 3600, second / 60 % 60, second % 60)
}
