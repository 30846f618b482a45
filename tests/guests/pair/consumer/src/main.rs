//! Uses what the other component has.

use test::pair::text::{Tally, shout, total};
use wasi::cli::{stdin::get_stdin, stdout::get_stdout};

wit_bindgen::generate!({ path: "../wit", world: "consumer", generate_all });

fn main() {
    let (birds, fish) = (Tally::new("birds"), Tally::new("fish"));
    println!("{}", birds.add(&["crow owl".into(), "héron".into()]));
    println!("{}", birds.add(&["wren".into()]));
    println!("{}", fish.add(&["🐟 trout".into()]));
    println!("total {}", total(&[&birds, &fish, &birds]));
    let all = Tally::merge(vec![birds, fish]);
    println!("{} {}", all.name(), all.add(&[]));
    drop(all);
    // It comes back before it is dropped: the stream was only lent.
    let output = get_stdout();
    println!("{:?}", shout(get_stdin(), &output));
    output.blocking_write_and_flush(b"mine again\n").expect("standard output is open");
}
