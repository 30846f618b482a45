//! The kernel's log: the `log` crate's records, a line each, on the first serial port.
//!
//! The program's own output never comes here. `log=LEVEL` on the command line sets what is written (off, error,
//! warn, info, debug, trace; `warn` unless told).

use crate::time;
use core::fmt::{self, Write};
use core::time::Duration;
use log::{LevelFilter, Log, Metadata, Record};
use manifest::LOG_ARGUMENT;
use spin::Mutex;
use uart_16550::backend::PioBackend;
use uart_16550::{Config, Uart16550};

const COM1: u16 = 0x3f8;

struct Serial(Uart16550<PioBackend>);

impl Write for Serial {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.send_bytes_exact(text.as_bytes());
        Ok(())
    }
}

/// None where there is no serial port.
static SERIAL: Mutex<Option<Serial>> = Mutex::new(None);

struct Logger;

impl Log for Logger {
    fn enabled(&self, _: &Metadata) -> bool {
        true
    }

    fn log(&self, record: &Record) {
        let uptime = Duration::from_nanos(time::monotonic());
        write(format_args!(
            "[{:5}.{:06}] {:5} {}: {}\n",
            uptime.as_secs(),
            uptime.subsec_micros(),
            record.level(),
            record.target(),
            record.args()
        ));
    }

    fn flush(&self) {}
}

/// Opens the serial port and sets the level that `command_line` asks for.
pub fn init(command_line: &str) {
    // SAFETY: the ports of the first serial port, used by nobody else.
    if let Ok(mut uart) = unsafe { Uart16550::new_port(COM1) }
        && uart.init(Config::default()).is_ok()
    {
        *SERIAL.lock() = Some(Serial(uart));
    }
    let level = command_line.split_ascii_whitespace().find_map(|word| word.strip_prefix(LOG_ARGUMENT));
    log::set_max_level(level.and_then(|level| level.parse().ok()).unwrap_or(LevelFilter::Warn));
    // Fails only for a second call.
    let _ = log::set_logger(&Logger);
}

/// Writes text that is no record, whatever the level.
pub fn write(text: fmt::Arguments) {
    if let Some(serial) = &mut *SERIAL.lock() {
        // Writing to the port does not fail.
        let _ = serial.write_fmt(text);
    }
}

/// Writes `text` even where the log is being written: for a machine that is about to end.
pub fn emergency(text: fmt::Arguments) {
    // SAFETY: one processor, which does not return to whoever holds the lock.
    unsafe { SERIAL.force_unlock() };
    write(text);
}
