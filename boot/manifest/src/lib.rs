//! What `sisal` tells the kernel to run: the boot manifest.
#![no_std]
