//! Has what the other component uses.

use exports::test::pair::text::{Guest, GuestTally, Tally, TallyBorrow};
use std::cell::Cell;
use wasi::io::streams::{InputStream, OutputStream, StreamError};

wit_bindgen::generate!({ path: "../wit", world: "provider", generate_all });

struct Text;

struct Counted {
    name: String,
    count: Cell<u32>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        println!("the tally {} is dropped", self.name);
    }
}

impl GuestTally for Counted {
    fn new(name: String) -> Self {
        Self { name, count: Cell::new(0) }
    }

    fn add(&self, words: Vec<String>) -> u32 {
        let words: usize = words.iter().map(|words| words.split_whitespace().count()).sum();
        self.count.set(self.count.get() + words as u32);
        self.count.get()
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn merge(tallies: Vec<Tally>) -> Tally {
        let names: Vec<_> = tallies.iter().map(|tally| tally.get::<Self>().name()).collect();
        let count = tallies.iter().map(|tally| tally.get::<Self>().count.get()).sum();
        Tally::new(Self { name: names.join("+"), count: Cell::new(count) })
    }
}

impl Guest for Text {
    type Tally = Counted;

    fn total(tallies: Vec<TallyBorrow<'_>>) -> u32 {
        tallies.iter().map(|tally| tally.get::<Counted>().count.get()).sum()
    }

    fn shout(input: InputStream, output: &OutputStream) -> Result<u64, String> {
        let mut bytes = 0;
        loop {
            let chunk = match input.blocking_read(1_000) {
                Ok(chunk) => chunk.to_ascii_uppercase(),
                Err(StreamError::Closed) => return Ok(bytes),
                Err(StreamError::LastOperationFailed(error)) => return Err(error.to_debug_string()),
            };
            bytes += chunk.len() as u64;
            output.blocking_write_and_flush(&chunk).map_err(|error| error.to_string())?;
        }
    }
}

export!(Text);
