//! The numbers in which Linux says what went wrong: the host itself, and a 9P2000.L server (`Rlerror`), whatever its
//! system.

use crate::Error;

/// What an errno of Linux means to the core. `EFAULT` is no guest's pointer here, so it is `Io` as all that is unknown.
pub(super) fn error(errno: u32) -> Error {
    match errno {
        1 => Error::NotPermitted,
        2 => Error::NoEntry,
        4 => Error::Interrupted,
        6 | 19 => Error::NoDevice, // ENXIO (a special file that the server does not open), ENODEV
        9 => Error::BadDescriptor,
        11 => Error::WouldBlock,
        12 => Error::NoMemory,
        13 => Error::Access,
        16 => Error::Busy,
        17 => Error::Exists,
        18 => Error::CrossDevice,
        20 => Error::NotDirectory,
        21 => Error::IsDirectory,
        22 => Error::Invalid,
        23 | 24 => Error::TooManyOpen, // ENFILE, EMFILE
        25 => Error::NotTerminal,
        26 => Error::TextBusy,
        27 => Error::FileTooLarge,
        28 | 122 => Error::NoSpace, // ENOSPC, EDQUOT
        29 => Error::NotSeekable,
        30 => Error::ReadOnly,
        31 => Error::TooManyLinks,
        32 => Error::Pipe,
        36 => Error::NameTooLong,
        38 | 95 => Error::NotSupported, // ENOSYS, EOPNOTSUPP
        39 => Error::NotEmpty,
        40 => Error::Loop,
        75 => Error::Overflow,
        84 => Error::IllegalSequence,
        _ => Error::Io,
    }
}
