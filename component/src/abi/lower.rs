//! Lowering: values into flat core values and linear memory, when all memory of the guest that they need is there.
//!
//! One walk over the type does both; a [`Target`] says where the parts go.

use super::{
    Flat, FlatValues, LowerContext, MAX_BYTES, Passing, StringEncoding, aligned, mismatch, range, resource,
    strings, wrong_number,
};
use crate::{
    FunctionType, Trap, Type, Value,
    handles::{Handle, HandleKind, ResourceId},
    types::{Layout, ResourceIndex, align},
    value::Resource,
};
use alloc::format;
use core::slice::Iter;

/// Where a value is lowered to.
trait Target {
    /// A position to come back to.
    type Mark: Copy;
    /// Where it stands now.
    fn mark(&self) -> Self::Mark;
    /// To the part that lies `offset` bytes from `start` in memory. Flat values are written in order.
    fn seek(&mut self, start: Self::Mark, offset: u32);
    /// To behind the value of layout `layout` that began at `start`, however much of it was written.
    fn end(&mut self, start: Self::Mark, layout: &Layout) -> Result<(), Trap>;
    /// Writes a core value, which takes `size` bytes in memory.
    fn write(&mut self, memory: &mut [u8], bits: u64, size: usize) -> Result<(), Trap>;
}

impl Target for FlatValues {
    type Mark = usize;

    fn mark(&self) -> usize {
        self.len
    }

    fn seek(&mut self, _: usize, _: u32) {}

    fn end(&mut self, start: usize, layout: &Layout) -> Result<(), Trap> {
        while self.len < start.saturating_add(layout.flat.len()) {
            self.push(0)?;
        }
        Ok(())
    }

    fn write(&mut self, _: &mut [u8], bits: u64, _: usize) -> Result<(), Trap> {
        self.push(bits)
    }
}

/// An address in linear memory.
struct Address(usize);

impl Target for Address {
    type Mark = usize;

    fn mark(&self) -> usize {
        self.0
    }

    fn seek(&mut self, start: usize, offset: u32) {
        self.0 = start.saturating_add(offset as usize);
    }

    fn end(&mut self, _: usize, _: &Layout) -> Result<(), Trap> {
        Ok(())
    }

    fn write(&mut self, memory: &mut [u8], bits: u64, size: usize) -> Result<(), Trap> {
        let target =
            memory.get_mut(self.0..).and_then(|rest| rest.get_mut(..size)).ok_or(Trap::OutOfBounds)?;
        let bytes = bits.to_le_bytes();
        // A constant size is one store.
        match target.len() {
            1 => target.copy_from_slice(bytes.first_chunk::<1>().ok_or(Trap::OutOfBounds)?),
            2 => target.copy_from_slice(bytes.first_chunk::<2>().ok_or(Trap::OutOfBounds)?),
            4 => target.copy_from_slice(bytes.first_chunk::<4>().ok_or(Trap::OutOfBounds)?),
            8 => target.copy_from_slice(&bytes),
            _ => return Err(Trap::OutOfBounds),
        }
        Ok(())
    }
}

/// Lowers the result of a function of type `ty` that needs no `realloc` ([`FunctionType::result_needs_realloc`]), and gives
/// its flat value, if it is one: `args` are the caller's flat arguments, the last of which says where a result goes that
/// is not flat. Nothing is allocated.
///
/// # Errors
/// [`Trap::Unaligned`] and [`Trap::OutOfBounds`] about that place; [`Trap::Host`], if the value is not of the type;
/// [`Trap::TooManyHandles`].
#[inline]
pub fn lower_result(
    cx: &mut LowerContext<'_>,
    value: &Option<Value>,
    ty: &FunctionType,
    args: &[Flat],
) -> Result<Option<Flat>, Trap> {
    match (ty.result(), value) {
        (None, None) => Ok(None),
        // What most host calls return, and no reason for a call.
        (Some(ty), Some(value))
            if let Some(bits) = ty.scalar().and_then(|scalar| value.scalar_bits(scalar)) =>
        {
            Ok(Some(bits))
        }
        _ => lower_any_result(cx, value, ty, args),
    }
}

/// As [`lower_result`], of any type.
fn lower_any_result(
    cx: &mut LowerContext<'_>,
    value: &Option<Value>,
    ty: &FunctionType,
    args: &[Flat],
) -> Result<Option<Flat>, Trap> {
    let mut flat = FlatValues::new();
    // No string, so no encoding.
    let lowerer = Lowerer { cx, encoding: StringEncoding::default(), blocks: [].iter() };
    lowerer.all(value.as_slice(), Passing::Result(ty), result_place(ty, args), &mut flat)?;
    Ok(flat.as_slice().first().copied())
}

/// Where a result goes that is not flat, as the caller's arguments say it.
pub(super) fn result_place(ty: &FunctionType, args: &[Flat]) -> Option<u32> {
    #[expect(clippy::cast_possible_truncation, reason = "the flat value is an i32")]
    args.last().map(|last| *last as u32).filter(|_| ty.result_in_memory())
}

/// The place at `pointer` for values of layout `layout`, if it is one in a memory of `memory` bytes.
pub(super) fn place(pointer: u32, layout: &Layout, memory: usize) -> Result<usize, Trap> {
    aligned(pointer, layout.alignment)?;
    Ok(range(pointer, layout.size as usize, memory)?.start)
}

/// The context of the values, and the blocks that were allocated for strings and lists, in order.
pub(super) struct Lowerer<'a, 'b> {
    pub cx: &'a mut LowerContext<'b>,
    pub encoding: StringEncoding,
    pub blocks: Iter<'a, u32>,
}

impl Lowerer<'_, '_> {
    /// Lowers all values to flat values, or to the tuple at `pointer`.
    pub(super) fn all(
        mut self,
        values: &[Value],
        types: Passing<'_>,
        pointer: Option<u32>,
        flat: &mut FlatValues,
    ) -> Result<(), Trap> {
        if values.len() != types.len() {
            return Err(wrong_number());
        }
        let mut values = types.iter().zip(values);
        if !types.in_memory() {
            return values.try_for_each(|(ty, value)| self.value(flat, ty, value));
        }
        let start = place(pointer.ok_or_else(missing_block)?, types.layout(), self.cx.memory.len())?;
        let (mut target, mut next) = (Address(start), 0);
        for (ty, value) in values {
            let offset = align(next, ty.layout().alignment);
            target.seek(start, offset);
            self.value(&mut target, ty, value)?;
            next = offset.saturating_add(ty.layout().size);
        }
        Ok(())
    }

    /// Lowers `value`, which must be of type `ty`.
    fn value<T: Target>(&mut self, target: &mut T, ty: &Type, value: &Value) -> Result<(), Trap> {
        if let Some(scalar) = ty.scalar() {
            let bits = value.scalar_bits(scalar).ok_or_else(|| mismatch(value, ty))?;
            return target.write(self.cx.memory, bits, scalar.size());
        }
        match (ty, value) {
            (Type::String, Value::String(text)) => {
                let pointer = *self.blocks.next().ok_or_else(missing_block)?;
                let len = strings::store(self.cx.memory, pointer, text.as_str(), self.encoding)?;
                self.pair(target, pointer, len)
            }
            (Type::List(list) | Type::Map(list), _) => {
                let (length, size) = list_size(ty, &list.element, value)?;
                let pointer = *self.blocks.next().ok_or_else(missing_block)?;
                let range = range(pointer, size as usize, self.cx.memory.len())?;
                match packed(value) {
                    Some(bytes) => {
                        self.cx.memory.get_mut(range).ok_or(Trap::OutOfBounds)?.copy_from_slice(bytes);
                    }
                    None => self.elements(&mut Address(range.start), &list.element, value)?,
                }
                self.pair(target, pointer, length)
            }
            (Type::FixedList(list), _) => {
                let (length, _) = list_size(ty, &list.element, value)?;
                if Some(length) != list.length {
                    return Err(wrong_number());
                }
                self.elements(target, &list.element, value)
            }
            (Type::Record(record) | Type::Tuple(record), Value::Record(values)) => {
                if values.len() != record.fields.len() {
                    return Err(mismatch(value, ty));
                }
                let start = target.mark();
                for (field, value) in record.fields.iter().zip(values) {
                    target.seek(start, field.offset);
                    self.value(target, &field.ty, value)?;
                }
                Ok(())
            }
            (
                Type::Variant(variant) | Type::Enum(variant) | Type::Option(variant) | Type::Result(variant),
                _,
            ) => {
                let (index, payload) = value.case().ok_or_else(|| mismatch(value, ty))?;
                let case = variant.cases.get(index as usize).ok_or_else(|| mismatch(value, ty))?;
                let start = target.mark();
                target.write(self.cx.memory, index.into(), variant.discriminant_size() as usize)?;
                match (&case.ty, payload) {
                    (Some(ty), Some(payload)) => {
                        target.seek(start, variant.payload_offset);
                        self.value(target, ty, payload)?;
                    }
                    (None, None) => {}
                    _ => return Err(mismatch(value, ty)),
                }
                target.end(start, ty.layout())
            }
            (Type::Flags(flags), Value::Flags(bits)) => {
                target.write(self.cx.memory, u64::from(bits & flags.mask()), ty.layout().size as usize)
            }
            (Type::Own(index), Value::Own(owned)) => {
                let resource = self.resource(*index, *owned)?;
                let handle =
                    self.cx.handles.insert(Handle { resource, kind: HandleKind::Own { lends: 0 } })?;
                target.write(self.cx.memory, handle.into(), 4)
            }
            (Type::Borrow(index), Value::Borrow(borrowed)) => {
                let resource = self.resource(*index, *borrowed)?;
                let bits = if (self.cx.implements)(resource.ty) {
                    resource.rep
                } else {
                    let kind = HandleKind::Borrow { task: self.cx.task, lends: 0 };
                    let handle = self.cx.handles.insert(Handle { resource, kind })?;
                    *self.cx.borrows = self.cx.borrows.checked_add(1).ok_or(Trap::TooManyHandles)?;
                    handle
                };
                target.write(self.cx.memory, bits.into(), 4)
            }
            _ => Err(mismatch(value, ty)),
        }
    }

    /// A pointer and a length.
    fn pair<T: Target>(&mut self, target: &mut T, pointer: u32, len: u32) -> Result<(), Trap> {
        let start = target.mark();
        target.write(self.cx.memory, pointer.into(), 4)?;
        target.seek(start, 4);
        target.write(self.cx.memory, len.into(), 4)
    }

    /// The resource as the instance knows its type.
    fn resource(&self, index: ResourceIndex, value: Resource) -> Result<Resource, Trap> {
        let ty = resource(self.cx.resources, index)?;
        if value.ty != ty && value.ty != ResourceId::NONE {
            return Err(Trap::Host(format!("a resource of type {} where {} is expected", value.ty.0, ty.0)));
        }
        Ok(Resource { ty, rep: value.rep })
    }

    /// One element after the other.
    fn elements<T: Target>(&mut self, target: &mut T, element: &Type, value: &Value) -> Result<(), Trap> {
        let (start, size) = (target.mark(), element.layout().size);
        let mut offset = 0;
        let mut each = |value: &Value| {
            target.seek(start, offset);
            offset = offset.saturating_add(size);
            self.value(target, element, value)
        };
        match value {
            Value::List(elements) => elements.iter().try_for_each(each),
            Value::Bytes(bytes) => bytes.iter().try_for_each(|byte| each(&Value::U8(*byte))),
            Value::Scalars(scalars) => scalars.iter().try_for_each(|value| each(&value)),
            _ => Err(mismatch(value, element)),
        }
    }
}

/// The elements of a list in one piece, if they are kept like that.
fn packed(value: &Value) -> Option<&[u8]> {
    match value {
        Value::Bytes(bytes) => Some(bytes),
        Value::Scalars(scalars) => Some(scalars.as_bytes()),
        _ => None,
    }
}

/// The number of elements and their size in bytes, of a value of the list type `ty`.
pub(super) fn list_size(ty: &Type, element: &Type, value: &Value) -> Result<(u32, u32), Trap> {
    let length = match value {
        Value::List(elements) => elements.len(),
        Value::Bytes(bytes) if matches!(element, Type::U8) => bytes.len(),
        Value::Scalars(scalars) if Some(scalars.element()) == element.scalar() => scalars.iter().len(),
        _ => return Err(mismatch(value, ty)),
    };
    let size = length
        .checked_mul(element.layout().size as usize)
        .filter(|size| *size <= MAX_BYTES)
        .and_then(|size| u32::try_from(size).ok());
    match (u32::try_from(length), size) {
        (Ok(length), Some(size)) => Ok((length, size)),
        _ => Err(Trap::TooLarge),
    }
}

/// The embedder did not make the calls of `realloc` that it was told.
#[cold]
fn missing_block() -> Trap {
    Trap::Limit("allocations of a call")
}
