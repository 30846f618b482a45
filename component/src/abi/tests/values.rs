//! Values of every type: their flat values and their bytes, both ways; where parameters and results go through memory;
//! handles.

use super::*;
use crate::{handles::HandleKind, value::Resource};

/// Type, value, flat values, bytes. Bytes that are written as 0xaa are padding, which stays as it was.
fn table() -> Vec<(Type, Value, Vec<Flat>, Vec<u8>)> {
    use Type::{Bool, Char, F32, F64, S8, S16, S32, S64, U8, U16, U32, U64};
    const P: u8 = 0xaa;
    let float = |value: f32| u64::from(value.to_bits());
    let record = |types| Type::record(names(9).zip::<Vec<Type>>(types)).unwrap();
    // i32 and f32 join to i32, everything with something longer to i64.
    let mixed = variant([
        ("a", Some(U8)),
        ("b", Some(tuple([F32, F64]))),
        ("c", None),
        ("d", Some(tuple([U64, U8, S16]))),
        ("e", Some(F32)),
        ("f", Some(tuple([F32, F32, F32]))),
    ]);
    let narrow = variant([("a", Some(F32)), ("b", Some(U32)), ("c", Some(Char))]);
    let floats = variant([("a", Some(F32)), ("b", Some(F32))]);
    vec![
        (Bool, Value::Bool(true), vec![1], vec![1]),
        (Bool, Value::Bool(false), vec![0], vec![0]),
        (S8, Value::S8(-2), vec![0xffff_fffe], vec![0xfe]),
        (U8, Value::U8(200), vec![200], vec![200]),
        (S16, Value::S16(-3), vec![0xffff_fffd], vec![0xfd, 0xff]),
        (U16, Value::U16(0x1234), vec![0x1234], vec![0x34, 0x12]),
        (S32, Value::S32(i32::MIN), vec![0x8000_0000], vec![0, 0, 0, 0x80]),
        (U32, Value::U32(0x0102_0304), vec![0x0102_0304], vec![4, 3, 2, 1]),
        (S64, Value::S64(-1), vec![u64::MAX], vec![0xff; 8]),
        (U64, Value::U64(0x0102_0304_0506_0708), vec![0x0102_0304_0506_0708], vec![8, 7, 6, 5, 4, 3, 2, 1]),
        (F32, Value::F32(1.5), vec![0x3fc0_0000], vec![0, 0, 0xc0, 0x3f]),
        (F64, Value::F64(-2.0), vec![0xc000_0000_0000_0000], vec![0, 0, 0, 0, 0, 0, 0, 0xc0]),
        (Char, Value::Char('\u{10ffff}'), vec![0x10_ffff], vec![0xff, 0xff, 0x10, 0]),
        (tuple([U8]), Value::Record(vec![Value::U8(7)]), vec![7], vec![7]),
        (
            record(vec![U8, U32, U16, U64, Bool]),
            Value::Record(vec![Value::U8(1), Value::U32(2), Value::U16(3), Value::U64(4), Value::Bool(true)]),
            vec![1, 2, 3, 4, 1],
            vec![
                1, P, P, P, 2, 0, 0, 0, 3, 0, P, P, P, P, P, P, 4, 0, 0, 0, 0, 0, 0, 0, 1, P, P, P, P, P, P,
                P,
            ],
        ),
        (Type::enumeration(names(257)).unwrap(), Value::Variant(256, None), vec![256], vec![0, 1]),
        (Type::enumeration(names(256)).unwrap(), Value::Variant(255, None), vec![255], vec![255]),
        (Type::enumeration(names(0x1_0001)).unwrap(), Value::Variant(3, None), vec![3], vec![3, 0, 0, 0]),
        (Type::flags(names(8)).unwrap(), Value::Flags(0x81), vec![0x81], vec![0x81]),
        (Type::flags(names(9)).unwrap(), Value::Flags(0x101), vec![0x101], vec![1, 1]),
        (Type::flags(names(32)).unwrap(), Value::Flags(u32::MAX), vec![0xffff_ffff], vec![0xff; 4]),
        (option(U64), Value::Option(None), vec![0, 0], vec![0, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P]),
        (option(U16), some(Value::U16(9)), vec![1, 9], vec![1, P, 9, 0]),
        (option(option(U8)), some(Value::Option(None)), vec![1, 0, 0], vec![1, 0, P]),
        (Type::result(None, None).unwrap(), Value::Result(Err(None)), vec![1], vec![1]),
        (
            Type::result(Some(U8), Some(U32)).unwrap(),
            Value::Result(Ok(Some(Box::new(Value::U8(5))))),
            vec![0, 5],
            vec![0, P, P, P, 5, P, P, P],
        ),
        (
            Type::result(None, Some(F32)).unwrap(),
            Value::Result(Err(Some(Box::new(Value::F32(1.5))))),
            vec![1, 0x3fc0_0000],
            vec![1, P, P, P, 0, 0, 0xc0, 0x3f],
        ),
        (narrow.clone(), case(0, Value::F32(2.0)), vec![0, float(2.0)], vec![0, P, P, P, 0, 0, 0, 0x40]),
        (narrow, case(2, Value::Char('A')), vec![2, 65], vec![2, P, P, P, 65, 0, 0, 0]),
        (floats, case(1, Value::F32(2.0)), vec![1, float(2.0)], vec![1, P, P, P, 0, 0, 0, 0x40]),
        (
            mixed.clone(),
            case(0, Value::U8(255)),
            vec![0, 255, 0, 0],
            [vec![0; 1], vec![P; 7], vec![255], vec![P; 15]].concat(),
        ),
        (
            mixed.clone(),
            case(1, Value::Record(vec![Value::F32(1.5), Value::F64(-2.0)])),
            vec![1, 0x3fc0_0000, 0xc000_0000_0000_0000, 0],
            [vec![1], vec![P; 7], vec![0, 0, 0xc0, 0x3f, P, P, P, P, 0, 0, 0, 0, 0, 0, 0, 0xc0]].concat(),
        ),
        (mixed.clone(), Value::Variant(2, None), vec![2, 0, 0, 0], [vec![2], vec![P; 23]].concat()),
        (
            mixed.clone(),
            case(3, Value::Record(vec![Value::U64(u64::MAX), Value::U8(1), Value::S16(-1)])),
            vec![3, u64::MAX, 1, 0xffff_ffff],
            [vec![3], vec![P; 7], vec![0xff; 8], vec![1, P, 0xff, 0xff, P, P, P, P]].concat(),
        ),
        (
            mixed,
            case(5, Value::Record([1.0, 2.0, 3.0].map(Value::F32).to_vec())),
            vec![5, float(1.0), float(2.0), float(3.0)],
            [vec![5], vec![P; 7], vec![0, 0, 0x80, 0x3f, 0, 0, 0, 0x40, 0, 0, 0x40, 0x40], vec![P; 4]]
                .concat(),
        ),
        (Type::fixed_list(U8, 3).unwrap(), Value::Bytes(vec![1, 2, 3]), vec![1, 2, 3], vec![1, 2, 3]),
        (
            Type::fixed_list(S16, 2).unwrap(),
            scalars(Scalar::S16, &[0xff, 0xff, 1, 0]),
            vec![0xffff_ffff, 1],
            vec![0xff, 0xff, 1, 0],
        ),
        (
            Type::fixed_list(tuple([U8, U16]), 2).unwrap(),
            Value::List(
                [(1, 2), (3, 4)].map(|(a, b)| Value::Record(vec![Value::U8(a), Value::U16(b)])).to_vec(),
            ),
            vec![1, 2, 3, 4],
            vec![1, P, 2, 0, 3, P, 4, 0],
        ),
    ]
}

#[test]
fn flat_values_both_ways() {
    for (ty, value, flat, _) in table() {
        let mut guest = Guest::new(StringEncoding::Utf8);
        assert_eq!(guest.lower(&value, &ty).unwrap().as_slice(), flat, "{ty}: {value:?}");
        assert_eq!(guest.lift(&flat, &ty).unwrap(), value, "{ty}");
        assert_eq!(ty.layout().flat.len(), flat.len(), "{ty}");
        assert!(guest.calls.is_empty());
    }
}

#[test]
fn memory_both_ways() {
    for (ty, value, _, bytes) in table() {
        // Two elements, so that the size counts as well.
        let (many, value) = (list(tuple([ty.clone()])), Value::Record(vec![value]));
        let mut guest = Guest::new(StringEncoding::Utf8);
        let flat = guest.lower(&Value::List(vec![value.clone(), value.clone()]), &many).unwrap();
        let size = u32::try_from(bytes.len()).unwrap();
        assert_eq!(guest.calls, [(false, 0, ty.layout().alignment, size * 2)], "{ty}");
        assert_eq!(flat.as_slice(), [Guest::START.into(), 2]);
        let written = &guest.memory[Guest::START as usize..][..bytes.len() * 2];
        assert_eq!(written, bytes.repeat(2), "{ty}");
        assert!(guest.memory[Guest::START as usize + written.len()..].iter().all(|byte| *byte == 0xaa));
        assert_eq!(
            guest.lift(flat.as_slice(), &many).unwrap(),
            Value::List(vec![value.clone(), value]),
            "{ty}"
        );
    }
}

#[test]
fn what_the_upper_bits_say_is_ignored() {
    let mut guest = Guest::new(StringEncoding::Utf8);
    let mut lift = |flat: &[Flat], ty: Type| guest.lift(flat, &ty).unwrap();
    assert_eq!(lift(&[0x1_0000_0000], Type::Bool), Value::Bool(false));
    assert_eq!(lift(&[0x100], Type::Bool), Value::Bool(true));
    assert_eq!(lift(&[0xffff_ff80], Type::S8), Value::S8(-128));
    assert_eq!(lift(&[0x1_80], Type::S8), Value::S8(-128));
    assert_eq!(lift(&[0xffff_ffff], Type::U16), Value::U16(0xffff));
    assert_eq!(lift(&[0xff], Type::flags(names(3)).unwrap()), Value::Flags(7));
    // An i64 that carries an i32 for a variant is wrapped.
    let wide = variant([("a", Some(Type::U32)), ("b", Some(Type::U64))]);
    assert_eq!(lift(&[0, 0xdead_beef_0000_0001], wide), case(0, Value::U32(1)));
    let bools = Type::fixed_list(Type::Bool, 2).unwrap();
    assert_eq!(lift(&[0x100, 0], bools), scalars(Scalar::Bool, &[1, 0]));
}

#[test]
fn every_nan_becomes_the_canonical_one() {
    let mut guest = Guest::new(StringEncoding::Utf8);
    for bits in [0xff80_0001_u32, 0x7fc0_1234] {
        let Value::F32(lifted) = guest.lift(&[bits.into()], &Type::F32).unwrap() else { panic!() };
        assert_eq!(lifted.to_bits(), 0x7fc0_0000);
    }
    let Value::F64(lifted) = guest.lift(&[0xfff0_0000_0000_0001], &Type::F64).unwrap() else { panic!() };
    assert_eq!(lifted.to_bits(), 0x7ff8_0000_0000_0000);
    guest.memory[8..16].copy_from_slice(&0xfff0_0000_0000_0001_u64.to_le_bytes());
    assert_eq!(
        guest.lift(&[8, 1], &list(Type::F64)).unwrap(),
        scalars(Scalar::F64, &0x7ff8_0000_0000_0000_u64.to_le_bytes()),
    );
    // Infinities are none.
    assert_eq!(guest.lift(&[0x7f80_0000], &Type::F32).unwrap(), Value::F32(f32::INFINITY));
}

#[test]
fn lists_of_scalars_are_one_piece() {
    use Scalar as S;
    let rows: [(Type, S, &[u8]); 5] = [
        (Type::Bool, S::Bool, &[0, 1, 1]),
        (Type::S8, S::S8, &[0xff, 1]),
        (Type::U16, S::U16, &[1, 2, 3, 4]),
        (Type::Char, S::Char, &[65, 0, 0, 0, 0xff, 0xff, 0x10, 0]),
        (Type::F64, S::F64, &[0, 0, 0, 0, 0, 0, 0, 0x40]),
    ];
    for (ty, scalar, bytes) in rows {
        let (value, count) = (scalars(scalar, bytes), bytes.len() / scalar.size());
        let mut guest = Guest::new(StringEncoding::Utf8);
        let flat = guest.lower(&value, &list(ty.clone())).unwrap();
        assert_eq!(flat.as_slice(), [Guest::START.into(), count as u64]);
        assert_eq!(&guest.memory[Guest::START as usize..][..bytes.len()], bytes);
        assert_eq!(guest.lift(flat.as_slice(), &list(ty.clone())).unwrap(), value);
        // The same, kept as single values.
        let elements = value.clone().into_elements().unwrap();
        assert_eq!(elements.len(), count);
        let mut other = Guest::new(StringEncoding::Utf8);
        other.lower(&Value::List(elements), &list(ty)).unwrap();
        assert_eq!(guest.memory, other.memory);
    }
    // A true of 2 is a 1.
    let mut guest = Guest::new(StringEncoding::Utf8);
    guest.memory[..2].copy_from_slice(&[2, 0]);
    assert_eq!(guest.lift(&[0, 2], &list(Type::Bool)).unwrap(), scalars(S::Bool, &[1, 0]));
}

#[test]
fn more_than_sixteen_flat_values_go_through_memory() {
    let sixteen: Vec<Type> = (0..8).flat_map(|_| [Type::U8, Type::U64]).collect();
    let values = |count: u8| {
        (0..count).map(|n| if n % 2 == 0 { Value::U8(n) } else { Value::U64(n.into()) }).collect::<Vec<_>>()
    };
    let mut guest = Guest::new(StringEncoding::Utf8);
    let ty = function(sixteen.clone(), None);
    assert_eq!(guest.lower_params(&values(16), &ty).unwrap().as_slice(), (0..16).collect::<Vec<u64>>());

    let ty = function(sixteen.into_iter().chain([Type::U8, Type::String]), None);
    let values: Vec<Value> = values(17).into_iter().chain([Value::from("hi")]).collect();
    let flat = guest.lower_params(&values, &ty).unwrap();
    assert_eq!(flat.as_slice(), [Guest::START.into()]);
    // The tuple first, then the string.
    assert_eq!(guest.calls, [(false, 0, 8, 144), (false, 0, 1, 2)]);
    let at = |offset: usize| &guest.memory[Guest::START as usize + offset..];
    assert_eq!(at(0)[0], 0);
    assert_eq!(at(8)[..8], 1_u64.to_le_bytes());
    assert_eq!(at(112)[0], 14);
    assert_eq!(at(128)[0], 16);
    assert_eq!(at(132)[..4], (Guest::START + 144).to_le_bytes());
    assert_eq!(at(136)[..4], 2_u32.to_le_bytes());
    assert_eq!(at(144)[..2], *b"hi");
    assert_eq!(guest.lift_params(&flat, &ty).unwrap(), values);
}

#[test]
fn a_result_goes_where_the_caller_wants_it() {
    let pair = tuple([Type::U8, list(Type::U8)]);
    let ty = function([Type::U32], Some(pair.clone()));
    let value = Value::Record(vec![Value::U8(3), Value::Bytes(vec![8, 9])]);
    let mut guest = Guest::new(StringEncoding::Utf8);
    // The argument, and the place.
    let flat = guest.lower_result(Some(value.clone()), &ty, &[77, 32]).unwrap();
    assert!(flat.as_slice().is_empty());
    assert_eq!(guest.calls, [(false, 0, 1, 2)]);
    assert_eq!(guest.memory[32..44], [3, 0xaa, 0xaa, 0xaa, 64, 0, 0, 0, 2, 0, 0, 0]);
    // As the callee returns it.
    let returned = flat_values(&[32]);
    let mut lifting = Lifting::result(&ty, &returned);
    assert_eq!(lifting.next(&mut guest.lift_context(), &pair), Ok(value));

    let flat_result = function([], Some(Type::U8));
    assert_eq!(guest.lower_result(Some(Value::U8(4)), &flat_result, &[]).unwrap().as_slice(), [4]);
    let nothing = function([], None);
    assert!(guest.lower_result(None, &nothing, &[]).unwrap().as_slice().is_empty());
}

#[test]
fn the_short_way_does_the_same() {
    let rows = [
        (function([], Some(Type::U64)), Some(Value::U64(1)), vec![]),
        (function([], None), None, vec![]),
        (function([], Some(option(Type::U64))), Some(some(Value::U64(7))), vec![48]),
    ];
    for (ty, value, args) in rows {
        let args = flat_values(&args);
        let mut long = Guest::new(StringEncoding::Utf8);
        let lowering = Lowering::result(value.clone(), &ty, long.encoding, &args, long.memory.len()).unwrap();
        assert_eq!(lowering.next(), None);
        let expected = long.finish(lowering).unwrap();
        let mut short = Guest::new(StringEncoding::Utf8);
        let mut cx = LowerContext {
            memory: &mut short.memory,
            handles: &mut short.handles,
            resources: &short.resources,
            implements: &|_| false,
            task: 0,
            borrows: &mut short.borrows,
        };
        let flat = lower_result(&mut cx, &value, &ty, &args).unwrap();
        assert_eq!(flat.as_slice(), expected.as_slice());
        assert_eq!(short.memory, long.memory);
    }
}

#[test]
fn handles_move_and_are_lent() {
    use crate::types::ResourceIndex;
    let mut guest = Guest::new(StringEncoding::Utf8);
    let (own, borrow) = (Type::Own(ResourceIndex(0)), Type::Borrow(ResourceIndex(0)));
    let implemented = Type::Borrow(ResourceIndex(1));
    let resource = Resource { ty: ResourceId(5), rep: 42 };

    // An owned one gets a handle, and loses it when it is passed on.
    let flat = guest.lower(&Value::Own(resource), &own).unwrap();
    assert_eq!(flat.as_slice(), [1]);
    assert_eq!(guest.lift(&[1], &borrow), Ok(Value::Borrow(resource)));
    assert_eq!(guest.lent, [1]);
    assert_eq!(guest.lift(&[1], &own), Err(Trap::Lent(1)));
    guest.handles.give_back(1);
    assert_eq!(guest.lift(&[1], &own), Ok(Value::Own(resource)));
    assert_eq!(guest.lift(&[1], &own), Err(Trap::UnknownHandle(1)));

    // A borrowed one is the task's to drop, and can be lent on but not given away.
    let flat = guest.lower(&Value::Borrow(resource), &borrow).unwrap();
    assert_eq!((flat.as_slice(), guest.borrows), (&[1][..], 1));
    let handle = guest.handles.get(1, ResourceId(5)).unwrap();
    assert_eq!(handle.kind, HandleKind::Borrow { task: 9, lends: 0 });
    assert_eq!(guest.lift(&[1], &own), Err(Trap::NotOwned(1)));

    // Whoever implements the type gets the representation itself.
    let other = Resource { ty: ResourceId(6), rep: 43 };
    assert_eq!(guest.lower(&Value::Borrow(other), &implemented).unwrap().as_slice(), [43]);
    assert_eq!(guest.borrows, 1);

    // The host need not know the type, but must not name another.
    let any = Resource { ty: ResourceId::NONE, rep: 1 };
    guest.lower(&Value::Own(any), &own).unwrap();
    assert!(matches!(guest.lower(&Value::Own(other), &own), Err(Trap::Host(_))));

    // A handle of another type.
    let index = guest.own(6, 1);
    assert_eq!(guest.lift(&[index.into()], &own), Err(Trap::HandleType(index)));
    assert_eq!(guest.lift(&[index.into()], &borrow), Err(Trap::HandleType(index)));
    assert_eq!(guest.lift(&[0], &own), Err(Trap::UnknownHandle(0)));
    assert_eq!(guest.lift(&[u32::MAX.into()], &borrow), Err(Trap::UnknownHandle(u32::MAX)));
}

#[test]
fn values_of_another_type_are_refused() {
    let rows = [
        (Type::U8, Value::U16(1)),
        (Type::String, Value::Bytes(vec![])),
        (list(Type::U8), scalars(Scalar::S8, &[1])),
        (list(Type::U16), Value::Bytes(vec![1, 2])),
        (list(Type::U8), Value::List(vec![Value::Bool(true)])),
        (list(Type::String), Value::List(vec![Value::U8(1)])),
        (tuple([Type::U8, Type::U8]), Value::Record(vec![Value::U8(1)])),
        (tuple([Type::U8, Type::String]), Value::Record(vec![Value::U8(1)])),
        (variant([("a", None)]), Value::Variant(1, None)),
        (variant([("a", None)]), case(0, Value::U8(1))),
        (variant([("a", Some(Type::U8))]), Value::Variant(0, None)),
        (option(Type::String), some(Value::U8(1))),
        (Type::fixed_list(Type::U8, 2).unwrap(), Value::Bytes(vec![1])),
        (Type::fixed_list(Type::String, 2).unwrap(), Value::List(vec![])),
        (Type::flags(names(1)).unwrap(), Value::U32(1)),
        (Type::Own(crate::types::ResourceIndex(0)), Value::U32(1)),
        (Type::Own(crate::types::ResourceIndex(7)), Value::Own(Resource { ty: ResourceId::NONE, rep: 0 })),
    ];
    for (ty, value) in rows {
        let mut guest = Guest::new(StringEncoding::Utf8);
        assert!(matches!(guest.lower(&value, &ty), Err(Trap::Host(_))), "{ty}: {value:?}");
    }
    let mut guest = Guest::new(StringEncoding::Utf8);
    assert!(matches!(guest.lower_params(&[], &function([Type::U8], None)), Err(Trap::Host(_))));
}
