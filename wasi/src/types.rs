//! Types that more than one core module speaks.

/// A span of time, or an instant on some clock, in nanoseconds. Which clock is said where it is used: the wall clock
/// counts from 1970-01-01T00:00:00Z, the monotonic clock from an instant of its own.
pub type Nanoseconds = u64;
