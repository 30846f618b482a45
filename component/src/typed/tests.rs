//! Rust types against the component model's: what fits and what does not, and values both ways.

use super::{support, *};
use crate::{types::ResourceIndex, value::Resource};
use alloc::{boxed::Box, string::ToString, vec};
use core::fmt::Debug;

struct File;
struct Other;

/// The component's resource 0 is `File`, resource 1 one of its own.
fn with_types<R>(work: impl FnOnce(&TypeCheck<'_>) -> R) -> R {
    let mut markers = HashMap::new();
    markers.insert(TypeId::of::<File>(), ResourceId(7));
    markers.insert(TypeId::of::<Other>(), ResourceId(8));
    work(&TypeCheck { markers: &markers, resource: &|index| (index.0 == 0).then_some(ResourceId(7)) })
}

fn check<T: Typed>(ty: &Type) -> Result<(), Mismatch> {
    with_types(|types| T::check(ty, types))
}

/// That `T` stands for `ty` and `value` for itself.
fn fits<T: Lift + Lower + Debug + Clone + PartialEq>(ty: Type, rust: T, value: Value) {
    assert_eq!(check::<T>(&ty), Ok(()));
    assert_eq!(T::wit(), ty.to_string());
    assert_eq!(rust.clone().lower(), value);
    assert_eq!(T::lift(value), Ok(rust));
    // A string is lifted where a number is expected, and the other way round: no panic.
    let wrong = if ty == Type::Bool { Value::U8(0) } else { Value::Bool(true) };
    assert!(matches!(T::lift(wrong), Err(Trap::Host(_))), "{ty}");
}

fn list(ty: Type) -> Type {
    Type::list(ty).unwrap()
}

crate::record! {
    #[derive(Clone, Debug, PartialEq)]
    struct Stat {
        r#type: Kind,
        link_count: u64,
        odd as "x2-y": Option<String>,
    }
}

crate::enumeration! {
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Kind {
        BlockDevice,
        Utf8,
        Fifo as "f-i-f-o",
    }
}

crate::variant! {
    #[derive(Clone, Debug, PartialEq)]
    enum Outcome {
        Closed,
        LastOperationFailed(String),
        Many as "more"(Vec<u32>),
    }
}

crate::flags! {
    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Access {
        READ,
        MUTATE_DIRECTORY,
        SYNC as "file-sync",
    }
}

fn kind() -> Type {
    Type::enumeration(["block-device", "utf8", "f-i-f-o"].map(Box::from)).unwrap()
}

fn stat() -> Type {
    Type::record([
        ("type".into(), kind()),
        ("link-count".into(), Type::U64),
        ("x2-y".into(), Type::option(Type::String).unwrap()),
    ])
    .unwrap()
}

fn outcome() -> Type {
    Type::variant([
        ("closed".into(), None),
        ("last-operation-failed".into(), Some(Type::String)),
        ("more".into(), Some(list(Type::U32))),
    ])
    .unwrap()
}

fn access() -> Type {
    Type::flags(["read", "mutate-directory", "file-sync"].map(Box::from)).unwrap()
}

#[test]
fn primitives() {
    fits(Type::Bool, true, Value::Bool(true));
    fits(Type::S8, -1_i8, Value::S8(-1));
    fits(Type::U8, 1_u8, Value::U8(1));
    fits(Type::S16, -1_i16, Value::S16(-1));
    fits(Type::U16, 1_u16, Value::U16(1));
    fits(Type::S32, -1_i32, Value::S32(-1));
    fits(Type::U32, 1_u32, Value::U32(1));
    fits(Type::S64, -1_i64, Value::S64(-1));
    fits(Type::U64, 1_u64, Value::U64(1));
    fits(Type::F32, 1.5_f32, Value::F32(1.5));
    fits(Type::F64, 1.5_f64, Value::F64(1.5));
    fits(Type::Char, 'ß', Value::Char('ß'));
    fits(Type::String, String::from("ß"), Value::from("ß"));
    assert_eq!(check::<&'static str>(&Type::String), Ok(()));
    assert_eq!(Lower::lower("ß"), Value::from("ß"));
}

#[test]
fn lists_of_scalars_are_one_piece() {
    let scalars = |element, bytes: &[u8]| Value::Scalars(Scalars::new(element, bytes.to_vec()).unwrap());
    use crate::value::{Scalar as S, Scalars};
    fits(list(Type::U8), vec![1_u8, 2], Value::Bytes(vec![1, 2]));
    fits(list(Type::Bool), vec![true, false], scalars(S::Bool, &[1, 0]));
    fits(list(Type::S8), vec![-1_i8], scalars(S::S8, &[0xff]));
    fits(list(Type::U16), vec![1_u16, 0x203], scalars(S::U16, &[1, 0, 3, 2]));
    fits(list(Type::S32), vec![-2_i32], scalars(S::S32, &[0xfe, 0xff, 0xff, 0xff]));
    fits(list(Type::U64), vec![1_u64], scalars(S::U64, &[1, 0, 0, 0, 0, 0, 0, 0]));
    fits(list(Type::F32), vec![1.5_f32], scalars(S::F32, &[0, 0, 0xc0, 0x3f]));
    fits(list(Type::Char), vec!['a', 'ß'], scalars(S::Char, &[97, 0, 0, 0, 0xdf, 0, 0, 0]));
    // As a dynamic host may give them.
    assert_eq!(Vec::<u8>::lift(Value::List(vec![Value::U8(1)])), Ok(vec![1]));
    assert_eq!(Vec::<u16>::lift(Value::List(vec![Value::U16(1)])), Ok(vec![1]));
    assert!(Vec::<u16>::lift(scalars(S::S16, &[0, 0])).is_err());
    assert!(Vec::<u8>::lift(Value::List(vec![Value::Bool(true)])).is_err());
}

#[test]
fn compounds() {
    let some = |value| Value::Option(Some(Box::new(value)));
    fits(list(Type::String), vec![String::from("a")], Value::List(vec![Value::from("a")]));
    fits(Type::option(Type::U8).unwrap(), Some(1_u8), some(Value::U8(1)));
    fits(Type::option(Type::U8).unwrap(), None::<u8>, Value::Option(None));
    let ok = |payload: Option<Value>| Value::Result(Ok(payload.map(Box::new)));
    let error = |payload: Option<Value>| Value::Result(Err(payload.map(Box::new)));
    fits(Type::result(None, None).unwrap(), Ok::<(), ()>(()), ok(None));
    fits(Type::result(None, None).unwrap(), Err::<(), ()>(()), error(None));
    fits(Type::result(Some(Type::U8), None).unwrap(), Ok::<u8, ()>(1), ok(Some(Value::U8(1))));
    fits(Type::result(None, Some(Type::U8)).unwrap(), Err::<(), u8>(1), error(Some(Value::U8(1))));
    fits(
        Type::result(Some(Type::U8), Some(Type::U16)).unwrap(),
        Err::<u8, u16>(1),
        error(Some(Value::U16(1))),
    );
    assert!(Result::<u8, ()>::lift(ok(None)).is_err());
    assert!(Result::<(), ()>::lift(ok(Some(Value::U8(1)))).is_err());
    fits(Type::tuple([Type::U8]).unwrap(), (1_u8,), Value::Record(vec![Value::U8(1)]));
    fits(
        Type::tuple([Type::U8, Type::Bool, Type::Char]).unwrap(),
        (1_u8, true, 'x'),
        Value::Record(vec![Value::U8(1), Value::Bool(true), Value::Char('x')]),
    );
    assert!(<(u8, u8) as Lift>::lift(Value::Record(vec![Value::U8(1)])).is_err());
    // A map is a list of pairs.
    assert_eq!(check::<Vec<(u8, bool)>>(&Type::map(Type::U8, Type::Bool).unwrap()), Ok(()));
}

#[test]
fn declared_types() {
    fits(kind(), Kind::Fifo, Value::Variant(2, None));
    assert!(Kind::lift(Value::Variant(3, None)).is_err());
    fits(
        stat(),
        Stat { r#type: Kind::Utf8, link_count: 2, odd: None },
        Value::Record(vec![Value::Variant(1, None), Value::U64(2), Value::Option(None)]),
    );
    assert!(Stat::lift(Value::Record(vec![Value::Variant(1, None)])).is_err());
    fits(outcome(), Outcome::Closed, Value::Variant(0, None));
    fits(
        outcome(),
        Outcome::LastOperationFailed("x".into()),
        Value::Variant(1, Some(Box::new(Value::from("x")))),
    );
    fits(
        outcome(),
        Outcome::Many(vec![]),
        Value::Variant(2, Some(Box::new(Lower::lower(Vec::<u32>::new())))),
    );
    assert!(Outcome::lift(Value::Variant(1, None)).is_err());
    assert!(Outcome::lift(Value::Variant(3, None)).is_err());
    fits(access(), Access::READ | Access::SYNC, Value::Flags(5));
    assert_eq!(Access::MUTATE_DIRECTORY.bits(), 2);
}

#[test]
fn names_in_wit() {
    let rows = [
        ("link_count", "link-count"),
        ("r#type", "type"),
        ("LastOperationFailed", "last-operation-failed"),
        ("SYMLINK_FOLLOW", "symlink-follow"),
        ("Ipv4Address", "ipv4-address"),
        ("Utf8", "utf8"),
    ];
    for (rust, wit) in rows {
        assert_eq!(support::name(rust, &[]), wit);
    }
    assert_eq!(support::name("Any", &["other"]), "other");
}

#[test]
fn resources() {
    let (own, borrow) = (Type::Own(ResourceIndex(0)), Type::Borrow(ResourceIndex(0)));
    assert_eq!(check::<Own<File>>(&own), Ok(()));
    assert_eq!(check::<Borrow<File>>(&borrow), Ok(()));
    for (ty, expected) in [(&borrow, "borrow<resource 0>"), (&Type::Own(ResourceIndex(1)), "own<resource 1>")]
    {
        let mismatch = check::<Own<File>>(ty).unwrap_err();
        assert_eq!((&*mismatch.expected, &*mismatch.found), (expected, "own<File>"));
    }
    assert!(check::<Own<Other>>(&own).is_err());
    assert!(check::<Borrow<File>>(&own).is_err());
    let resource = Resource { ty: ResourceId(7), rep: 3 };
    assert_eq!(Own::<File>::lift(Value::Own(resource)), Ok(Own::new(3)));
    assert_eq!(Borrow::<File>::lift(Value::Borrow(resource)), Ok(Borrow::new(3)));
    assert!(Own::<File>::lift(Value::Borrow(resource)).is_err());
    assert_eq!(Lower::lower(Own::<File>::new(3)), Value::Own(Resource { ty: ResourceId::NONE, rep: 3 }));
}

#[test]
fn a_mismatch_says_where_and_what() {
    let message = |result: Result<(), Mismatch>| result.unwrap_err().to_string();
    assert_eq!(message(check::<u8>(&Type::String)), "the component expects string, the host has u8");
    let ty = Type::tuple([list(Type::U8), Type::option(stat()).unwrap()]).unwrap();
    type Wrong = (Vec<u8>, Option<WrongStat>);
    crate::record! {
        struct WrongStat {
            r#type: Kind,
            link_count: u32,
            odd as "x2-y": Option<String>,
        }
    }
    assert_eq!(
        message(check::<Wrong>(&ty)),
        "tuple element 1, option, field `link-count`: the component expects u64, the host has u32",
    );
    let ty = Type::result(Some(Type::U8), Some(outcome())).unwrap();
    crate::variant! {
        enum WrongOutcome {
            Closed,
            LastOperationFailed(u8),
            Many as "more"(Vec<u32>),
        }
    }
    assert_eq!(
        message(check::<Result<u8, WrongOutcome>>(&ty)),
        "error, case `last-operation-failed`: the component expects string, the host has u8",
    );
    // Another name, another order, another number: the whole is shown.
    let renamed = Type::enumeration(["block-device", "utf-8", "f-i-f-o"].map(Box::from)).unwrap();
    assert_eq!(
        message(check::<Kind>(&renamed)),
        "the component expects enum { block-device, utf-8, f-i-f-o }, the host has enum { block-device, utf8, f-i-f-o }",
    );
    let swapped = Type::flags(["mutate-directory", "read", "file-sync"].map(Box::from)).unwrap();
    assert!(check::<Access>(&swapped).is_err());
    assert!(check::<Access>(&Type::flags(["read", "mutate-directory"].map(Box::from)).unwrap()).is_err());
    assert!(check::<Kind>(&outcome()).is_err());
    assert!(check::<Stat>(&Type::record([("type".into(), kind())]).unwrap()).is_err());
    // A payload that should not be there.
    let cases = [("closed".into(), Some(Type::U8)), ("last-operation-failed".into(), Some(Type::String))];
    assert!(check::<Outcome>(&Type::variant(cases).unwrap()).is_err());
    assert!(check::<Result<(), u8>>(&Type::result(Some(Type::U8), Some(Type::U8)).unwrap()).is_err());
    assert!(check::<Result<u8, u8>>(&Type::result(None, Some(Type::U8)).unwrap()).is_err());
    assert!(check::<(u8, u8)>(&Type::tuple([Type::U8]).unwrap()).is_err());
    assert!(check::<Vec<u8>>(&Type::fixed_list(Type::U8, 2).unwrap()).is_err());
}

#[test]
fn parameters_and_results() {
    let params: Vec<(Box<str>, Type)> = vec![("a".into(), Type::U8), ("b-c".into(), list(Type::String))];
    let check = |result: Result<(), Mismatch>| result.map_err(|mismatch| mismatch.to_string());
    with_types(|types| {
        assert_eq!(<(u8, Vec<String>) as LiftParams>::check(&params, types), Ok(()));
        assert_eq!(
            check(<(u8, Vec<u8>) as LiftParams>::check(&params, types)).unwrap_err(),
            "parameter `b-c`, list element: the component expects string, the host has u8",
        );
        assert_eq!(
            check(<(u8,) as LiftParams>::check(&params, types)).unwrap_err(),
            "the component expects the parameters (a: u8, b-c: list<string>), the host has (u8)",
        );
        assert_eq!(<() as LiftParams>::check(&[], types), Ok(()));
        assert_eq!(<() as LowerResult>::check(None, types), Ok(()));
        assert_eq!(<u8 as LowerResult>::check(Some(&Type::U8), types), Ok(()));
        assert_eq!(
            check(<u8 as LowerResult>::check(None, types)).unwrap_err(),
            "the component expects no result, the host has u8",
        );
        assert_eq!(
            check(<() as LowerResult>::check(Some(&Type::U8), types)).unwrap_err(),
            "the component expects u8, the host has no result",
        );
        assert_eq!(
            check(<u8 as LowerResult>::check(Some(&Type::S8), types)).unwrap_err(),
            "result: the component expects s8, the host has u8",
        );
    });
    let mut values = vec![Value::U8(1), Value::List(vec![])].into_iter();
    let lifted = <(u8, Vec<String>) as LiftParams>::lift(&mut || values.next().ok_or(Trap::TooLarge));
    assert_eq!(lifted, Ok((1, vec![])));
    assert_eq!(<(u8,) as LiftParams>::lift(&mut || Err(Trap::TooLarge)), Err(Trap::TooLarge));
    let wrong = || Ok(Value::Bool(true));
    assert!(matches!(<(u8,) as LiftParams>::lift(&mut { wrong }), Err(Trap::Host(_))));
    assert!(matches!(<(Own<File>,) as LiftParams>::lift(&mut { wrong }), Err(Trap::Host(_))));
    assert!(matches!(<(String,) as LiftParams>::lift(&mut { wrong }), Err(Trap::Host(_))));
    assert_eq!(LowerResult::lower(()), None);
    assert_eq!(LowerResult::lower(1_u8), Some(Value::U8(1)));
}
