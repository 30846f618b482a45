//! A module between a program that uses tail calls and the host: for every imported function one of wasm that calls it.
//!
//! A host call that is made by `return_call` and parks would resume with wrong results (wasmi 2.0.0). Through this
//! module every host call is a plain `call`. Only programs with tail calls pay for it.

use super::rewrite::{VERSION_1, push_name, push_section, push_u32};
use alloc::{
    string::{String, ToString},
    vec::Vec,
};
use wasmi::{FuncType, ValType};

const FUNCTION_TYPE: u8 = 0x60;
const FUNCTION: u8 = 0x00;
const NO_LOCALS: u8 = 0x00;
const LOCAL_GET: u8 = 0x20;
const CALL: u8 = 0x10;
const END: u8 = 0x0b;

/// The binary of the module for host functions of these types. It imports them in this order, and exports as many
/// functions of the same types, called as [`export_name`] says.
pub(super) fn shim(types: &[&FuncType]) -> Vec<u8> {
    let [mut kinds, mut imports, mut functions, mut exports, mut code] = [const { Vec::new() }; 5];
    let count = types.len() as u32;
    for (index, ty) in (0..count).zip(types) {
        kinds.push(FUNCTION_TYPE);
        for values in [ty.params(), ty.results()] {
            push_u32(&mut kinds, values.len() as u32);
            kinds.extend(values.iter().map(encode));
        }
        push_name(&mut imports, "");
        push_name(&mut imports, "");
        imports.push(FUNCTION);
        push_u32(&mut imports, index);
        push_u32(&mut functions, index);
        push_name(&mut exports, &export_name(index as usize));
        exports.push(FUNCTION);
        push_u32(&mut exports, count.saturating_add(index));

        let mut body = Vec::from([NO_LOCALS]);
        for parameter in 0..ty.params().len() as u32 {
            body.push(LOCAL_GET);
            push_u32(&mut body, parameter);
        }
        body.push(CALL);
        push_u32(&mut body, index);
        body.push(END);
        push_u32(&mut code, body.len() as u32);
        code.append(&mut body);
    }
    let mut wasm = Vec::from(VERSION_1);
    for (id, entries) in [(1, kinds), (2, imports), (3, functions), (7, exports), (10, code)] {
        push_section(&mut wasm, id, count, &entries, &[]);
    }
    wasm
}

/// What the module calls its function for the import `index`.
pub(super) fn export_name(index: usize) -> String {
    index.to_string()
}

fn encode(ty: &ValType) -> u8 {
    match ty {
        ValType::I32 => 0x7f,
        ValType::I64 => 0x7e,
        ValType::F32 => 0x7d,
        ValType::F64 => 0x7c,
        ValType::V128 => 0x7b,
        ValType::FuncRef => 0x70,
        ValType::ExternRef => 0x6f,
    }
}
