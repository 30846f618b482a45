//! Lifting: values out of flat core values and linear memory.
//!
//! One walk over the type does both; a [`Place`] says where the parts are found.

use super::{Flat, LiftContext, MAX_BYTES, Passing, aligned, range, resource, strings};
use crate::{
    FunctionType, Trap, Type, Value,
    handles::HandleKind,
    types::{Layout, List, MAX_FLAT_PARAMS, Variant, align},
    value::{Resource, Scalar, Scalars},
};
use alloc::{boxed::Box, vec::Vec};

/// Where a value is lifted from.
trait Place {
    /// A position to come back to.
    type Mark: Copy;
    /// Where it stands now.
    fn mark(&self) -> Self::Mark;
    /// To the part that lies `offset` bytes from `start` in memory. Flat values are read in order.
    fn seek(&mut self, start: Self::Mark, offset: u32);
    /// To behind the value of layout `layout` that began at `start`, however much of it was read.
    fn end(&mut self, start: Self::Mark, layout: &Layout);
    /// The core value here, which takes `size` bytes in memory.
    fn read(&mut self, size: usize) -> Result<u64, Trap>;
    /// The bytes here, if they are in memory.
    fn bytes(&self, size: usize) -> Option<&[u8]>;
}

/// Flat values, and the next one.
struct FlatPlace<'a> {
    values: &'a [Flat],
    next: usize,
}

impl Place for FlatPlace<'_> {
    type Mark = usize;

    fn mark(&self) -> usize {
        self.next
    }

    fn seek(&mut self, _: usize, _: u32) {}

    fn end(&mut self, start: usize, layout: &Layout) {
        self.next = start.saturating_add(layout.flat.len());
    }

    #[inline]
    fn read(&mut self, _: usize) -> Result<u64, Trap> {
        let value = self.values.get(self.next).ok_or_else(missing_value)?;
        self.next = self.next.saturating_add(1);
        Ok(*value)
    }

    fn bytes(&self, _: usize) -> Option<&[u8]> {
        None
    }
}

/// A part of linear memory, and a position in it.
struct MemoryPlace<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl Place for MemoryPlace<'_> {
    type Mark = usize;

    fn mark(&self) -> usize {
        self.offset
    }

    fn seek(&mut self, start: usize, offset: u32) {
        // The offsets of a type are below 2^28.
        self.offset = start.saturating_add(offset as usize);
    }

    fn end(&mut self, _: usize, _: &Layout) {}

    fn read(&mut self, size: usize) -> Result<u64, Trap> {
        let bytes = self.bytes(size).ok_or(Trap::OutOfBounds)?;
        Ok(match *bytes {
            [a] => u64::from(a),
            [a, b] => u64::from(u16::from_le_bytes([a, b])),
            [a, b, c, d] => u64::from(u32::from_le_bytes([a, b, c, d])),
            [a, b, c, d, e, f, g, h] => u64::from_le_bytes([a, b, c, d, e, f, g, h]),
            _ => return Err(Trap::OutOfBounds),
        })
    }

    fn bytes(&self, size: usize) -> Option<&[u8]> {
        self.bytes.get(self.offset..)?.get(..size)
    }
}

/// The low half: what an `i32` is, and what the canonical ABI wraps an `i64` to.
#[expect(clippy::cast_possible_truncation, reason = "as it is specified")]
const fn low(bits: u64) -> u32 {
    bits as u32
}

/// How many bytes of the host's memory the values of one call may take, unless it is said otherwise: a list of the largest size
/// fits.
pub const LIFT_BUDGET: usize = 1 << 28;

/// Lifts the parameters or the result of a call, one value after the other.
pub struct Lifting<'a> {
    types: Passing<'a>,
    in_memory: bool,
    values: FlatPlace<'a>,
    /// If the values lie in memory, as in a tuple: how far they are read.
    offset: u32,
    budget: usize,
}

impl<'a> Lifting<'a> {
    /// The parameters of a function of type `ty` that a guest calls with `flat`.
    #[inline]
    pub fn params(ty: &'a FunctionType, flat: &'a [Flat]) -> Self {
        Self::new(Passing::Params(ty), flat)
    }

    /// The result of a function of type `ty`, which has returned `flat`.
    #[inline]
    pub fn result(ty: &'a FunctionType, flat: &'a [Flat]) -> Self {
        Self::new(Passing::Result(ty), flat)
    }

    #[inline]
    fn new(types: Passing<'a>, flat: &'a [Flat]) -> Self {
        let values = FlatPlace { values: flat, next: 0 };
        Self { types, in_memory: types.in_memory(), values, offset: 0, budget: LIFT_BUDGET }
    }

    /// Allows the values only (or even) so many bytes of the host's memory.
    #[inline]
    #[must_use]
    pub fn with_budget(self, budget: usize) -> Self {
        Self { budget, ..self }
    }

    /// The next value, which is of type `ty`.
    ///
    /// # Errors
    /// [`Trap`], when there is no valid value.
    pub fn next(&mut self, cx: &mut LiftContext<'_>, ty: &Type) -> Result<Value, Trap> {
        self.scalar(ty).unwrap_or_else(|| self.any(cx, ty))
    }

    /// The next value, if it is a scalar and flat: what most host calls take, for which no context is needed.
    #[inline]
    pub(crate) fn scalar(&mut self, ty: &Type) -> Option<Result<Value, Trap>> {
        let scalar = ty.scalar().filter(|_| !self.in_memory)?;
        let bits = self.values.read(scalar.size());
        Some(bits.and_then(|bits| scalar.value(bits).ok_or(Trap::InvalidChar)))
    }

    /// The next value, of any type and from anywhere.
    fn any(&mut self, cx: &mut LiftContext<'_>, ty: &Type) -> Result<Value, Trap> {
        let mut lifter = Lifter { cx, budget: &mut self.budget };
        if !self.in_memory {
            return lifter.value(&mut self.values, ty);
        }
        let pointer = low(*self.values.values.first().ok_or_else(missing_value)?);
        let all = self.types.layout();
        aligned(pointer, all.alignment)?;
        let memory = lifter.cx.memory;
        let bytes = memory.get(range(pointer, all.size as usize, memory.len())?).ok_or(Trap::OutOfBounds)?;
        let layout = ty.layout();
        let offset = align(self.offset, layout.alignment);
        self.offset = offset.saturating_add(layout.size);
        lifter.value(&mut MemoryPlace { bytes, offset: offset as usize }, ty)
    }
}

/// There are fewer flat values than the type asks for: the core function is not what validation saw.
#[cold]
fn missing_value() -> Trap {
    Trap::Limit("flat values")
}

/// The context of a value, and what is left of the host's memory for it.
struct Lifter<'a, 'b> {
    cx: &'a mut LiftContext<'b>,
    budget: &'a mut usize,
}

/// A pointer and a length.
fn pair<P: Place>(place: &mut P) -> Result<(u32, u32), Trap> {
    let start = place.mark();
    let pointer = low(place.read(4)?);
    place.seek(start, 4);
    Ok((pointer, low(place.read(4)?)))
}

impl Lifter<'_, '_> {
    /// Takes from the budget before the host's memory is taken.
    fn charge(&mut self, bytes: usize) -> Result<(), Trap> {
        *self.budget =
            self.budget.checked_sub(bytes).ok_or(Trap::Limit("host memory for the values of a call"))?;
        Ok(())
    }

    /// A vector for `len` elements.
    fn vector<T>(&mut self, len: usize) -> Result<Vec<T>, Trap> {
        self.charge(len.saturating_mul(size_of::<T>()))?;
        let mut vector = Vec::new();
        vector.try_reserve_exact(len).map_err(|_| Trap::Limit("host memory"))?;
        Ok(vector)
    }

    /// The value of type `ty` at `place`.
    fn value<P: Place>(&mut self, place: &mut P, ty: &Type) -> Result<Value, Trap> {
        if let Some(scalar) = ty.scalar() {
            return scalar.value(place.read(scalar.size())?).ok_or(Trap::InvalidChar);
        }
        match ty {
            Type::String => {
                let (pointer, units) = pair(place)?;
                strings::lift(self.cx.memory, self.cx.encoding, pointer, units, self.budget)
                    .map(Value::String)
            }
            Type::List(list) | Type::Map(list) => {
                let (pointer, length) = pair(place)?;
                self.list(pointer, length as usize, &list.element)
            }
            Type::FixedList(list) => self.fixed_list(place, list),
            Type::Record(record) | Type::Tuple(record) => {
                let mut fields = self.vector(record.fields.len())?;
                let start = place.mark();
                for field in &record.fields {
                    place.seek(start, field.offset);
                    fields.push(self.value(place, &field.ty)?);
                }
                Ok(Value::Record(fields))
            }
            Type::Variant(variant) | Type::Enum(variant) => {
                let (case, payload) = self.case(place, ty, variant)?;
                Ok(Value::Variant(case, payload))
            }
            Type::Option(variant) => Ok(Value::Option(self.case(place, ty, variant)?.1)),
            Type::Result(variant) => Ok(Value::Result(match self.case(place, ty, variant)? {
                (0, ok) => Ok(ok),
                (_, error) => Err(error),
            })),
            Type::Flags(flags) => {
                Ok(Value::Flags(low(place.read(ty.layout().size as usize)?) & flags.mask()))
            }
            Type::Own(index) => {
                let (handle, ty) = (low(place.read(4)?), resource(self.cx.resources, *index)?);
                let taken = self.cx.handles.remove(handle, ty)?;
                match taken.kind {
                    HandleKind::Own { .. } => Ok(Value::Own(taken.resource)),
                    HandleKind::Borrow { .. } => Err(Trap::NotOwned(handle)),
                }
            }
            Type::Borrow(index) => {
                let (handle, ty) = (low(place.read(4)?), resource(self.cx.resources, *index)?);
                let Resource { ty, rep } = self.cx.handles.lend(handle, ty)?;
                self.charge(size_of::<u32>())?;
                self.cx.lent.push(handle);
                Ok(Value::Borrow(Resource { ty, rep }))
            }
            _ => Err(Trap::Limit("types")),
        }
    }

    /// A case and its payload.
    fn case<P: Place>(
        &mut self,
        place: &mut P,
        ty: &Type,
        variant: &Variant,
    ) -> Result<(u32, Option<Box<Value>>), Trap> {
        let start = place.mark();
        let index = low(place.read(variant.discriminant_size() as usize)?);
        let case = variant.cases.get(index as usize).ok_or(Trap::InvalidDiscriminant)?;
        let payload = match &case.ty {
            Some(ty) => {
                place.seek(start, variant.payload_offset);
                let value = self.value(place, ty)?;
                self.charge(size_of::<Value>())?;
                Some(Box::new(value))
            }
            None => None,
        };
        place.end(start, ty.layout());
        Ok((index, payload))
    }

    /// The elements of a list in memory.
    fn list(&mut self, pointer: u32, length: usize, element: &Type) -> Result<Value, Trap> {
        let layout = element.layout();
        let size = layout.size as usize;
        let total = length.checked_mul(size).filter(|total| *total <= MAX_BYTES).ok_or(Trap::TooLarge)?;
        aligned(pointer, layout.alignment)?;
        let memory = self.cx.memory;
        let bytes = memory.get(range(pointer, total, memory.len())?).ok_or(Trap::OutOfBounds)?;
        match element.scalar() {
            Some(scalar) => self.scalars(bytes, scalar),
            None => self.elements(&mut MemoryPlace { bytes, offset: 0 }, length, element),
        }
    }

    /// `length` elements one after the other.
    fn elements<P: Place>(&mut self, place: &mut P, length: usize, element: &Type) -> Result<Value, Trap> {
        let (start, size) = (place.mark(), element.layout().size);
        let mut elements = self.vector(length)?;
        let mut offset = 0;
        for _ in 0..length {
            place.seek(start, offset);
            elements.push(self.value(place, element)?);
            offset = offset.saturating_add(size);
        }
        Ok(Value::List(elements))
    }

    fn fixed_list<P: Place>(&mut self, place: &mut P, list: &List) -> Result<Value, Trap> {
        let length = list.length.unwrap_or(0) as usize;
        let Some(scalar) = list.element.scalar() else {
            return self.elements(place, length, &list.element);
        };
        let total = length.saturating_mul(scalar.size());
        if let Some(bytes) = place.bytes(total) {
            return self.scalars(bytes, scalar);
        }
        let mut bytes = [0; MAX_FLAT_PARAMS * size_of::<u64>()];
        for chunk in bytes.get_mut(..total).unwrap_or_default().chunks_exact_mut(scalar.size()) {
            let value = scalar.value(place.read(scalar.size())?).ok_or(Trap::InvalidChar)?;
            let bits = value.scalar_bits(scalar).unwrap_or(0).to_le_bytes();
            chunk.iter_mut().zip(bits).for_each(|(to, from)| *to = from);
        }
        self.scalars(bytes.get(..total).unwrap_or_default(), scalar)
    }

    /// A list of scalars in one piece.
    fn scalars(&mut self, bytes: &[u8], scalar: Scalar) -> Result<Value, Trap> {
        let mut copy = self.vector(bytes.len())?;
        copy.extend_from_slice(bytes);
        match scalar {
            Scalar::U8 => Ok(Value::Bytes(copy)),
            _ => Scalars::new(scalar, copy).map(Value::Scalars).ok_or(Trap::InvalidChar),
        }
    }
}
