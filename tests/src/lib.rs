//! What crosses crates or boots a machine: guests, the harness that runs them, conformance.
