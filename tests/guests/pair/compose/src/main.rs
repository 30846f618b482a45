//! `compose PROVIDER CONSUMER OUTPUT`: two components as one, as the tool `wac` makes it. What the consumer imports of the
//! provider it gets from that, and the program is the consumer's.

use std::{error::Error, fs, path::Path};
use wac_graph::{CompositionGraph, EncodeOptions, types::Package};

const SHARED: &str = "test:pair/text@0.1.0";
const RUN: &str = "wasi:cli/run@0.2.0";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [provider, consumer, output] = &*arguments else {
        return Err("usage: compose PROVIDER CONSUMER OUTPUT".into());
    };
    let mut graph = CompositionGraph::new();
    let mut instantiate = |name: &str, file: &str| -> Result<_, Box<dyn Error>> {
        let package = Package::from_file(name, None, Path::new(file), graph.types_mut())?;
        let package = graph.register_package(package)?;
        Ok(graph.instantiate(package))
    };
    let provider = instantiate("test:provider", provider)?;
    let consumer = instantiate("test:consumer", consumer)?;
    let shared = graph.alias_instance_export(provider, SHARED)?;
    graph.set_instantiation_argument(consumer, SHARED, shared)?;
    let run = graph.alias_instance_export(consumer, RUN)?;
    graph.export(run, RUN)?;
    fs::write(output, graph.encode(EncodeOptions::default())?)?;
    Ok(())
}
