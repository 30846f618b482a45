//! A program that is somewhere else: the machine gets it over its own network.

use alloc::{
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};
use manifest::Download;
use sha2::{Digest, Sha256};
use wasi::{
    Machine,
    http::{self, NetworkConnector, Secure, Url},
    sockets::{Access, Allowed, Network, Policy},
};

/// The most that a program may have: a hundred times what is usual.
const LARGEST: usize = 256 << 20;

/// Gets the program. Its network is configured by now.
///
/// # Errors
/// Why it cannot be had, for a person.
pub async fn download(
    Download { url, sha256 }: &Download,
    network: &Network,
    tls: Arc<dyn Secure>,
    machine: &Machine,
) -> Result<Vec<u8>, String> {
    let parsed: Url = url.parse().map_err(|error| format!("{url}: {error}"))?;
    // What the program may do is another matter.
    let policy = Policy { connect: Allowed::Everything, listen: Allowed::Nothing };
    let connector = NetworkConnector::new(Access::new(network.clone(), policy), Some(tls));
    let program = http::download(&connector, &machine.clock, &parsed, LARGEST).await;
    let program = program.map_err(|error| error.to_string())?;
    let found = Sha256::digest(&program);
    match sha256 {
        Some(expected) if *expected != *found => {
            Err(format!("{url}: its SHA-256 is {}, and should be {}", hex(&found), hex(expected)))
        }
        _ => Ok(program),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
