//! The start function of a core module, made an export: so that it can be called like any other function, parked and
//! preempted, in place of running inside of instantiation.

use alloc::{boxed::Box, format, vec::Vec};
use wasmparser::{BinaryReader, Parser, Payload};

const START_SECTION: u8 = 8;
const EXPORT_SECTION: u8 = 7;
const FUNCTION_EXPORT: u8 = 0;

/// The module with its start function exported under the name that is given too; `None` if it has none, or cannot be read.
pub(crate) fn export(wasm: &[u8]) -> Option<(Vec<u8>, Box<str>)> {
    let mut start = None;
    let mut names = Vec::new();
    let mut sections = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload.ok()?;
        match &payload {
            Payload::StartSection { func, .. } => start = Some(*func),
            Payload::ExportSection(exports) => {
                names = exports
                    .clone()
                    .into_iter()
                    .map(|export| export.map(|export| export.name))
                    .collect::<Result<_, _>>()
                    .ok()?;
            }
            _ => {}
        }
        if let Some((id, range)) = payload.as_section() {
            sections
                .push((id, wasm.get(usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?)?));
        }
    }
    let start = start?;
    let name =
        (0_u32..).map(|number| format!("start {number}")).find(|name| !names.contains(&name.as_str()))?;
    let mut entry = Vec::new();
    leb(&mut entry, u32::try_from(name.len()).ok()?);
    entry.extend_from_slice(name.as_bytes());
    entry.push(FUNCTION_EXPORT);
    leb(&mut entry, start);

    let mut module = wasm.get(..8)?.to_vec();
    let mut exported = false;
    for (id, content) in sections {
        match id {
            EXPORT_SECTION => {
                let mut reader = BinaryReader::new(content, 0);
                let count = reader.read_var_u32().ok()?;
                let rest = content.get(usize::try_from(reader.original_position()).ok()?..)?;
                section(&mut module, count.checked_add(1)?, rest, &entry)?;
                exported = true;
            }
            // Its place in the order of sections is behind that of the exports.
            START_SECTION if exported => {}
            START_SECTION => section(&mut module, 1, &[], &entry)?,
            _ => {
                module.push(id);
                leb(&mut module, u32::try_from(content.len()).ok()?);
                module.extend_from_slice(content);
            }
        }
    }
    Some((module, name.into()))
}

/// Writes an export section of `count` entries: those in `entries`, then `last`.
fn section(module: &mut Vec<u8>, count: u32, entries: &[u8], last: &[u8]) -> Option<()> {
    let mut head = Vec::new();
    leb(&mut head, count);
    let len = head.len().checked_add(entries.len())?.checked_add(last.len())?;
    module.push(EXPORT_SECTION);
    leb(module, u32::try_from(len).ok()?);
    for part in [&*head, entries, last] {
        module.extend_from_slice(part);
    }
    Some(())
}

fn leb(bytes: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}
