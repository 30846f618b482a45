//! [`trap_at_start`]: a program changed so that it must trap, for controls: who says that it passed did not run it.

use wasmparser::{Encoding, ExternalKind, Parser, Payload, TypeRef};

/// The module with `unreachable` as the first instruction of `_start`.
///
/// # Errors
/// When it is not a module that has such a function.
pub fn trap_at_start(wasm: &[u8]) -> Result<Vec<u8>, String> {
    let mut imported = 0;
    let mut start = None;
    let mut code = None;
    let mut bodies = vec![];
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.map_err(|error| error.to_string())? {
            Payload::Version { encoding: Encoding::Component, .. } => return Err("a component".into()),
            Payload::ImportSection(imports) => {
                for import in imports {
                    let import = import.map_err(|error| error.to_string())?;
                    imported += u32::from(matches!(import.ty, TypeRef::Func(_)));
                }
            }
            Payload::ExportSection(exports) => {
                for export in exports {
                    let export = export.map_err(|error| error.to_string())?;
                    if export.name == "_start" && export.kind == ExternalKind::Func {
                        start = Some(export.index);
                    }
                }
            }
            Payload::CodeSectionStart { range, .. } => code = Some(range),
            Payload::CodeSectionEntry(body) => {
                let first =
                    body.get_operators_reader().map_err(|error| error.to_string())?.original_position();
                bodies.push((body.range(), first));
            }
            _ => {}
        }
    }
    let (Some(code), Some(start)) = (code, start) else { return Err("no function _start".into()) };
    let start = start.checked_sub(imported).ok_or("_start is an import")? as usize;

    let mut content = vec![];
    push_leb(&mut content, bodies.len());
    for (index, (range, first)) in bodies.into_iter().enumerate() {
        let mut body = wasm[range.clone()].to_vec();
        if index == start {
            const UNREACHABLE: u8 = 0x00;
            body.insert(first - range.start, UNREACHABLE);
        }
        push_leb(&mut content, body.len());
        content.extend(body);
    }
    // In front of the section's content are its number and its size, a number of up to five bytes.
    const CODE_SECTION: u8 = 10;
    let head = (2..=6).find(|&back| {
        wasm[code.start - back] == CODE_SECTION
            && leb(&wasm[code.start - back + 1..code.start]) == Some(code.len())
    });
    let mut changed = wasm[..code.start - head.ok_or("the code section has no head")?].to_vec();
    changed.push(CODE_SECTION);
    push_leb(&mut changed, content.len());
    changed.extend(content);
    changed.extend(&wasm[code.end..]);
    Ok(changed)
}

fn push_leb(bytes: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// The number that is spelled by exactly these bytes, padded or not.
fn leb(bytes: &[u8]) -> Option<usize> {
    let (last, rest) = bytes.split_last()?;
    if last & 0x80 != 0 || rest.iter().any(|byte| byte & 0x80 == 0) {
        return None;
    }
    Some(bytes.iter().rev().fold(0, |value, byte| value << 7 | usize::from(byte & 0x7f)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_instruction_traps_and_the_rest_is_kept() {
        let text = r#"(module
            (import "a" "b" (func (param i32)))
            (func $other (drop (i32.const 1)))
            (func (export "_start") (local i64 f32) (block (call 0 (i32.const 7))))
            (data "after the code"))"#;
        let wasm = wat::parse_str(text).unwrap();
        let changed = trap_at_start(&wasm).unwrap();
        assert_eq!(changed.len(), wasm.len() + 1);
        wasmparser::validate(&changed).unwrap();
        let reference = text.replace("(local i64 f32)", "(local i64 f32) unreachable");
        assert_eq!(changed, wat::parse_str(reference).unwrap());
    }

    #[test]
    fn what_has_no_start_is_refused() {
        assert!(trap_at_start(&wat::parse_str("(module)").unwrap()).is_err());
        assert!(trap_at_start(b"nonsense").is_err());
    }
}
