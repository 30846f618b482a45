//! The real-time clock (MC146818): the date, to the second, in UTC as hypervisors keep it.

use x86_64::instructions::port::Port;

const INDEX: u16 = 0x70;
const DATA: u16 = 0x71;

const SECONDS: u8 = 0x00;
const MINUTES: u8 = 0x02;
const HOURS: u8 = 0x04;
const DAY: u8 = 0x07;
const MONTH: u8 = 0x08;
const YEAR: u8 = 0x09;
const STATUS_A: u8 = 0x0a;
const STATUS_B: u8 = 0x0b;
const STATUS_D: u8 = 0x0d;
const CENTURY: u8 = 0x32;

const UPDATE_IN_PROGRESS: u8 = 1 << 7;
const BINARY: u8 = 1 << 2;
const HOURS_24: u8 = 1 << 1;
const VALID: u8 = 1 << 7;
/// In a 12-hour clock's hour.
const AFTERNOON: u8 = 1 << 7;

/// A second or more of looks. An update takes 0.2 ms, but QEMU ends it only when it gets to, which may be late on a busy host.
const TRIES: usize = 1_000_000;

/// Seconds since 1970-01-01T00:00:00Z. `None` without a clock, or if what it says is no date.
pub(super) fn now() -> Option<u64> {
    // A port with nothing behind it reads as all ones; the lower bits of this register are always 0.
    if read(STATUS_D) != VALID {
        return None;
    }
    let mut last = None;
    for _ in 0..TRIES {
        if read(STATUS_A) & UPDATE_IN_PROGRESS != 0 {
            last = None;
            continue;
        }
        let date = [SECONDS, MINUTES, HOURS, DAY, MONTH, YEAR, CENTURY].map(read);
        // Two looks that agree: no update came between.
        if last == Some(date) {
            return decode(date, read(STATUS_B));
        }
        last = Some(date);
    }
    None
}

fn read(register: u8) -> u8 {
    // SAFETY: the clock's registers; reading those above has no effect. Bit 7 of the index would mask NMIs.
    unsafe {
        Port::new(INDEX).write(register);
        Port::new(DATA).read()
    }
}

fn decode(date: [u8; 7], status_b: u8) -> Option<u64> {
    let number = |value: u8| {
        if status_b & BINARY != 0 { value } else { (value >> 4) * 10 + (value & 0xf) }
    };
    let [second, minute, hour, day, month, year, century] = date;
    let hour = if status_b & HOURS_24 != 0 {
        number(hour)
    } else {
        number(hour & !AFTERNOON) % 12 + if hour & AFTERNOON != 0 { 12 } else { 0 }
    };
    let [second, minute, day, month, year] = [second, minute, day, month, year].map(number);
    // Not every machine keeps the century.
    let century = Some(number(century)).filter(|century| (19..=29).contains(century)).unwrap_or(20);
    let valid =
        second < 60 && minute < 60 && hour < 24 && (1..=31).contains(&day) && (1..=12).contains(&month);
    if !valid || year > 99 {
        return None;
    }
    let days = days_since_1970(u64::from(century) * 100 + u64::from(year), month.into(), day.into())?;
    Some(((days * 24 + u64::from(hour)) * 60 + u64::from(minute)) * 60 + u64::from(second))
}

/// Days from 1970-01-01 to a day of the Gregorian calendar.
fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    // Years that begin in March put the leap day at the end, and months then follow a rule of 153 days in five.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year.checked_sub(1)?, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    // From 0000-03-01 to 1970-01-01.
    days.checked_sub(719_468)
}
