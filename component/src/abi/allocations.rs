//! What lowering allocates in the guest: the calls of `realloc`, in the canonical order, one at a time.
//!
//! The canonical ABI stores while it allocates. Here all is stored in the end, by the same walk in the same order: a guest
//! sees a difference only if its `realloc` reads what was not given to it yet.

use super::{
    Flat, FlatValues, LowerContext, Passing, StringEncoding, aligned,
    lower::{Lowerer, list_size, place, result_place},
    mismatch, range,
    strings::{self, Steps},
    wrong_number,
};
use crate::{FunctionType, Trap, Type, Value};
use alloc::{sync::Arc, vec::Vec};

/// A call of the guest's `realloc`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Realloc {
    /// The block to grow or shrink; 0 for a new one.
    pub old: u32,
    /// Its size in bytes.
    pub old_size: u32,
    /// The alignment asked for.
    pub alignment: u32,
    /// The size asked for, in bytes.
    pub size: u32,
}

/// A call that is still to be made.
#[derive(Clone, Copy, Debug)]
struct Call {
    alignment: u32,
    size: u32,
    /// The size of the block that it continues, if it is not a new one.
    old_size: Option<u32>,
}

/// Values on their way into a guest that has to give memory for them.
#[derive(Debug)]
pub struct Lowering {
    values: Values,
    ty: Arc<FunctionType>,
    encoding: StringEncoding,
    /// Where a result goes that is not flat, as the caller said it.
    out: Option<u32>,
    calls: Vec<Call>,
    /// The calls that were made.
    made: usize,
    /// The blocks as they are in the end; the last may still be changed by the next call.
    blocks: Vec<u32>,
}

#[derive(Debug)]
enum Values {
    Params(Vec<Value>),
    Result(Option<Value>),
}

impl Values {
    fn as_slice(&self) -> &[Value] {
        match self {
            Self::Params(values) => values,
            Self::Result(value) => value.as_slice(),
        }
    }

    fn types<'a>(&self, ty: &'a FunctionType) -> Passing<'a> {
        match self {
            Self::Params(_) => Passing::Params(ty),
            Self::Result(_) => Passing::Result(ty),
        }
    }
}

impl Lowering {
    /// The parameters of a function of type `ty`, for the guest that implements it.
    ///
    /// # Errors
    /// [`Trap::TooLarge`]; [`Trap::Host`], if the values are not of the types.
    pub fn params(
        values: Vec<Value>,
        ty: &Arc<FunctionType>,
        encoding: StringEncoding,
    ) -> Result<Self, Trap> {
        Self::new(Values::Params(values), ty, encoding, None)
    }

    /// The result of a function of type `ty`, for the guest that has called it with `args`: if the result is not flat, the
    /// last of them says where it goes. `memory` is the size of that guest's memory.
    ///
    /// # Errors
    /// As [`params`](Self::params); [`Trap::Unaligned`] and [`Trap::OutOfBounds`] about where the result goes.
    pub fn result(
        value: Option<Value>,
        ty: &Arc<FunctionType>,
        encoding: StringEncoding,
        args: &[Flat],
        memory: usize,
    ) -> Result<Self, Trap> {
        let out = result_place(ty, args);
        if let Some(pointer) = out {
            place(pointer, ty.result_layout(), memory)?;
        }
        Self::new(Values::Result(value), ty, encoding, out)
    }

    fn new(
        values: Values,
        ty: &Arc<FunctionType>,
        encoding: StringEncoding,
        out: Option<u32>,
    ) -> Result<Self, Trap> {
        let types = values.types(ty);
        let layout = types.layout();
        if values.as_slice().len() != types.len() {
            return Err(wrong_number());
        }
        let mut plan = Plan { calls: Vec::new(), encoding };
        if types.in_memory() && out.is_none() {
            plan.block(layout.alignment, layout.size)?;
        }
        if layout.needs_allocation {
            types.iter().zip(values.as_slice()).try_for_each(|(ty, value)| plan.value(ty, value))?;
        }
        Ok(Self { values, ty: ty.clone(), encoding, out, calls: plan.calls, made: 0, blocks: Vec::new() })
    }

    /// The next call of `realloc` to make, if there is one. To be followed by [`allocated`](Self::allocated).
    pub fn next(&self) -> Option<Realloc> {
        let call = self.calls.get(self.made)?;
        let (old, old_size) = match call.old_size {
            Some(size) => (self.blocks.last().copied().unwrap_or(0), size),
            None => (0, 0),
        };
        Some(Realloc { old, old_size, alignment: call.alignment, size: call.size })
    }

    /// Takes what the call returned; `memory` is the size of the guest's memory now.
    ///
    /// # Errors
    /// [`Trap::Unaligned`], [`Trap::OutOfBounds`].
    pub fn allocated(&mut self, pointer: u32, memory: usize) -> Result<(), Trap> {
        let Some(call) = self.calls.get(self.made) else { return Ok(()) };
        aligned(pointer, call.alignment)?;
        range(pointer, call.size as usize, memory)?;
        self.made = self.made.saturating_add(1);
        match (call.old_size, self.blocks.last_mut()) {
            (Some(_), Some(block)) => *block = pointer,
            _ => {
                self.blocks.try_reserve(1).map_err(|_| Trap::Limit("host memory"))?;
                self.blocks.push(pointer);
            }
        }
        Ok(())
    }

    /// Stores all values, once every call of `realloc` was made.
    ///
    /// # Errors
    /// [`Trap::TooManyHandles`]; [`Trap::Host`], if a value is not of its type; [`Trap::Limit`], if calls are missing;
    /// [`Trap::OutOfBounds`], if the memory has become smaller.
    pub fn finish(self, cx: &mut LowerContext<'_>, flat: &mut FlatValues) -> Result<(), Trap> {
        let types = self.values.types(&self.ty);
        let mut blocks = self.blocks.iter();
        let mut pointer = self.out;
        if types.in_memory() && pointer.is_none() {
            pointer = blocks.next().copied();
            flat.push(pointer.unwrap_or(0).into())?;
        }
        let lowerer = Lowerer { cx, encoding: self.encoding, blocks };
        lowerer.all(self.values.as_slice(), types, pointer, flat)
    }
}

/// The calls that are found while the values are walked.
struct Plan {
    calls: Vec<Call>,
    encoding: StringEncoding,
}

impl Plan {
    fn call(&mut self, call: Call) -> Result<(), Trap> {
        self.calls.try_reserve(1).map_err(|_| Trap::Limit("host memory"))?;
        self.calls.push(call);
        Ok(())
    }

    /// A new block.
    fn block(&mut self, alignment: u32, size: u32) -> Result<(), Trap> {
        self.call(Call { alignment, size, old_size: None })
    }

    /// What `value` of type `ty` needs.
    fn value(&mut self, ty: &Type, value: &Value) -> Result<(), Trap> {
        if !ty.layout().needs_allocation {
            return Ok(());
        }
        match (ty, value) {
            (Type::String, Value::String(text)) => {
                let Steps { alignment, first, grown, shrunk } = strings::steps(text, self.encoding)?;
                self.block(alignment, first)?;
                let mut size = first;
                for (alignment, next) in grown.map(|size| (alignment, size)).into_iter().chain(shrunk) {
                    self.call(Call { alignment, size: next, old_size: Some(size) })?;
                    size = next;
                }
                Ok(())
            }
            (Type::List(list) | Type::Map(list), _) => {
                let (_, size) = list_size(ty, &list.element, value)?;
                self.block(list.element.layout().alignment, size)?;
                self.elements(&list.element, value)
            }
            (Type::FixedList(list), _) => self.elements(&list.element, value),
            (Type::Record(record) | Type::Tuple(record), Value::Record(values)) => {
                let mut fields = record.fields.iter().zip(values);
                fields.try_for_each(|(field, value)| self.value(&field.ty, value))
            }
            (
                Type::Variant(variant) | Type::Enum(variant) | Type::Option(variant) | Type::Result(variant),
                _,
            ) => {
                let (index, payload) = value.case().ok_or_else(|| mismatch(value, ty))?;
                match (variant.cases.get(index as usize).map(|case| &case.ty), payload) {
                    (Some(Some(ty)), Some(payload)) => self.value(ty, payload),
                    (Some(None), None) => Ok(()),
                    _ => Err(mismatch(value, ty)),
                }
            }
            _ => Err(mismatch(value, ty)),
        }
    }

    /// What each element of a list needs.
    fn elements(&mut self, element: &Type, value: &Value) -> Result<(), Trap> {
        match value {
            Value::List(values) if element.layout().needs_allocation => {
                values.iter().try_for_each(|value| self.value(element, value))
            }
            // Scalars need nothing, and what is no list is refused when it is stored.
            _ => Ok(()),
        }
    }
}
