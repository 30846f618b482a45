//! Components: those of the component model's own scripts, with some bytes changed or as they are, whose exports are called with
//! any values. Many of them hand on to the canonical ABI what they are called with: pointers, lengths, handles, what `realloc` answers.
//!
//! What must hold: a component is refused or loads, and says why in words that are not empty; what loads links or
//! not; what is instantiated and called ends by returning a value of its type, by a trap, or by the end of its fuel; and it does so in the
//! same way whether it is preempted or not.

use super::changed;
use arbitrary::{Result as Arbitrary, Unstructured};
use component::{
    Borrow, Call, Component, Execution, HostData, Linked, Linker, Modules, Own, PlainModules, Progress, Type,
    Value,
};
use std::{
    sync::{Arc, LazyLock},
    task::{Context, Poll, Waker},
};
use wasmi::{Config, Engine, Store, StoreLimits, StoreLimitsBuilder};
use wast::{QuoteWat, Wast, WastDirective, parser::ParseBuffer};

/// Bytes of linear memory that each memory of a component may have.
const MEMORY: usize = 16 << 16;
/// Bytes that the values of one call may take.
const VALUES: usize = 1 << 20;
/// The fuel of one instantiation, and of one call.
const FUEL: u64 = 200_000;

const SCRIPTS: [&str; 10] = [
    include_str!("../../../component/tests/wast/aggregates.wast"),
    include_str!("../../../component/tests/wast/calls.wast"),
    include_str!("../../../component/tests/wast/gated_types.wast"),
    include_str!("../../../component/tests/wast/host.wast"),
    include_str!("../../../component/tests/wast/linking.wast"),
    include_str!("../../../component/tests/wast/lists.wast"),
    include_str!("../../../component/tests/wast/parameters.wast"),
    include_str!("../../../component/tests/wast/resources.wast"),
    include_str!("../../../component/tests/wast/scalars.wast"),
    include_str!("../../../component/tests/wast/strings.wast"),
];

/// The components that the scripts define.
static SEEDS: LazyLock<Vec<Vec<u8>>> =
    LazyLock::new(|| SCRIPTS.iter().flat_map(|text| components(text)).collect());

fn components(text: &str) -> Vec<Vec<u8>> {
    let buffer = ParseBuffer::new(text).expect("a script is text");
    let script = wast::parser::parse::<Wast<'_>>(&buffer).expect("a script can be read");
    let component = |directive| match directive {
        WastDirective::Module(mut wat @ QuoteWat::Wat(_)) | WastDirective::ModuleDefinition(mut wat) => {
            wat.encode().ok()
        }
        _ => None,
    };
    script.directives.into_iter().filter_map(component).collect()
}

/// The host's data.
type Data = HostData<Guest>;

struct Guest {
    limits: StoreLimits,
    waited: bool,
}

struct Counter;

/// What the scripts import.
static LINKER: LazyLock<Arc<Linker<Data>>> = LazyLock::new(|| {
    let mut linker = Linker::new();
    let mut echo = linker.interface("test:host/echo@1.2.3");
    for name in ["scalar", "text", "list", "variant", "wide"] {
        echo.func_dynamic(name, |_, _, values| Poll::Ready(Ok(values.first().cloned())));
    }
    echo.func_dynamic("late", |call: &mut Call<'_, Data>, _, values| {
        call.data.waited = !call.data.waited;
        if call.data.waited { Poll::Pending } else { Poll::Ready(Ok(values.first().cloned())) }
    });
    linker
        .interface("test:host/counters@0.3.1")
        .resource::<Counter>("counter", |_: &mut Data, _| Ok(()))
        .func("[constructor]counter", |_: &mut Call<'_, Data>, &(rep,): &(u32,)| {
            Poll::Ready(Ok(Own::<Counter>::new(rep)))
        })
        .func("[method]counter.get", |_: &mut Call<'_, Data>, (counter,): &(Borrow<Counter>,)| {
            Poll::Ready(Ok(counter.rep))
        })
        .func("[static]counter.take", |_: &mut Call<'_, Data>, (counter,): &(Own<Counter>,)| {
            Poll::Ready(Ok(counter.rep))
        })
        .func("dropped", |_: &mut Call<'_, Data>, (): &()| Poll::Ready(Ok(0_u32)));
    Arc::new(linker)
});

/// Runs the target on `data`: which component, what is changed in it, and the calls.
pub fn run(data: &[u8]) {
    // What the input does not say is 0.
    let _ = check(&mut Unstructured::new(data));
}

fn check(input: &mut Unstructured<'_>) -> Arbitrary<()> {
    let seed = input.choose(&SEEDS)?;
    let changes = usize::from(input.int_in_range(0..=12_u8)?.saturating_sub(4)) * 8;
    let changes = input.bytes(changes.min(input.len()))?;
    let wasm = changed(seed, &mut Unstructured::new(changes));

    let mut config = Config::default();
    config.consume_fuel(true).compilation_mode(wasmi::CompilationMode::Eager);
    // A tail call of what parks would resume with wrong results: embedders replace them.
    config.wasm_tail_call(false).set_max_recursion_depth(200);
    let engine = Engine::new(&config);
    let modules = PlainModules::new(&engine);
    let component = match Component::new(&modules as &dyn Modules<Data>, &wasm) {
        Ok(component) => component,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return Ok(());
        }
    };
    let linked = match Linked::new(&LINKER, &component) {
        Ok(linked) => linked,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return Ok(());
        }
    };
    let rest = input.peek_bytes(input.len()).unwrap_or_default();
    let whole = calls(&engine, &component, &linked, &mut Unstructured::new(rest), u64::MAX);
    let sliced = calls(&engine, &component, &linked, &mut Unstructured::new(rest), 20);
    // Where one of them ends depends on when it is preempted, if it is for lack of fuel.
    let compared =
        whole.iter().zip(&sliced).take_while(|(whole, sliced)| whole.is_some() && sliced.is_some());
    for (call, (whole, sliced)) in compared.enumerate() {
        assert_eq!(whole, sliced, "call {call}: unsliced and sliced");
    }
    Ok(())
}

/// Instantiates a component and calls it as the input says; gives what came of each, nothing for the end of the fuel.
fn calls(
    engine: &Engine,
    component: &Component<Data>,
    linked: &Linked<Data>,
    input: &mut Unstructured<'_>,
    slice: u64,
) -> Vec<Option<String>> {
    let limits = StoreLimitsBuilder::new().memory_size(MEMORY).table_elements(1_000).build();
    let data = HostData::new(Guest { limits, waited: false }).with_value_budget(VALUES);
    let mut store = Store::new(engine, data);
    store.limiter(|data| &mut data.limits);
    let mut execution = match Execution::instantiate(&mut store, linked) {
        Ok(execution) => execution,
        Err(error) => return vec![Some(error.to_string())],
    };
    let mut ends = vec![finish(&mut execution, &mut store, slice)];
    let names: Vec<&str> = component.exports().collect();
    for _ in 0..12 {
        let Ok(name) = input.choose(&names) else { break };
        let Some(function) = execution.function(&[name]) else { continue };
        let Some(ty) = function.ty().cloned() else { continue };
        let args = ty.params().iter().map(|(_, ty)| value(input, ty, 8)).collect::<Arbitrary<Vec<_>>>();
        let Ok(args) = args else { break };
        if let Err(error) = execution.call(&mut store, &function, args) {
            ends.push(Some(error.to_string()));
            continue;
        }
        let end = finish(&mut execution, &mut store, slice);
        let done = end.as_deref() == Some("");
        ends.push(end);
        if !done {
            continue;
        }
        let result = execution.take_result();
        match (&result, ty.result()) {
            (Some(result), Some(ty)) => assert!(is_of(result, ty), "{result:?} is no {ty}"),
            (None, None) => {}
            (result, ty) => panic!("{name} returns {result:?}, and its type says {ty:?}"),
        }
        ends.push(Some(format!("{result:?}")));
    }
    ends
}

/// Runs what was begun: an empty text if that is done, the error's text if that ended it, nothing if its fuel did.
fn finish(execution: &mut Execution<Data>, store: &mut Store<Data>, slice: u64) -> Option<String> {
    let mut task = Context::from_waker(Waker::noop());
    let mut left = FUEL;
    let mut needed = 0;
    loop {
        let given = slice.max(needed).min(left);
        if given < needed {
            return None;
        }
        store.set_fuel(given).expect("the store is metered");
        let progress = execution.run(store, &mut task);
        // A host call that waits is made again at once.
        left = left.saturating_sub(given - store.get_fuel().expect("the store is metered")).saturating_sub(1);
        match progress {
            Ok(Progress::Done) => return Some(String::new()),
            Ok(Progress::OutOfFuel(more)) => needed = more.max(1),
            Ok(Progress::Waiting) => {}
            Err(error) => {
                let error = error.to_string();
                assert!(!error.is_empty());
                return Some(error);
            }
        }
    }
}

/// Any value of the type; resources cannot be made up.
fn value(input: &mut Unstructured<'_>, ty: &Type, depth: u32) -> Arbitrary<Value> {
    let Some(depth) = depth.checked_sub(1) else { return Err(arbitrary::Error::NotEnoughData) };
    let payload = |input: &mut Unstructured<'_>, ty: &Option<Type>| {
        ty.as_ref().map(|ty| value(input, ty, depth).map(Box::new)).transpose()
    };
    Ok(match ty {
        Type::Bool => Value::Bool(input.arbitrary()?),
        Type::S8 => Value::S8(input.arbitrary()?),
        Type::U8 => Value::U8(input.arbitrary()?),
        Type::S16 => Value::S16(input.arbitrary()?),
        Type::U16 => Value::U16(input.arbitrary()?),
        Type::S32 => Value::S32(input.arbitrary()?),
        // Most are pointers, lengths, handles: small ones, and those around the end of a memory of one page.
        Type::U32 => Value::U32(match input.int_in_range(0..=3_u8)? {
            0 => input.arbitrary()?,
            1 => 0x10000 - u32::from(input.arbitrary::<u8>()? % 32),
            _ => u32::from(input.arbitrary::<u8>()?),
        }),
        Type::S64 => Value::S64(input.arbitrary()?),
        Type::U64 => Value::U64(input.arbitrary()?),
        Type::F32 => Value::F32(input.arbitrary()?),
        Type::F64 => Value::F64(input.arbitrary()?),
        Type::Char => Value::Char(input.arbitrary()?),
        Type::String => Value::from(input.arbitrary::<&str>()?),
        Type::List(list) | Type::FixedList(list) | Type::Map(list) => {
            let length = match list.length {
                Some(length) => length,
                None => input.int_in_range(0..=5)?,
            };
            Value::List((0..length).map(|_| value(input, &list.element, depth)).collect::<Arbitrary<_>>()?)
        }
        Type::Record(record) | Type::Tuple(record) => Value::Record(
            record.fields.iter().map(|field| value(input, &field.ty, depth)).collect::<Arbitrary<_>>()?,
        ),
        Type::Variant(variant) | Type::Enum(variant) => {
            let case = input.choose_index(variant.cases.len())?;
            Value::Variant(case as u32, payload(input, &variant.cases[case].ty)?)
        }
        Type::Option(variant) => {
            Value::Option(if input.arbitrary()? { payload(input, &variant.cases[1].ty)? } else { None })
        }
        Type::Result(variant) => Value::Result(if input.arbitrary()? {
            Ok(payload(input, &variant.cases[0].ty)?)
        } else {
            Err(payload(input, &variant.cases[1].ty)?)
        }),
        Type::Flags(flags) => Value::Flags(input.arbitrary::<u32>()? & flags.mask()),
        Type::Own(_) | Type::Borrow(_) => return Err(arbitrary::Error::IncorrectFormat),
    })
}

/// Whether the value is one of the type.
fn is_of(value: &Value, ty: &Type) -> bool {
    let payload = |value: &Option<Box<Value>>, ty: &Option<Type>| match (value, ty) {
        (Some(value), Some(ty)) => is_of(value, ty),
        (None, None) => true,
        _ => false,
    };
    match (value, ty) {
        (Value::Bool(_), Type::Bool)
        | (Value::S8(_), Type::S8)
        | (Value::U8(_), Type::U8)
        | (Value::S16(_), Type::S16)
        | (Value::U16(_), Type::U16)
        | (Value::S32(_), Type::S32)
        | (Value::U32(_), Type::U32)
        | (Value::S64(_), Type::S64)
        | (Value::U64(_), Type::U64)
        | (Value::F32(_), Type::F32)
        | (Value::F64(_), Type::F64)
        | (Value::Char(_), Type::Char)
        | (Value::String(_), Type::String)
        | (Value::Own(_), Type::Own(_)) => true,
        (
            Value::List(_) | Value::Bytes(_) | Value::Scalars(_),
            Type::List(list) | Type::FixedList(list) | Type::Map(list),
        ) => value.clone().into_elements().is_some_and(|elements| {
            list.length.is_none_or(|length| elements.len() == length as usize)
                && elements.iter().all(|element| is_of(element, &list.element))
        }),
        (Value::Record(values), Type::Record(record) | Type::Tuple(record)) => {
            values.len() == record.fields.len()
                && values.iter().zip(&record.fields).all(|(value, field)| is_of(value, &field.ty))
        }
        (Value::Variant(case, value), Type::Variant(variant) | Type::Enum(variant)) => {
            variant.cases.get(*case as usize).is_some_and(|case| payload(value, &case.ty))
        }
        (Value::Option(None), Type::Option(_)) => true,
        (Value::Option(some), Type::Option(variant)) => payload(some, &variant.cases[1].ty),
        (Value::Result(Ok(value)), Type::Result(variant)) => payload(value, &variant.cases[0].ty),
        (Value::Result(Err(value)), Type::Result(variant)) => payload(value, &variant.cases[1].ty),
        (Value::Flags(bits), Type::Flags(flags)) => bits & !flags.mask() == 0,
        _ => false,
    }
}
