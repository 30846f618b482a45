//! Why a program is refused before it runs, found out and said so that a person knows what to do.

use super::rewrite::Broken;
use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::fmt;
use wasmi::errors::ErrorKind;
use wasmparser::{FuncValidatorAllocations, Parser, ValidPayload, Validator, WasmFeatures};

/// Why bytes are not a program that can run here.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// Not WebAssembly at all.
    NotWasm,
    /// WebAssembly's text format.
    Text,
    /// It ends in the middle.
    Truncated,
    /// A version of the binary format that does not exist yet.
    Version(u32),
    /// Valid, but it needs a feature of WebAssembly that the engine lacks.
    Feature(&'static str),
    /// Not valid WebAssembly: what validation found, and where.
    Invalid(String),
    /// Valid, but beyond what the engine can take.
    TooLarge(String),
    /// Compiling it takes up to this many bytes, and the machine has not so many left.
    Memory(usize),
    /// It imports what is not a WASI preview 1 function.
    UnknownImport {
        /// The module that it imports from.
        module: String,
        /// The name there.
        name: String,
    },
    /// It imports a WASI function with a type that this does not have.
    ImportType {
        /// The module that it imports from.
        module: String,
        /// The function's name.
        name: String,
        /// The type of the import, and the function's.
        types: String,
    },
    /// It exports neither `_start` nor `_initialize`: a library.
    NoStart,
    /// An entry point that takes or returns something.
    StartType(String),
    /// A component, and this is built without the feature `components`.
    Component,
    /// A component that imports what WASI 0.2 does not have here, or has with another type.
    ComponentImport(String),
    /// A component that does not export `wasi:cli/run`: what it exports.
    NotCommand(Vec<String>),
    /// A component that does not export `wasi:http/incoming-handler`: what it exports.
    NotHandler(Vec<String>),
    /// It imports WASI functions that exchange data through its memory, but exports none of that name and type.
    NoMemory,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotWasm => f.write_str(
                "not a WebAssembly program: the file does not begin with \"\\0asm\". Was the right file given?",
            ),
            Self::Text => f.write_str(
                "WebAssembly's text format: convert it first (`wasm-tools parse program.wat -o program.wasm`)",
            ),
            Self::Truncated => f.write_str("truncated: the file ends in the middle of the program. Copy it again"),
            Self::Version(version) => {
                write!(f, "version {version} of WebAssembly's binary format, which is unknown: only 1 is supported")
            }
            Self::Feature(feature) => {
                write!(f, "the program needs {feature}, which the engine does not have: build it without")
            }
            Self::Invalid(why) => write!(f, "not valid WebAssembly: {why}"),
            Self::TooLarge(why) => write!(f, "too large for the engine: {why}"),
            Self::Memory(bytes) => write!(
                f,
                "compiling the program takes up to {} KiB of memory, which is more than is left",
                bytes.div_ceil(1 << 10)
            ),
            Self::UnknownImport { module, name } if module == "wasi" && name == "thread-spawn" => f.write_str(
                "the program needs threads (it imports wasi.thread-spawn), which the engine does not have: \
                 build it without",
            ),
            Self::UnknownImport { module, name } => write!(
                f,
                "the program imports {module}.{name}, which is not a function of WASI preview 1: it was built for another host"
            ),
            Self::ImportType { module, name, types } => {
                write!(f, "the program imports {module}.{name} with another type than WASI gives it: {types}")
            }
            Self::NoStart => f.write_str(
                "a library: it exports no _start (nor _initialize), so there is nothing to run. Build it as a command",
            ),
            Self::Component => f.write_str(
                "a component, and this host was built without them (feature `components`): it runs modules for preview 1",
            ),
            Self::ComponentImport(why) => f.write_str(why),
            Self::NotCommand(exports) => not_command(f, exports),
            Self::NotHandler(exports) if exports.iter().any(|export| export.starts_with("wasi:cli/run@")) => f
                .write_str("a command, not a component that answers HTTP requests (wasi:http/incoming-handler): run it"),
            Self::NotHandler(_) => f.write_str(
                "not a component that answers HTTP requests: it does not export wasi:http/incoming-handler of 0.2",
            ),
            Self::StartType(name) => {
                write!(f, "{name} is not a function without parameters and results, so it cannot be run")
            }
            Self::NoMemory => f.write_str(
                "the program exports no 32-bit memory called \"memory\", through which WASI functions exchange data",
            ),
        }
    }
}

impl core::error::Error for Refusal {}

/// Says what a component is that is no command.
fn not_command(f: &mut fmt::Formatter<'_>, exports: &[String]) -> fmt::Result {
    let exported = |name: &str| exports.iter().any(|export| export.starts_with(name));
    if exported("wasi:http/incoming-handler@") || exported("wasi:http/handler@") {
        return f.write_str(
            "a component that answers HTTP requests (it exports wasi:http's handler), not a command: there is nothing to run \
             until a request comes",
        );
    }
    if exported("wasi:cli/run@") {
        return f.write_str(
            "a command of another version than WASI 0.2, which is not supported: build it for wasm32-wasip2",
        );
    }
    match exports {
        [] => f.write_str("a component that exports nothing, so there is nothing to run"),
        exports => write!(
            f,
            "a component library: it exports {}, but not wasi:cli/run, so there is nothing to run. Build it as a command",
            exports.join(", ")
        ),
    }
}

/// Says why the sections of `wasm` cannot be walked.
pub(super) fn explain_broken(wasm: &[u8], broken: Broken) -> Refusal {
    match broken {
        Broken::Truncated => Refusal::Truncated,
        Broken::Malformed => Refusal::Invalid(
            validate(wasm, WasmFeatures::all())
                .err()
                .unwrap_or_else(|| "its sections are malformed".to_string()),
        ),
    }
}

/// What the first eight bytes say a binary is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// A core module.
    Module,
    /// A component, of whatever version.
    Component,
}

/// Looks at the first eight bytes.
pub(super) fn format(wasm: &[u8]) -> Result<Format, Refusal> {
    const MAGIC: &[u8] = b"\0asm";
    let Some((magic, rest)) = wasm.split_at_checked(MAGIC.len()) else {
        return Err(if !wasm.is_empty() && MAGIC.starts_with(wasm) {
            Refusal::Truncated
        } else {
            Refusal::NotWasm
        });
    };
    if magic != MAGIC {
        let text = wasm.trim_ascii_start();
        return Err(
            if text.starts_with(b"(module") || text.starts_with(b"(component") || text.starts_with(b";;") {
                Refusal::Text
            } else {
                Refusal::NotWasm
            },
        );
    }
    match rest {
        [1, 0, 0, 0, ..] => Ok(Format::Module),
        [_, _, 1, 0, ..] => Ok(Format::Component),
        [a, b, c, d, ..] => Err(Refusal::Version(u32::from_le_bytes([*a, *b, *c, *d]))),
        _ => Err(Refusal::Truncated),
    }
}

/// The proposals that the engine lacks, as a person calls them.
const LACKING: [(&str, WasmFeatures); 11] = [
    ("threads (shared memory and atomics)", WasmFeatures::THREADS),
    ("exceptions", WasmFeatures::EXCEPTIONS),
    ("exceptions (the legacy proposal)", WasmFeatures::LEGACY_EXCEPTIONS),
    ("garbage collection (GC)", WasmFeatures::GC),
    ("typed function references", WasmFeatures::FUNCTION_REFERENCES),
    ("stack switching", WasmFeatures::STACK_SWITCHING),
    ("wide arithmetic", WasmFeatures::WIDE_ARITHMETIC),
    ("custom page sizes", WasmFeatures::CUSTOM_PAGE_SIZES),
    ("memory control", WasmFeatures::MEMORY_CONTROL),
    ("shared-everything threads", WasmFeatures::SHARED_EVERYTHING_THREADS),
    ("relaxed SIMD", WasmFeatures::RELAXED_SIMD),
];

/// Says why wasmi did not take `wasm`, a module with a good header.
pub(super) fn explain(wasm: &[u8], error: &wasmi::Error) -> Refusal {
    match error.kind() {
        ErrorKind::Wasm(error) => {
            // Valid if every proposal were there: then one that is lacking is what is missing.
            if validate(wasm, WasmFeatures::all()).is_ok() {
                for (name, feature) in LACKING {
                    if validate(wasm, WasmFeatures::all().difference(feature)).is_err() {
                        return Refusal::Feature(name);
                    }
                }
            }
            // Of what is invalid either way, the engine's words would mislead if the reason were a proposal.
            Refusal::Invalid(match validate(wasm, WasmFeatures::all()) {
                Err(everywhere) => everywhere,
                Ok(()) => error.to_string(),
            })
        }
        other => Refusal::TooLarge(other.to_string()),
    }
}

fn validate(wasm: &[u8], features: WasmFeatures) -> Result<(), String> {
    let mut validator = Validator::new_with_features(features);
    let mut parser = Parser::new(0);
    parser.set_features(features);
    let check = || {
        for payload in parser.parse_all(wasm) {
            if let ValidPayload::Func(function, body) = validator.payload(&payload?)? {
                function.into_validator(FuncValidatorAllocations::default()).validate(&body)?;
            }
        }
        Ok(())
    };
    check().map_err(|error: wasmparser::BinaryReaderError| {
        format!("{} (at byte {:#x} of the file)", error.message(), error.offset())
    })
}
