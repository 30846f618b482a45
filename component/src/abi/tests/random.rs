//! Random types and values: what is lowered is lifted again; and random memory under random types, which must never panic.

use super::*;
use crate::value::{Source, Text};
use alloc::string::String;

/// A xorshift generator: the same numbers in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: u32) -> u32 {
        ((self.next() >> 32) % u64::from(bound)) as u32
    }

    fn types(&mut self, depth: u32, most: u32) -> Vec<Type> {
        (0..=self.below(most)).map(|_| self.ty(depth)).collect()
    }

    fn optional(&mut self, depth: u32) -> Option<Type> {
        (self.below(3) > 0).then(|| self.ty(depth))
    }

    fn ty(&mut self, depth: u32) -> Type {
        let plain = [
            Type::Bool,
            Type::S8,
            Type::U8,
            Type::S16,
            Type::U16,
            Type::S32,
            Type::U32,
            Type::S64,
            Type::U64,
            Type::F32,
            Type::F64,
            Type::Char,
            Type::String,
        ];
        let kinds = if depth == 0 { 13 } else { 24 };
        let inner = depth.saturating_sub(1);
        let made = match self.below(kinds) {
            13 | 14 => Type::list(self.ty(inner)),
            15 => {
                let element = self.ty(inner);
                Type::fixed_list(element, 1 + self.below(4))
            }
            16 => {
                let types = self.types(inner, 4);
                Type::record(names(99).zip(types))
            }
            17 => Type::tuple(self.types(inner, 4)),
            18 => {
                let count = self.below(4) as usize;
                let cases: Vec<_> = (0..=count).map(|_| self.optional(inner)).collect();
                Type::variant(names(99).zip(cases))
            }
            19 => Type::option(self.ty(inner)),
            20 => {
                let (ok, error) = (self.optional(inner), self.optional(inner));
                Type::result(ok, error)
            }
            21 => Type::enumeration(names([1, 3, 256, 257][self.below(4) as usize])),
            22 => Type::flags(names(1 + self.below(32))),
            23 => {
                let value = self.ty(inner);
                Type::map(Type::U8, value)
            }
            plain_kind => return plain[plain_kind as usize].clone(),
        };
        made.unwrap()
    }

    fn char(&mut self) -> char {
        let bound = [0x80, 0x100, 0x800, 0x11_0000][self.below(4) as usize];
        char::from_u32(self.below(bound)).unwrap_or('x')
    }

    fn text(&mut self) -> String {
        (0..self.below(6)).map(|_| self.char()).collect()
    }

    /// A value as lifting from a guest with UTF-8 strings gives it.
    fn value(&mut self, ty: &Type) -> Value {
        if let Some(scalar) = ty.scalar() {
            let bits = self.next();
            return match scalar.value(bits) {
                // A NaN is not equal to itself; values.rs has them.
                Some(Value::F32(float)) if float.is_nan() => Value::F32(0.5),
                Some(Value::F64(float)) if float.is_nan() => Value::F64(0.5),
                Some(value) => value,
                None => Value::Char(self.char()),
            };
        }
        match ty {
            Type::String => Value::String(Text::new(self.text(), Source::Utf8)),
            Type::List(list) | Type::Map(list) | Type::FixedList(list) => {
                let length = list.length.unwrap_or_else(|| self.below(4));
                let elements: Vec<_> = (0..length).map(|_| self.value(&list.element)).collect();
                let Some(scalar) = list.element.scalar() else { return Value::List(elements) };
                let bytes = elements.iter().flat_map(|value| {
                    value.scalar_bits(scalar).unwrap().to_le_bytes().into_iter().take(scalar.size())
                });
                match scalar {
                    Scalar::U8 => Value::Bytes(bytes.collect()),
                    _ => Value::Scalars(Scalars::new(scalar, bytes.collect()).unwrap()),
                }
            }
            Type::Record(record) | Type::Tuple(record) => {
                Value::Record(record.fields.iter().map(|field| self.value(&field.ty)).collect())
            }
            Type::Flags(flags) => Value::Flags(self.next() as u32 & flags.mask()),
            Type::Variant(variant) | Type::Enum(variant) | Type::Option(variant) | Type::Result(variant) => {
                let index = self.below(variant.cases.len() as u32);
                let case = &variant.cases[index as usize];
                let payload = case.ty.as_ref().map(|ty| Box::new(self.value(ty)));
                match (ty, index) {
                    (Type::Option(_), _) => Value::Option(payload),
                    (Type::Result(_), 0) => Value::Result(Ok(payload)),
                    (Type::Result(_), _) => Value::Result(Err(payload)),
                    _ => Value::Variant(index, payload),
                }
            }
            _ => unreachable!("no handles here"),
        }
    }
}

#[test]
fn random_values_come_back() {
    let mut random = Random(0x1234_5678_9abc_def1);
    let (mut in_memory, mut allocating) = (0, 0);
    for _ in 0..4000 {
        let types = random.types(3, 5);
        let values: Vec<_> = types.iter().map(|ty| random.value(ty)).collect();
        let ty = function(types, None);
        let mut guest = Guest::new(StringEncoding::Utf8);
        let flat = guest.lower_params(&values, &ty).unwrap();
        assert_eq!(flat.as_slice().len(), ty.lifted().params.len());
        assert_eq!(guest.lift_params(&flat, &ty).unwrap(), values, "{ty}");
        in_memory += usize::from(ty.params_in_memory());
        allocating += usize::from(!guest.calls.is_empty());

        // A result, in the two other encodings.
        let value = values.into_iter().next();
        let result = ty.params().first().map(|(_, ty)| ty.clone());
        let ty = function([], result.clone());
        for encoding in [StringEncoding::Utf16, StringEncoding::CompactUtf16] {
            let mut guest = Guest::new(encoding);
            let args = flat_values(&[0x8000]);
            let flat = guest.lower_result(value.clone(), &ty, &args).unwrap();
            let flat = if ty.result_in_memory() { args } else { flat };
            let lifted = Lifting::result(&ty, &flat)
                .next(&mut guest.lift_context(), result.as_ref().unwrap())
                .unwrap();
            // But for the encoding of its strings it is the same: lower both for the same guest.
            let mut once = Guest::new(StringEncoding::Utf8);
            let mut twice = Guest::new(StringEncoding::Utf8);
            let ty = result.as_ref().unwrap();
            let a = once.lower(value.as_ref().unwrap(), ty).unwrap();
            let b = twice.lower(&lifted, ty).unwrap();
            let a = once.lift(a.as_slice(), ty).unwrap();
            assert_eq!(twice.lift(b.as_slice(), ty).unwrap(), a, "{ty}");
        }
    }
    assert!(in_memory > 50 && allocating > 1000, "{in_memory} {allocating}");
}

#[test]
fn random_memory_never_panics() {
    let mut random = Random(0xfeed_beef_1357_2468);
    let (mut valid, mut traps) = (0, 0);
    for round in 0..4000_u32 {
        let types = random.types(3, 4);
        let ty = function(types, None);
        let encoding =
            [StringEncoding::Utf8, StringEncoding::Utf16, StringEncoding::CompactUtf16][round as usize % 3];
        let mut guest = Guest::new(encoding);
        guest.memory.truncate(4096);
        // Small numbers, so that some pointers and lengths are good.
        for byte in &mut guest.memory {
            *byte = if random.below(4) == 0 { random.below(32) as u8 } else { 0 };
        }
        let mut flat = FlatValues::new();
        for _ in 0..ty.lifted().params.len() {
            let wild = random.below(8) == 0;
            flat.push(if wild { random.next() } else { (random.below(16) * 8).into() }).unwrap();
        }
        let mut lifting = Lifting::params(&ty, &flat).with_budget(1 << 20);
        let mut cx = guest.lift_context();
        let lifted: Result<Vec<_>, _> = ty.params().iter().map(|(_, ty)| lifting.next(&mut cx, ty)).collect();
        match lifted {
            Ok(values) => {
                valid += 1;
                Guest::new(StringEncoding::Utf8).lower_params(&values, &ty).unwrap();
            }
            Err(_) => traps += 1,
        }
    }
    assert!(valid > 500 && traps > 500, "{valid} {traps}");
}
