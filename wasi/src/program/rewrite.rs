//! The changes that a module's binary gets before it is compiled; its code is not touched.
//!
//! - The `start` function becomes an export: inside instantiation wasmi runs it where it can neither be preempted nor
//!   parked.
//! - The one memory that the module defines becomes an import: so the machine can give it address space that grows in
//!   place (see [`crate::memory`]), where wasmi would copy it.
//!
//! Only what those changes need is parsed here. What is wrong with a module otherwise is wrong after them too, and is
//! found by the validation that follows.

use alloc::{format, string::String, vec::Vec};
use wasmparser::{Parser, Payload, TypeRef};

/// The module name of the import that a defined memory becomes.
const MEMORY_MODULE: &str = "sisal";
/// The name of the import that a defined memory becomes.
const MEMORY_NAME: &str = "memory";
/// Magic number and version.
const HEADER: usize = VERSION_1.len();
/// How a module begins.
pub(super) const VERSION_1: [u8; 8] = *b"\0asm\x01\0\0\0";

/// Why a binary's sections cannot be walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// The file ends inside a section.
    Truncated,
    /// A section's head is not what it can be.
    Malformed,
}

/// A module after the changes.
pub(super) struct Rewritten {
    /// The binary.
    pub wasm: Vec<u8>,
    /// Whether the memory became an import: the last one.
    pub memory_imported: bool,
    /// The name of the export that runs the `start` function.
    pub start: Option<String>,
    /// What the names of the exports of all functions begin with, if those were asked for: then come the numbers, from 0, of the
    /// functions that the module defines.
    pub functions: Option<String>,
}

mod id {
    pub(super) const CUSTOM: u8 = 0;
    pub(super) const IMPORT: u8 = 2;
    pub(super) const FUNCTION: u8 = 3;
    pub(super) const MEMORY: u8 = 5;
    pub(super) const EXPORT: u8 = 7;
    pub(super) const START: u8 = 8;
    pub(super) const CODE: u8 = 10;
}

/// The sections in the order that they must have, each at most once: 13 has the tags, 12 the number of data segments.
const ORDER: [u8; 13] = [1, 2, 3, 4, 5, 13, 6, 7, 8, 9, 12, 10, 11];

/// One section: what it is, the custom sections in front of it, all of its bytes, and its content.
struct Section<'a> {
    id: u8,
    customs: &'a [u8],
    whole: &'a [u8],
    content: &'a [u8],
}

/// Applies the changes to a module whose first eight bytes have been checked; all functions are exported if
/// `export_functions`.
pub(super) fn rewrite(wasm: &[u8], export_functions: bool) -> Result<Rewritten, Broken> {
    let (sections, last_customs) = sections(wasm)?;
    let content = |id| sections.iter().find(|section| section.id == id).map(|section| section.content);
    if content(id::FUNCTION).is_some_and(|functions| functions != [0]) && content(id::CODE).is_none() {
        return Err(Broken::Truncated);
    }

    // The entry that the import section gets, if there is exactly one memory.
    let memory_import = match content(id::MEMORY).map(split_count).transpose()? {
        Some((1, memory_type)) => {
            let mut entry = Vec::new();
            push_name(&mut entry, MEMORY_MODULE);
            push_name(&mut entry, MEMORY_NAME);
            entry.push(0x02);
            entry.extend_from_slice(memory_type);
            Some(entry)
        }
        _ => None,
    };
    // More of them in a row than any other name can have.
    let apostrophes = || {
        let exports = content(id::EXPORT).unwrap_or_default();
        let most = exports.split(|&byte| byte != b'\'').map(<[u8]>::len).max().unwrap_or(0);
        "'".repeat(most.saturating_add(1))
    };
    let mut exports = Entries::default();
    let start = content(id::START).map(|function| {
        let name = String::from("sisal:start") + &apostrophes();
        exports.push(|entry| {
            push_name(entry, &name);
            entry.push(0x00);
            entry.extend_from_slice(function);
        });
        name
    });
    let functions = export_functions.then(|| String::from("sisal:function") + &apostrophes());
    if let Some(prefix) = &functions {
        let (count, _) = content(id::FUNCTION).map_or(Ok((0, &[][..])), split_count)?;
        // More than there are bytes of code there cannot be: validation refuses it, after less was written here.
        let count = count.min(u32::try_from(wasm.len()).unwrap_or(u32::MAX));
        let imported = imported_functions(wasm);
        for index in 0..count {
            exports.push(|entry| {
                push_name(entry, &format!("{prefix}{index}"));
                entry.push(0x00);
                push_u32(entry, imported.saturating_add(index));
            });
        }
    }

    let memory_imported = memory_import.is_some();
    let import = memory_import.map(|bytes| Entries { count: 1, bytes });
    let exports = Some(exports).filter(|exports| exports.count > 0);
    let mut additions = [(id::IMPORT, import), (id::EXPORT, exports)];
    let added =
        additions.iter().filter_map(|(_, entries)| entries.as_ref()).map(|entries| entries.bytes.len());
    let mut output = Vec::with_capacity(wasm.len().saturating_add(64).saturating_add(added.sum()));
    output.extend_from_slice(wasm.get(..HEADER).ok_or(Broken::Truncated)?);
    for section in &sections {
        output.extend_from_slice(section.customs);
        let mut added = None;
        for (at, entry) in &mut additions {
            if section.id == *at {
                added = entry.take();
            } else if section.id > *at
                && let Some(entries) = entry.take()
            {
                // The section was missing: it goes in front of the first that must come after it.
                push_section(&mut output, *at, entries.count, &[], &entries.bytes);
            }
        }
        match (section.id, added) {
            (id::MEMORY, _) if memory_imported => {}
            (id::START, _) => {}
            (at, Some(added)) => {
                let (count, entries) = split_count(section.content)?;
                let count = count.checked_add(added.count).ok_or(Broken::Malformed)?;
                push_section(&mut output, at, count, entries, &added.bytes);
            }
            (_, None) => output.extend_from_slice(section.whole),
        }
    }
    for (at, entry) in additions {
        if let Some(entries) = entry {
            push_section(&mut output, at, entries.count, &[], &entries.bytes);
        }
    }
    output.extend_from_slice(last_customs);
    Ok(Rewritten { wasm: output, memory_imported, start, functions })
}

/// Entries that a section gets.
#[derive(Default)]
struct Entries {
    count: u32,
    bytes: Vec<u8>,
}

impl Entries {
    fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.count = self.count.saturating_add(1);
        write(&mut self.bytes);
    }
}

/// How many functions a module imports: the first that it defines has that number.
fn imported_functions(wasm: &[u8]) -> u32 {
    let imports = Parser::new(0).parse_all(wasm).map_while(Result::ok).find_map(|payload| match payload {
        Payload::ImportSection(imports) => Some(imports),
        _ => None,
    });
    let functions = imports
        .into_iter()
        .flatten()
        .map_while(Result::ok)
        .filter(|import| matches!(import.ty, TypeRef::Func(_)));
    u32::try_from(functions.count()).unwrap_or(u32::MAX)
}

/// Splits a binary into its sections, of which there are few, and the custom sections at its end. What is out of order or
/// there twice is refused here: it might be a section that does not stay.
fn sections<'w>(wasm: &'w [u8]) -> Result<(Vec<Section<'w>>, &'w [u8]), Broken> {
    let mut sections = Vec::new();
    let mut order = ORDER.iter();
    let mut rest = wasm.get(HEADER..).ok_or(Broken::Truncated)?;
    let mut customs = rest;
    while let [id, after_id @ ..] = rest {
        let (size, content) = read_u32(after_id)?;
        let size = usize::try_from(size).map_err(|_| Broken::Malformed)?;
        let (content, next) = content.split_at_checked(size).ok_or(Broken::Truncated)?;
        if *id != id::CUSTOM {
            if !order.any(|known| known == id) {
                return Err(Broken::Malformed);
            }
            let until = |end: &[u8], bytes: &'w [u8]| bytes.get(..bytes.len().saturating_sub(end.len()));
            let whole = until(next, rest).unwrap_or_default();
            sections.push(Section {
                id: *id,
                customs: until(rest, customs).unwrap_or_default(),
                whole,
                content,
            });
            customs = next;
        }
        rest = next;
    }
    Ok((sections, customs))
}

/// A vector's count, and its entries.
fn split_count(content: &[u8]) -> Result<(u32, &[u8]), Broken> {
    read_u32(content)
}

/// An unsigned LEB128 number of 32 bits, and what follows it.
fn read_u32(bytes: &[u8]) -> Result<(u32, &[u8]), Broken> {
    let mut value = 0_u32;
    for (index, &byte) in bytes.iter().enumerate().take(5) {
        let part = u32::from(byte & 0x7f);
        let shift = 7 * index as u32;
        let shifted = part.wrapping_shl(shift);
        if shifted >> shift != part {
            return Err(Broken::Malformed);
        }
        value |= shifted;
        if byte & 0x80 == 0 {
            return Ok((value, bytes.get(index + 1..).unwrap_or_default()));
        }
    }
    Err(if bytes.len() < 5 { Broken::Truncated } else { Broken::Malformed })
}

pub(super) fn push_u32(output: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        output.push(value as u8 | 0x80);
        value >>= 7;
    }
    output.push(value as u8);
}

/// Names are ours: far below 4 GiB.
pub(super) fn push_name(output: &mut Vec<u8>, name: &str) {
    push_u32(output, name.len() as u32);
    output.extend_from_slice(name.as_bytes());
}

pub(super) fn push_section(output: &mut Vec<u8>, id: u8, count: u32, entries: &[u8], added: &[u8]) {
    let mut head = Vec::with_capacity(5);
    push_u32(&mut head, count);
    let size = head.len().saturating_add(entries.len()).saturating_add(added.len());
    output.push(id);
    // What it was made from fitted into 32 bits; should this not, validation refuses the cut length.
    push_u32(output, u32::try_from(size).unwrap_or(u32::MAX));
    output.extend_from_slice(&head);
    output.extend_from_slice(entries);
    output.extend_from_slice(added);
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use wasmi::{Engine, ExternType, Module};

    fn module(wat: &str) -> (Module, Option<String>) {
        let Rewritten { wasm, start, .. } = rewrite(&wat::parse_str(wat).unwrap(), false).unwrap();
        (Module::new(&Engine::default(), &wasm).unwrap(), start)
    }

    #[test]
    fn the_memory_becomes_an_import_and_start_an_export() {
        // With and without the sections that get the entries, and with custom sections in every place.
        for wat in [
            r#"(module (memory 2 3) (start 0) (func))"#,
            r#"(module (memory (export "memory") 2 3) (start $f) (func $f) (table 1 funcref) (elem (i32.const 0) $f))"#,
            r#"(module (@custom "a" (before first) "x") (@custom "b" (after export) "y")
                (import "a" "b" (func (param i32))) (memory 2 3) (start $f) (func $f) (data (i32.const 1) "z"))"#,
        ] {
            let (module, start) = module(wat);
            let import = module.imports().last().unwrap();
            assert_eq!((import.module(), import.name()), (MEMORY_MODULE, MEMORY_NAME), "{wat}");
            let ExternType::Memory(ty) = import.ty() else { panic!("{wat}") };
            assert_eq!((ty.minimum(), ty.maximum()), (2, Some(3)), "{wat}");
            let start = module.get_export(&start.unwrap());
            assert!(matches!(start, Some(ExternType::Func(_))), "{wat}");
        }
    }

    #[test]
    fn all_functions_become_exports_if_asked_for() {
        for (wat, defined) in [
            (r#"(module (func (param i32)))"#, 1),
            (
                r#"(module (import "a" "m" (memory 1)) (import "a" "b" (func (result i64))) (start $g)
                    (func (export "sisal:function'0") (param i32)) (func $g))"#,
                2,
            ),
        ] {
            let Rewritten { wasm, functions, start, .. } =
                rewrite(&wat::parse_str(wat).unwrap(), true).unwrap();
            let module = Module::new(&Engine::default(), &wasm).unwrap();
            let function = |index: usize| match module.get_export(&format!("{}{index}", functions.as_ref()?))
            {
                Some(ExternType::Func(ty)) => Some(ty.params().len()),
                _ => None,
            };
            assert_eq!(function(0), Some(1), "{wat}");
            assert!(function(defined - 1).is_some(), "{wat}");
            assert_eq!(function(defined), None, "{wat}");
            assert_eq!(start.is_some(), wat.contains("start"));
        }
    }

    #[test]
    fn what_needs_no_change_keeps_its_bytes() {
        for wat in [
            "(module)",
            r#"(module (import "a" "b" (func)) (func (export "f")))"#,
            "(module (memory 1) (memory 1))",
            r#"(module (import "a" "m" (memory 1)) (@custom "c" "x"))"#,
            r#"(module (@custom "a" (before first) "x") (@custom "b" (before first) "y")
                (import "a" "b" (func)) (@custom "c" (after import) "z") (func))"#,
        ] {
            let wasm = wat::parse_str(wat).unwrap();
            assert_eq!(rewrite(&wasm, false).unwrap().wasm, wasm, "{wat}");
        }
    }

    #[test]
    fn an_export_that_has_our_name_is_no_trap() {
        let (module, start) =
            module(r#"(module (start $f) (func $f) (func (export "sisal:start") (param i32)))"#);
        let start = start.unwrap();
        assert_ne!(start, "sisal:start");
        let Some(ExternType::Func(ty)) = module.get_export(&start) else { panic!() };
        assert!(ty.params().is_empty());
    }

    #[test]
    fn looking_for_a_free_name_takes_no_longer_than_the_names_are() {
        let taken = std::format!("{}sisal:start{}", "x".repeat(100_000), "'".repeat(100_000));
        let wat = std::format!(r#"(module (start $f) (func $f (export "{taken}")))"#);
        let start = rewrite(&wat::parse_str(wat).unwrap(), false).unwrap().start.unwrap();
        assert!(!taken.contains(&start));
    }

    #[test]
    fn sections_that_are_there_twice_or_out_of_order_are_refused() {
        let wasm = wat::parse_str("(module (memory 1) (func) (start 0))").unwrap();
        let (sections, _) = sections(&wasm).unwrap();
        for section in &sections {
            assert_eq!(
                rewrite(&[&wasm, section.whole].concat(), false).err(),
                Some(Broken::Malformed),
                "{}",
                section.id
            );
            let twice = [&wasm[..HEADER], section.whole, section.whole, &wasm[HEADER..]].concat();
            assert_eq!(rewrite(&twice, false).err(), Some(Broken::Malformed), "{}", section.id);
        }
        assert_eq!(rewrite(&[&wasm[..], &[14, 0]].concat(), false).err(), Some(Broken::Malformed));
    }

    #[test]
    fn a_cut_file_is_truncated_wherever_it_is_cut() {
        let wasm = wat::parse_str(r#"(module (memory 1) (func (export "f") nop nop) (start 0))"#).unwrap();
        let mut boundaries = 0;
        for cut in HEADER..wasm.len() {
            match rewrite(&wasm[..cut], false) {
                Err(broken) => assert_eq!(broken, Broken::Truncated, "cut at {cut}"),
                // Between two sections before the code is promised.
                Ok(_) => boundaries += 1,
            }
        }
        assert_eq!(boundaries, 2);
    }

    #[test]
    fn numbers_are_read_as_written_and_overlong_ones_refused() {
        for value in [0, 1, 127, 128, 300, 65_535, u32::MAX] {
            let mut bytes = vec![];
            push_u32(&mut bytes, value);
            bytes.push(7);
            assert_eq!(read_u32(&bytes), Ok((value, &[7_u8][..])));
        }
        assert_eq!(read_u32(&[0xff, 0xff, 0xff, 0xff, 0x1f]), Err(Broken::Malformed));
        assert_eq!(read_u32(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x00]), Err(Broken::Malformed));
        assert_eq!(read_u32(&[0x80, 0x80]), Err(Broken::Truncated));
    }
}
