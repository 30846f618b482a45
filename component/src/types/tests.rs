//! Layouts, signatures, limits and names of types. That layouts are right in detail is tested with the canonical ABI.

use super::{
    CoreType::{self, F32, F64, I32, I64},
    *,
};
use alloc::{string::ToString, vec};

fn variant<const N: usize>(payloads: [Option<Type>; N]) -> Type {
    Type::variant(payloads.into_iter().map(|ty| ("c".into(), ty))).unwrap()
}

fn names(count: usize) -> impl Iterator<Item = Box<str>> {
    (0..count).map(|_| "n".into())
}

#[test]
fn cases_share_their_flat_values() {
    let tuple = |types: &[Type]| Some(Type::tuple(types.to_vec()).unwrap());
    let rows: [(Type, &[CoreType]); 7] = [
        (variant([None]), &[I32]),
        (variant([Some(Type::F32), Some(Type::F32)]), &[I32, F32]),
        (variant([Some(Type::F32), Some(Type::Char)]), &[I32, I32]),
        (variant([Some(Type::F32), Some(Type::F64)]), &[I32, I64]),
        (variant([Some(Type::F64), Some(Type::F64)]), &[I32, F64]),
        (variant([Some(Type::U64), Some(Type::F64)]), &[I32, I64]),
        (
            variant([Some(Type::U8), tuple(&[Type::F32, Type::F64, Type::F32]), Some(Type::String)]),
            &[I32, I32, I64, F32],
        ),
    ];
    for (ty, flat) in rows {
        assert_eq!(ty.layout().flat.as_slice(), flat, "{ty}");
    }
}

#[test]
fn flat_values_are_counted_up_to_one_more_than_are_passed() {
    for (count, len) in [(1, 1), (16, 16), (17, 17), (18, 17), (1000, 17)] {
        let list = Type::fixed_list(Type::U8, count).unwrap();
        let tuple = Type::tuple((0..count).map(|_| Type::U8)).unwrap();
        for ty in [list, tuple] {
            assert_eq!(ty.layout().flat.len(), len, "{count}");
            assert_eq!(ty.layout().flat.exceeds(MAX_FLAT_PARAMS), count > 16, "{count}");
        }
    }
    // One in the way: a discriminant, and more than what is counted.
    let ty = variant([Some(Type::fixed_list(Type::U8, 16).unwrap())]);
    assert!(ty.layout().flat.exceeds(MAX_FLAT_PARAMS));
}

#[test]
fn functions_have_a_lifted_and_a_lowered_form() {
    let params = |count| (0..count).map(|_| ("p".into(), Type::U64));
    let pair = || Some(Type::tuple([Type::U8, Type::F32]).unwrap());
    type Row<'a> = (usize, Option<Type>, (&'a [CoreType], &'a [CoreType]), (&'a [CoreType], &'a [CoreType]));
    let sixteen = [I64; 16];
    let with_place: Vec<_> = sixteen.into_iter().chain([I32]).collect();
    let rows: [Row<'_>; 6] = [
        (0, None, (&[], &[]), (&[], &[])),
        (1, Some(Type::F64), (&[I64], &[F64]), (&[I64], &[F64])),
        (1, pair(), (&[I64], &[I32]), (&[I64, I32], &[])),
        (16, pair(), (&sixteen, &[I32]), (&with_place, &[])),
        (17, None, (&[I32], &[]), (&[I32], &[])),
        (17, pair(), (&[I32], &[I32]), (&[I32, I32], &[])),
    ];
    for (count, result, lifted, lowered) in rows {
        let ty = FunctionType::new(params(count), result).unwrap();
        assert_eq!((ty.lifted().params.as_slice(), ty.lifted().results.as_slice()), lifted, "{ty}");
        assert_eq!((ty.lowered().params.as_slice(), ty.lowered().results.as_slice()), lowered, "{ty}");
        assert_eq!(ty.params_in_memory(), count > 16);
        assert_eq!(ty.result_in_memory(), ty.result() == pair().as_ref());
    }
}

#[test]
fn it_is_known_what_a_type_contains() {
    let own = Type::Own(ResourceIndex(0));
    let rows = [
        (Type::U64, false, false),
        (Type::String, true, false),
        (own.clone(), false, true),
        (Type::list(own.clone()).unwrap(), true, true),
        (Type::fixed_list(own.clone(), 2).unwrap(), false, true),
        (Type::fixed_list(Type::String, 2).unwrap(), true, false),
        (Type::map(Type::U8, Type::Borrow(ResourceIndex(1))).unwrap(), true, true),
        (variant([None, Some(Type::String), Some(own.clone())]), true, true),
        (Type::tuple([own, Type::String, Type::U8]).unwrap(), true, true),
        (Type::tuple([Type::U8, Type::option(Type::String).unwrap()]).unwrap(), true, false),
        (Type::option(Type::U8).unwrap(), false, false),
    ];
    for (ty, needs_allocation, contains_handles) in rows {
        let layout = ty.layout();
        assert_eq!(
            (layout.needs_allocation, layout.contains_handles),
            (needs_allocation, contains_handles),
            "{ty}"
        );
    }
}

#[test]
fn what_is_too_large_is_refused() {
    const MOST: u32 = (1 << 28) - 1;
    let bytes = |length| Type::fixed_list(Type::U8, length);
    assert!(bytes(MOST).is_ok());
    assert_eq!(bytes(MOST + 1), Err(TypeError::TooLarge));
    assert_eq!(bytes(u32::MAX), Err(TypeError::TooLarge));
    assert!(Type::fixed_list(Type::U64, MOST / 8).is_ok());
    assert_eq!(Type::fixed_list(Type::U64, MOST / 8 + 1), Err(TypeError::TooLarge));
    // 2^32 bytes.
    assert_eq!(Type::fixed_list(Type::U64, 1 << 29), Err(TypeError::TooLarge));
    // Counted as in a 64-bit memory, where a string takes 16 bytes.
    assert!(Type::fixed_list(Type::String, MOST / 16).is_ok());
    assert_eq!(Type::fixed_list(Type::String, MOST / 16 + 1), Err(TypeError::TooLarge));
    assert!(Type::tuple([bytes(MOST - 1).unwrap(), Type::U8]).is_ok());
    assert_eq!(Type::tuple([bytes(MOST).unwrap(), Type::U8]), Err(TypeError::TooLarge));
    assert_eq!(Type::option(bytes(MOST).unwrap()), Err(TypeError::TooLarge));
    // What is behind a pointer does not count, but each alone does.
    assert!(Type::option(Type::list(bytes(MOST).unwrap()).unwrap()).is_ok());
    let params = [("a".into(), bytes(MOST).unwrap()), ("b".into(), Type::U8)];
    assert_eq!(FunctionType::new(params, None).err(), Some(TypeError::TooLarge));
}

#[test]
fn what_is_too_deep_or_too_complex_is_refused() {
    let mut ty = Type::U8;
    let mut depth = 0;
    let refused = loop {
        match Type::list(ty.clone()) {
            Ok(deeper) => (ty, depth) = (deeper, depth + 1),
            Err(error) => break error,
        }
    };
    assert_eq!((depth, refused), (100, TypeError::TooDeep));
    // Each holds the one before twice: small in memory, and exponential to walk.
    let mut ty = Type::U8;
    let refused = loop {
        let list = Type::list(ty).unwrap();
        match Type::tuple([list.clone(), list]) {
            Ok(larger) => ty = larger,
            Err(error) => break error,
        }
    };
    assert_eq!(refused, TypeError::TooComplex);
}

#[test]
fn what_is_empty_or_too_many_is_refused() {
    assert_eq!(Type::tuple([]), Err(TypeError::Empty));
    assert_eq!(Type::record([]), Err(TypeError::Empty));
    assert_eq!(Type::variant([]), Err(TypeError::Empty));
    assert_eq!(Type::enumeration([]), Err(TypeError::Empty));
    assert_eq!(Type::flags([]), Err(TypeError::Empty));
    assert_eq!(Type::fixed_list(Type::U8, 0), Err(TypeError::Empty));
    assert!(Type::flags(names(32)).is_ok());
    assert_eq!(Type::flags(names(33)), Err(TypeError::TooMany));
    for (count, mask) in [(1, 1), (8, 0xff), (31, 0x7fff_ffff), (32, u32::MAX)] {
        let Ok(Type::Flags(flags)) = Type::flags(names(count)) else { panic!() };
        assert_eq!(flags.mask(), mask);
    }
}

#[test]
fn types_are_compared_by_structure() {
    let record = |name: &str, ty| Type::record([(name.into(), ty)]).unwrap();
    assert_eq!(record("a", Type::U8), record("a", Type::U8));
    assert_ne!(record("a", Type::U8), record("b", Type::U8));
    assert_ne!(record("a", Type::U8), record("a", Type::S8));
    assert_ne!(Type::list(Type::U8), Type::list(Type::S8));
    let map = Type::map(Type::U8, Type::U8).unwrap();
    let pairs = Type::list(Type::tuple([Type::U8, Type::U8]).unwrap()).unwrap();
    assert_ne!(map, pairs);
    assert_eq!(map.layout(), pairs.layout());
    assert_ne!(Type::Own(ResourceIndex(0)), Type::Own(ResourceIndex(1)));
}

#[test]
fn types_are_written_as_in_wit() {
    let rows = vec![
        (Type::list(Type::S64), "list<s64>"),
        (Type::fixed_list(Type::F32, 4), "list<f32, 4>"),
        (Type::map(Type::String, Type::Bool), "map<string, bool>"),
        (Type::record([("a".into(), Type::U8), ("b-c".into(), Type::Char)]), "record { a: u8, b-c: char }"),
        (Type::tuple([Type::S8, Type::U16, Type::S16]), "tuple<s8, u16, s16>"),
        (Type::variant([("x".into(), None), ("y".into(), Some(Type::F64))]), "variant { x, y(f64) }"),
        (Type::enumeration(["up".into(), "down".into()]), "enum { up, down }"),
        (Type::option(Type::S32), "option<s32>"),
        (Type::result(None, None), "result"),
        (Type::result(Some(Type::U32), None), "result<u32>"),
        (Type::result(None, Some(Type::U32)), "result<_, u32>"),
        (Type::result(Some(Type::U8), Some(Type::U64)), "result<u8, u64>"),
        (Type::flags(["r".into(), "w".into()]), "flags { r, w }"),
        (Ok(Type::Own(ResourceIndex(3))), "own<resource 3>"),
        (Ok(Type::Borrow(ResourceIndex(3))), "borrow<resource 3>"),
    ];
    for (ty, wit) in rows {
        assert_eq!(ty.unwrap().to_string(), wit);
    }
    let params = [("a".into(), Type::U8), ("b".into(), Type::String)];
    let ty = FunctionType::new(params, Some(Type::Bool)).unwrap();
    assert_eq!(ty.to_string(), "func(a: u8, b: string) -> bool");
    assert_eq!(FunctionType::new([], None).unwrap().to_string(), "func()");
}
