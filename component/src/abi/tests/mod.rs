//! The canonical ABI against tables whose expectations come from the specification's own interpreter (definitions.py), random
//! values both ways, and hostile guests.

mod hostile;
mod random;
mod strings;
mod values;

use super::*;
use crate::{
    Lift, Type, Value,
    types::FunctionType,
    value::{Scalar, Scalars},
};
use alloc::{boxed::Box, sync::Arc, vec, vec::Vec};

/// A guest whose `realloc` gives one block after the other, from [`START`](Guest::START) on.
pub(super) struct Guest {
    memory: Vec<u8>,
    encoding: StringEncoding,
    handles: Handles,
    resources: Vec<ResourceId>,
    /// The resource types that it implements.
    own_types: Vec<ResourceId>,
    lent: Vec<u32>,
    borrows: u32,
    top: u32,
    /// The calls of `realloc`: whether it was of the block before, size of that, alignment, size.
    calls: Vec<(bool, u32, u32, u32)>,
    /// What the last of them returned.
    last: u32,
}

impl Guest {
    const START: u32 = 64;

    fn new(encoding: StringEncoding) -> Self {
        Self {
            memory: vec![0xaa; 1 << 16],
            encoding,
            handles: Handles::default(),
            resources: vec![ResourceId(5), ResourceId(6)],
            own_types: vec![ResourceId(6)],
            lent: Vec::new(),
            borrows: 0,
            top: Self::START,
            calls: Vec::new(),
            last: 0,
        }
    }

    fn lift_context(&mut self) -> LiftContext<'_> {
        LiftContext {
            memory: &self.memory,
            encoding: self.encoding,
            handles: &mut self.handles,
            resources: &self.resources,
            lent: &mut self.lent,
        }
    }

    fn realloc(&mut self, call: Realloc) -> u32 {
        self.calls.push((call.old != 0, call.old_size, call.alignment, call.size));
        let pointer = self.top.next_multiple_of(call.alignment);
        (self.top, self.last) = (pointer + call.size, pointer);
        let (old, size) = (call.old as usize, call.old_size.min(call.size) as usize);
        self.memory.copy_within(old..old + size, pointer as usize);
        pointer
    }

    fn finish(&mut self, mut lowering: Lowering) -> Result<FlatValues, Trap> {
        while let Some(call) = lowering.next() {
            let pointer = self.realloc(call);
            lowering.allocated(pointer, self.memory.len())?;
        }
        let implements = |id| self.own_types.contains(&id);
        let mut flat = FlatValues::new();
        let mut cx = LowerContext {
            memory: &mut self.memory,
            handles: &mut self.handles,
            resources: &self.resources,
            implements: &implements,
            task: 9,
            borrows: &mut self.borrows,
        };
        lowering.finish(&mut cx, &mut flat)?;
        Ok(flat)
    }

    fn lower_params(&mut self, values: &[Value], ty: &Arc<FunctionType>) -> Result<FlatValues, Trap> {
        let lowering = Lowering::params(values.to_vec(), ty, self.encoding)?;
        self.finish(lowering)
    }

    /// Lowers a result for a call with the flat arguments `args`.
    fn lower_result(
        &mut self,
        value: Option<Value>,
        ty: &Arc<FunctionType>,
        args: &[Flat],
    ) -> Result<FlatValues, Trap> {
        let lowering = Lowering::result(value, ty, self.encoding, args, self.memory.len())?;
        self.finish(lowering)
    }

    /// Lowers one parameter.
    fn lower(&mut self, value: &Value, ty: &Type) -> Result<FlatValues, Trap> {
        self.lower_params(core::slice::from_ref(value), &function([ty.clone()], None))
    }

    fn lift_params(&mut self, flat: &FlatValues, ty: &FunctionType) -> Result<Vec<Value>, Trap> {
        let mut lifting = Lifting::params(ty, flat);
        let mut cx = self.lift_context();
        ty.params().iter().map(|(_, ty)| lifting.next(&mut cx, ty)).collect()
    }

    /// Lifts one parameter.
    fn lift(&mut self, flat: &[Flat], ty: &Type) -> Result<Value, Trap> {
        let values = self.lift_params(&flat_values(flat), &function([ty.clone()], None))?;
        Ok(values.into_iter().next().unwrap())
    }

    fn own(&mut self, ty: u32, rep: u32) -> u32 {
        let resource = crate::value::Resource { ty: ResourceId(ty), rep };
        self.handles
            .insert(crate::handles::Handle { resource, kind: crate::handles::HandleKind::Own { lends: 0 } })
            .unwrap()
    }
}

fn flat_values(values: &[Flat]) -> FlatValues {
    let mut flat = FlatValues::new();
    flat.extend(values.iter().copied()).unwrap();
    flat
}

fn function(params: impl IntoIterator<Item = Type>, result: Option<Type>) -> Arc<FunctionType> {
    let params: Vec<(Box<str>, Type)> = params.into_iter().map(|ty| ("p".into(), ty)).collect();
    Arc::new(FunctionType::new(params, result).unwrap())
}

fn list(ty: Type) -> Type {
    Type::list(ty).unwrap()
}

fn tuple(types: impl IntoIterator<Item = Type>) -> Type {
    Type::tuple(types).unwrap()
}

fn option(ty: Type) -> Type {
    Type::option(ty).unwrap()
}

fn variant<const N: usize>(cases: [(&str, Option<Type>); N]) -> Type {
    Type::variant(cases.map(|(name, ty)| (name.into(), ty))).unwrap()
}

fn names(count: u32) -> impl Iterator<Item = Box<str>> {
    (0..count).map(|index| alloc::format!("n{index}").into())
}

fn scalars(element: Scalar, bytes: &[u8]) -> Value {
    Value::Scalars(Scalars::new(element, bytes.to_vec()).unwrap())
}

fn some(value: Value) -> Value {
    Value::Option(Some(Box::new(value)))
}

fn case(index: u32, value: Value) -> Value {
    Value::Variant(index, Some(Box::new(value)))
}
