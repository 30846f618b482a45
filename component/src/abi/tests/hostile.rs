//! Guests that do not keep to the rules: each rule has its trap.

use super::*;

#[test]
fn lists_are_checked() {
    let words = list(Type::U32);
    let end = 1 << 16;
    let rows = [
        (words.clone(), end, 0, Ok(())),
        (words.clone(), end - 4, 1, Ok(())),
        (words.clone(), end - 4, 2, Err(Trap::OutOfBounds)),
        (words.clone(), 2, 0, Err(Trap::Unaligned)),
        (words.clone(), u32::MAX, 1, Err(Trap::Unaligned)),
        (words.clone(), u32::MAX - 3, 0, Err(Trap::OutOfBounds)),
        (words.clone(), 0, 1 << 26, Err(Trap::TooLarge)),
        (words.clone(), 0, (1 << 26) - 1, Err(Trap::OutOfBounds)),
        (words, 0, u32::MAX, Err(Trap::TooLarge)),
        (list(Type::U8), 0, (1 << 28) - 1, Err(Trap::OutOfBounds)),
        (list(Type::U8), 0, 1 << 28, Err(Trap::TooLarge)),
        (list(list(Type::U8)), 0, 1 << 25, Err(Trap::TooLarge)),
        // Its elements point to 0xaaaaaaaa.
        (list(list(Type::U8)), 0, 1, Err(Trap::TooLarge)),
        (list(option(Type::U8)), 0, 1, Err(Trap::InvalidDiscriminant)),
        (list(Type::Char), 0, 1, Err(Trap::InvalidChar)),
        (list(tuple([Type::Char])), 0, 1, Err(Trap::InvalidChar)),
    ];
    for (ty, pointer, length, expected) in rows {
        let mut guest = Guest::new(StringEncoding::Utf8);
        let lifted = guest.lift(&[pointer.into(), length.into()], &ty).map(|_| ());
        assert_eq!(lifted, expected, "{ty} {pointer:#x} {length:#x}");
    }
}

#[test]
fn discriminants_and_chars_are_checked() {
    let mut guest = Guest::new(StringEncoding::Utf8);
    let mut trap = |flat: &[Flat], ty: &Type| guest.lift(flat, ty).unwrap_err();
    assert_eq!(trap(&[2, 0], &option(Type::U8)), Trap::InvalidDiscriminant);
    assert_eq!(trap(&[u32::MAX.into(), 0], &option(Type::U8)), Trap::InvalidDiscriminant);
    assert_eq!(trap(&[2], &Type::result(None, None).unwrap()), Trap::InvalidDiscriminant);
    assert_eq!(trap(&[3], &Type::enumeration(names(3)).unwrap()), Trap::InvalidDiscriminant);
    assert_eq!(trap(&[1, 0], &variant([("a", Some(Type::U8))])), Trap::InvalidDiscriminant);
    for c in [0xd800, 0xdfff, 0x11_0000, u32::MAX] {
        assert_eq!(trap(&[c.into()], &Type::Char), Trap::InvalidChar);
        assert_eq!(trap(&[c.into()], &Type::fixed_list(Type::Char, 1).unwrap()), Trap::InvalidChar);
    }
}

#[test]
fn the_place_of_parameters_is_checked() {
    let ty = function((0..17).map(|_| Type::U64), None);
    let mut guest = Guest::new(StringEncoding::Utf8);
    let mut lift = |pointer: u32| guest.lift_params(&flat_values(&[pointer.into()]), &ty).map(|_| ());
    assert_eq!(lift((1 << 16) - 136), Ok(()));
    assert_eq!(lift((1 << 16) - 128), Err(Trap::OutOfBounds));
    assert_eq!(lift(4), Err(Trap::Unaligned));
    assert_eq!(lift(u32::MAX - 7), Err(Trap::OutOfBounds));
    assert_eq!(lift(u32::MAX), Err(Trap::Unaligned));
}

#[test]
fn the_place_of_a_result_is_checked() {
    let ty = function([], Some(tuple([Type::U32, Type::U32])));
    let value = Value::Record(vec![Value::U32(1), Value::U32(2)]);
    let lower = |pointer: u32| {
        let mut guest = Guest::new(StringEncoding::Utf8);
        guest.lower_result(Some(value.clone()), &ty, &[pointer.into()]).map(|_| ())
    };
    assert_eq!(lower((1 << 16) - 8), Ok(()));
    assert_eq!(lower((1 << 16) - 4), Err(Trap::OutOfBounds));
    assert_eq!(lower(u32::MAX - 3), Err(Trap::OutOfBounds));
    assert_eq!(lower(2), Err(Trap::Unaligned));
    // Also of what is not written.
    let ty = function([], Some(option(Type::U64)));
    let lower = |pointer: u32| {
        let mut guest = Guest::new(StringEncoding::Utf8);
        guest.lower_result(Some(Value::Option(None)), &ty, &[pointer.into()]).map(|_| ())
    };
    assert_eq!(lower((1 << 16) - 16), Ok(()));
    assert_eq!(lower((1 << 16) - 8), Err(Trap::OutOfBounds));
}

#[test]
fn what_realloc_returns_is_checked() {
    // Checked even where nothing is to be stored.
    let rows = [
        (list(Type::U8), Value::Bytes(vec![]), u32::MAX, Trap::OutOfBounds),
        (list(Type::U32), scalars(Scalar::U32, &[]), u32::MAX - 3, Trap::OutOfBounds),
        (list(Type::U32), scalars(Scalar::U32, &[0; 4]), 2, Trap::Unaligned),
        (list(Type::U32), scalars(Scalar::U32, &[0; 4]), u32::MAX, Trap::Unaligned),
        (list(Type::U32), scalars(Scalar::U32, &[0; 8]), (1 << 16) - 4, Trap::OutOfBounds),
        (Type::String, Value::from("ab"), (1 << 16) - 1, Trap::OutOfBounds),
    ];
    for (ty, value, pointer, trap) in rows {
        let mut lowering =
            Lowering::params(vec![value], &function([ty.clone()], None), StringEncoding::Utf8).unwrap();
        assert_eq!(lowering.allocated(pointer, 1 << 16), Err(trap), "{ty} {pointer:#x}");
    }
    let many = function((0..17).map(|_| Type::U64), None);
    let mut lowering = Lowering::params(vec![Value::U64(0); 17], &many, StringEncoding::Utf8).unwrap();
    assert_eq!(lowering.allocated(4, 1 << 16), Err(Trap::Unaligned));
    // UTF-16 is aligned, UTF-8 need not be.
    for (encoding, expected) in
        [(StringEncoding::Utf16, Err(Trap::Unaligned)), (StringEncoding::Utf8, Ok(()))]
    {
        let mut lowering =
            Lowering::params(vec![Value::from("a")], &function([Type::String], None), encoding).unwrap();
        assert_eq!(lowering.allocated(1, 1 << 16), expected);
    }
}

#[test]
fn blocks_that_overlap_harm_nobody_but_the_guest() {
    // The list's block is given out again for its strings.
    let ty = function([list(Type::String)], None);
    let values = vec![Value::List(vec![Value::from("0123456789abcdef"), Value::from("zz")])];
    let mut lowering = Lowering::params(values, &ty, StringEncoding::Utf8).unwrap();
    let mut guest = Guest::new(StringEncoding::Utf8);
    let mut calls = 0;
    while lowering.next().is_some() {
        lowering.allocated(8, guest.memory.len()).unwrap();
        calls += 1;
    }
    assert_eq!(calls, 3);
    guest.finish(lowering).unwrap();
    // The first string, over it what the list says of both; "zz" lay where the first string's pointer is.
    assert_eq!(guest.memory[8..24], [b'z', b'z', 0, 0, 16, 0, 0, 0, 8, 0, 0, 0, 2, 0, 0, 0]);
}

#[test]
fn a_call_of_realloc_that_was_not_made_stores_nothing() {
    let mut guest = Guest::new(StringEncoding::Utf8);
    let ty = function([Type::String], None);
    let lowering = Lowering::params(vec![Value::from("abc")], &ty, StringEncoding::Utf8).unwrap();
    let mut cx = LowerContext {
        memory: &mut guest.memory,
        handles: &mut guest.handles,
        resources: &guest.resources,
        implements: &|_| false,
        task: 0,
        borrows: &mut guest.borrows,
    };
    let finished = lowering.finish(&mut cx, &mut FlatValues::new());
    assert!(matches!(finished, Err(Trap::Limit(_))));
}

#[test]
fn the_hosts_memory_is_bounded() {
    let mut guest = Guest::new(StringEncoding::Utf8);
    guest.memory.fill(0);
    let value = size_of::<Value>();
    let rows = [
        // One byte each in the guest.
        (list(tuple([Type::Bool])), 100, 100 * value * 2),
        (list(variant([("a", Some(Type::U8))])), 100, 100 * value * 2),
        (list(Type::enumeration(names(2)).unwrap()), 100, 100 * value),
        (list(Type::Bool), 100, 100),
        (list(Type::U8), 100, 100),
        (Type::String, 100, 100),
        (list(list(Type::U8)), 100, 100 * value),
    ];
    for (ty, length, budget) in rows {
        let function = function([ty.clone()], None);
        let flat = flat_values(&[0, length]);
        let mut lift = |budget| {
            Lifting::params(&function, &flat)
                .with_budget(budget)
                .next(&mut guest.lift_context(), &ty)
                .map(|_| ())
        };
        assert_eq!(lift(budget), Ok(()), "{ty}");
        assert!(matches!(lift(budget - 1), Err(Trap::Limit(_))), "{ty}");
    }
    // The parameters of a call share it.
    let ty = function([list(Type::U8), list(Type::U8)], None);
    let flat = flat_values(&[0, 60, 0, 60]);
    let mut lifting = Lifting::params(&ty, &flat).with_budget(100);
    assert!(lifting.next(&mut guest.lift_context(), &list(Type::U8)).is_ok());
    assert!(matches!(lifting.next(&mut guest.lift_context(), &list(Type::U8)), Err(Trap::Limit(_))));
    // So does what is only lent.
    let handle = guest.own(5, 0);
    let borrows = list(Type::Borrow(ResourceIndex(0)));
    guest.memory[..4].copy_from_slice(&handle.to_le_bytes());
    let ty = function([borrows.clone()], None);
    let flat = flat_values(&[0, 1]);
    let mut lifting = Lifting::params(&ty, &flat).with_budget(value + 3);
    assert!(matches!(lifting.next(&mut guest.lift_context(), &borrows), Err(Trap::Limit(_))));
}

#[test]
fn too_few_flat_values_are_no_panic() {
    let mut guest = Guest::new(StringEncoding::Utf8);
    for ty in [Type::U8, Type::String, option(Type::U8), Type::Own(ResourceIndex(0))] {
        assert!(matches!(guest.lift(&[], &ty), Err(Trap::Limit(_))), "{ty}");
    }
    assert!(matches!(guest.lift(&[1], &option(Type::U8)), Err(Trap::Limit(_))));
    let many = tuple((0..17).map(|_| Type::U8));
    assert!(matches!(guest.lift(&[], &many), Err(Trap::Limit(_))));
}
