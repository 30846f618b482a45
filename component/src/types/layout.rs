//! How values lie in linear memory (32-bit pointers) and in flat core values: computed once, when a type is made.

use super::{Type, TypeError};

/// The type of a flat core value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "WebAssembly's own names")]
pub enum CoreType {
    I32,
    I64,
    F32,
    F64,
}

impl CoreType {
    /// The type that carries both, where cases of a variant share a flat value.
    const fn join(self, other: Self) -> Self {
        match (self, other) {
            (Self::I32 | Self::F32, Self::I32) | (Self::I32, Self::F32) => Self::I32,
            (Self::F32, Self::F32) => Self::F32,
            (Self::F64, Self::F64) => Self::F64,
            _ => Self::I64,
        }
    }
}

/// Parameters that need more flat values than this go through memory.
pub const MAX_FLAT_PARAMS: usize = 16;
/// Results that need more flat values than this go through memory.
pub const MAX_FLAT_RESULTS: usize = 1;
/// The most flat values that a call has: parameters, and the pointer to where the results go.
pub(crate) const MAX_FLAT: usize = MAX_FLAT_PARAMS + 1;

/// The most bytes that a value takes in memory, without what its strings and lists point to. Specified for 64-bit memories
/// as well, so the larger layout counts.
pub(crate) const MAX_SIZE: u32 = (1 << 28) - 1;
/// How deep types may nest: what walks them is recursive. The same as Wasmtime's.
const MAX_DEPTH: u32 = 100;
/// How many nodes the tree of a type may have, however much of it is shared: bounds the time to compare or print one.
const MAX_NODES: u32 = 100_000;

/// The types of flat core values: all of them up to [`MAX_FLAT_PARAMS`] + 1, more are not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlatTypes {
    types: [CoreType; MAX_FLAT],
    len: usize,
}

impl FlatTypes {
    pub(super) const NONE: Self = Self { types: [CoreType::I32; MAX_FLAT], len: 0 };

    pub(super) const fn one(ty: CoreType) -> Self {
        Self { types: [ty; MAX_FLAT], len: 1 }
    }

    pub(super) const fn pair() -> Self {
        Self { types: [CoreType::I32; MAX_FLAT], len: 2 }
    }

    pub(super) fn push(&mut self, ty: CoreType) {
        if let Some(slot) = self.types.get_mut(self.len) {
            *slot = ty;
            self.len += 1;
        }
    }

    fn extend(&mut self, other: &Self) {
        other.as_slice().iter().for_each(|ty| self.push(*ty));
    }

    /// Joins the flat values of a variant's case.
    fn join(&mut self, case: &Self) {
        for (index, ty) in case.as_slice().iter().enumerate() {
            match self.types.get_mut(index) {
                Some(slot) if index < self.len => *slot = slot.join(*ty),
                _ => self.push(*ty),
            }
        }
    }

    /// The types.
    pub fn as_slice(&self) -> &[CoreType] {
        self.types.get(..self.len).unwrap_or(&self.types)
    }

    /// How many flat values there are, as far as they are counted.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether there are more than `limit`, which is [`MAX_FLAT_PARAMS`] at most.
    #[inline]
    pub fn exceeds(&self, limit: usize) -> bool {
        self.len > limit
    }
}

/// How the values of one type are laid out, and what they may contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Bytes in memory.
    pub size: u32,
    /// The alignment in memory: 1, 2, 4 or 8.
    pub alignment: u32,
    /// The flat core values.
    pub flat: FlatTypes,
    /// Whether a string or list is in it, so that lowering allocates in the guest.
    pub needs_allocation: bool,
    /// Whether an `own` or `borrow` is in it.
    pub contains_handles: bool,
    wide_size: u32,
    wide_alignment: u32,
    depth: u32,
    nodes: u32,
}

const NOTHING: Layout = Layout {
    size: 0,
    alignment: 1,
    flat: FlatTypes::NONE,
    needs_allocation: false,
    contains_handles: false,
    wide_size: 0,
    wide_alignment: 1,
    depth: 0,
    nodes: 1,
};

impl Layout {
    pub(super) const fn scalar(size: u32, core: CoreType) -> Self {
        Self {
            size,
            alignment: size,
            flat: FlatTypes::one(core),
            wide_size: size,
            wide_alignment: size,
            ..NOTHING
        }
    }

    pub(super) const fn handle() -> Self {
        Self { contains_handles: true, ..Self::scalar(4, CoreType::I32) }
    }

    /// A pointer and a length.
    pub(super) const fn string() -> Self {
        Self {
            size: 8,
            alignment: 4,
            flat: FlatTypes::pair(),
            needs_allocation: true,
            wide_size: 16,
            wide_alignment: 8,
            ..NOTHING
        }
    }

    pub(super) fn list(element: &Self) -> Result<Self, TypeError> {
        Self { contains_handles: element.contains_handles, ..Self::string() }.around([element].into_iter())
    }

    pub(super) fn fixed_list(element: &Self, length: u32) -> Result<Self, TypeError> {
        let mut flat = FlatTypes::NONE;
        for _ in 0..length.min(MAX_FLAT as u32) {
            flat.extend(&element.flat);
        }
        Self {
            size: element.size.saturating_mul(length),
            wide_size: element.wide_size.saturating_mul(length),
            flat,
            ..*element
        }
        .around([element].into_iter())
    }

    /// Of values one after the other: a record's fields, parameters. Gives the offset of each to `place`.
    pub(super) fn sequence<'a>(
        parts: impl Iterator<Item = &'a Self> + Clone,
        mut place: impl FnMut(u32),
    ) -> Result<Self, TypeError> {
        let mut whole = NOTHING;
        for part in parts.clone() {
            let offset = align(whole.size, part.alignment);
            place(offset);
            whole.size = offset.saturating_add(part.size);
            whole.wide_size = align(whole.wide_size, part.wide_alignment).saturating_add(part.wide_size);
            whole.include(part);
            whole.flat.extend(&part.flat);
        }
        whole.pad().around(parts)
    }

    /// Of a discriminant for `count` cases and their payloads, which share their place. Gives the offset of the
    /// payloads, too.
    pub(super) fn variant<'a>(
        count: usize,
        payloads: impl Iterator<Item = &'a Self> + Clone,
    ) -> Result<(Self, u32), TypeError> {
        let mut whole = Self::scalar(discriminant_size(count), CoreType::I32);
        let mut payload = NOTHING;
        for case in payloads.clone() {
            payload.size = payload.size.max(case.size);
            payload.wide_size = payload.wide_size.max(case.wide_size);
            payload.include(case);
            payload.flat.join(&case.flat);
        }
        let offset = align(whole.size, payload.alignment);
        whole.size = offset.saturating_add(payload.size);
        whole.wide_size = align(whole.wide_size, payload.wide_alignment).saturating_add(payload.wide_size);
        whole.include(&payload);
        whole.flat.extend(&payload.flat);
        Ok((whole.pad().around(payloads)?, offset))
    }

    /// Takes over the properties of a part, but not its size.
    fn include(&mut self, part: &Self) {
        self.alignment = self.alignment.max(part.alignment);
        self.wide_alignment = self.wide_alignment.max(part.wide_alignment);
        self.needs_allocation |= part.needs_allocation;
        self.contains_handles |= part.contains_handles;
    }

    fn pad(mut self) -> Self {
        self.size = align(self.size, self.alignment);
        self.wide_size = align(self.wide_size, self.wide_alignment);
        self
    }

    /// Counts the parts in, and refuses what is too much.
    fn around<'a>(mut self, parts: impl Iterator<Item = &'a Self>) -> Result<Self, TypeError> {
        (self.depth, self.nodes) = (0, 1);
        for part in parts {
            self.depth = self.depth.max(part.depth.saturating_add(1));
            self.nodes = self.nodes.saturating_add(part.nodes);
        }
        match self {
            _ if self.wide_size > MAX_SIZE => Err(TypeError::TooLarge),
            _ if self.depth > MAX_DEPTH => Err(TypeError::TooDeep),
            _ if self.nodes > MAX_NODES => Err(TypeError::TooComplex),
            _ => Ok(self),
        }
    }
}

/// `offset` rounded up to a multiple of `alignment`, a power of two; saturating, which is above every limit.
pub(crate) fn align(offset: u32, alignment: u32) -> u32 {
    let mask = alignment.saturating_sub(1);
    offset.checked_add(mask).map_or(u32::MAX, |end| end & !mask)
}

/// The bytes of a discriminant for `count` cases.
pub(super) const fn discriminant_size(count: usize) -> u32 {
    match count {
        0..=0x100 => 1,
        0x101..=0x1_0000 => 2,
        _ => 4,
    }
}

impl Type {
    /// How its values are laid out.
    pub fn layout(&self) -> &Layout {
        use CoreType::{F32, F64, I32, I64};
        match self {
            Self::Bool | Self::S8 | Self::U8 => const { &Layout::scalar(1, I32) },
            Self::S16 | Self::U16 => const { &Layout::scalar(2, I32) },
            Self::S32 | Self::U32 | Self::Char => const { &Layout::scalar(4, I32) },
            Self::S64 | Self::U64 => const { &Layout::scalar(8, I64) },
            Self::F32 => const { &Layout::scalar(4, F32) },
            Self::F64 => const { &Layout::scalar(8, F64) },
            Self::String => const { &Layout::string() },
            Self::Own(_) | Self::Borrow(_) => const { &Layout::handle() },
            Self::List(list) | Self::FixedList(list) | Self::Map(list) => &list.layout,
            Self::Record(record) | Self::Tuple(record) => &record.layout,
            Self::Variant(variant) | Self::Enum(variant) | Self::Option(variant) | Self::Result(variant) => {
                &variant.layout
            }
            Self::Flags(flags) => &flags.layout,
        }
    }
}
