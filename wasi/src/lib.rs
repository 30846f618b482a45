//! WASI for programs on wasmi, with no operating system underneath.
#![no_std]
extern crate alloc;
