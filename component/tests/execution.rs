//! Components from end to end: loaded, linked with a host, instantiated and called, with as much fuel as they like and with
//! next to none.

use component::{
    Call, Component, Execution, HostData, Linked, Linker, Modules, Own, PlainModules, Progress, Value,
};
use std::{
    sync::Arc,
    task::{Context, Poll, Waker},
};
use wasmi::{Config, Engine, Store};

/// The host's data: what the guest has told it.
struct Said {
    said: Vec<String>,
    dropped: Vec<u32>,
    waits: u32,
}

type Data = HostData<Said>;

struct Counter;

/// A host that takes strings, gives lists, waits before some answers, and has counters.
fn linker() -> Arc<Linker<Data>> {
    let mut linker = Linker::new();
    linker
        .interface("test:host/api@1.2.0")
        .func("say", |call: &mut Call<'_, Data>, (text,): &(String,)| {
            call.data.said.push(text.clone());
            Poll::Ready(Ok(()))
        })
        .func("bytes", |_: &mut Call<'_, Data>, &(count,): &(u32,)| {
            Poll::Ready(Ok((0..count).map(|byte| byte as u8).collect::<Vec<u8>>()))
        })
        .func("wait", |call: &mut Call<'_, Data>, &(number,): &(u32,)| {
            if call.data.waits == 0 {
                return Poll::Ready(Ok(number + 1));
            }
            call.data.waits -= 1;
            call.task.waker().wake_by_ref();
            Poll::Pending
        })
        .resource::<Counter>("counter", |data: &mut Data, rep| {
            data.dropped.push(rep);
            Ok(())
        })
        .func("[constructor]counter", |_: &mut Call<'_, Data>, &(first,): &(u32,)| {
            Poll::Ready(Ok(Own::<Counter>::new(first)))
        });
    Arc::new(linker)
}

/// Runs `function` of the component with `args`, in slices of `fuel`.
fn run(
    text: &str,
    function: &str,
    args: Vec<Value>,
    fuel: u64,
) -> Result<(Option<Value>, Said), wasmi::Error> {
    let mut config = Config::default();
    config.consume_fuel(true).compilation_mode(wasmi::CompilationMode::Eager);
    let engine = Engine::new(&config);
    let modules = PlainModules::new(&engine);
    let component = Component::new(&modules as &dyn Modules<Data>, &wat::parse_str(text).unwrap()).unwrap();
    let linked = Linked::new(&linker(), &component).unwrap();
    let mut store = Store::new(&engine, HostData::new(Said { said: vec![], dropped: vec![], waits: 3 }));
    let mut task = Context::from_waker(Waker::noop());
    let mut execution = Execution::instantiate(&mut store, &linked)?;
    let mut finish = |execution: &mut Execution<Data>, store: &mut Store<Data>| {
        let mut needed = 0;
        loop {
            store.set_fuel(fuel.max(needed))?;
            match execution.run(store, &mut task)? {
                Progress::Done => return Ok::<_, wasmi::Error>(()),
                Progress::OutOfFuel(more) => needed = more,
                Progress::Waiting => {}
            }
        }
    };
    finish(&mut execution, &mut store)?;
    let function = execution.function(&[function]).unwrap();
    execution.call(&mut store, &function, args)?;
    finish(&mut execution, &mut store)?;
    let result = execution.take_result();
    Ok((result, store.into_data().into_inner()))
}

/// A component's memory, with an allocator that never frees.
const MEMORY: &str = r#"
    (core module $libc
        (memory (export "memory") 1)
        (global $next (mut i32) (i32.const 1024))
        (func (export "realloc") (param $old i32) (param $old_size i32) (param $align i32) (param $size i32) (result i32)
            (global.set $next (i32.and (i32.add (global.get $next) (i32.sub (local.get $align) (i32.const 1)))
                                       (i32.sub (i32.const 0) (local.get $align))))
            (global.get $next)
            (global.set $next (i32.add (global.get $next) (local.get $size)))))
    (core instance $libc (instantiate $libc))
    (alias core export $libc "memory" (core memory $memory))
    (alias core export $libc "realloc" (core func $realloc))"#;

#[test]
fn a_guest_calls_the_host_and_another_component() {
    let text = format!(
        r#"(component
            (import "test:host/api@1.0.0" (instance $host
                (export "say" (func (param "text" string)))
                (export "wait" (func (param "number" u32) (result u32)))
                (export "bytes" (func (param "count" u32) (result (list u8))))
                (export "counter" (type $counter (sub resource)))
                (export "[constructor]counter" (func (param "first" u32) (result (own $counter))))))
            (component $upper
                {MEMORY}
                (core module $m
                    (import "libc" "memory" (memory 1))
                    (func (export "shout") (param $at i32) (param $len i32) (result i32)
                        (local $i i32)
                        (block $done (loop $again
                            (br_if $done (i32.ge_u (local.get $i) (local.get $len)))
                            (i32.store8 (i32.add (local.get $at) (local.get $i))
                                (i32.and (i32.load8_u (i32.add (local.get $at) (local.get $i))) (i32.const 0xdf)))
                            (local.set $i (i32.add (local.get $i) (i32.const 1)))
                            (br $again)))
                        (i32.store (i32.const 8) (local.get $at))
                        (i32.store (i32.const 12) (local.get $len))
                        (i32.const 8))
                    (func (export "after") (param i32) (i32.store (i32.const 16) (i32.const 1))))
                (core instance $i (instantiate $m (with "libc" (instance $libc))))
                (func (export "shout") (param "text" string) (result string)
                    (canon lift (core func $i "shout") (memory $memory) (realloc $realloc)
                        (post-return (core func $i "after")))))
            (instance $upper (instantiate $upper))
            (component $main
                (import "test:host/api@1.0.0" (instance $host
                    (export "say" (func (param "text" string)))
                    (export "wait" (func (param "number" u32) (result u32)))
                    (export "bytes" (func (param "count" u32) (result (list u8))))
                    (export "counter" (type $counter (sub resource)))
                    (export "[constructor]counter" (func (param "first" u32) (result (own $counter))))))
                (import "shout" (func $shout (param "text" string) (result string)))
                {MEMORY}
                (alias export $host "counter" (type $counter))
                (core func $say (canon lower (func $host "say") (memory $memory)))
                (core func $wait (canon lower (func $host "wait")))
                (core func $bytes (canon lower (func $host "bytes") (memory $memory) (realloc $realloc)))
                (core func $shout (canon lower (func $shout) (memory $memory) (realloc $realloc)))
                (core func $new (canon lower (func $host "[constructor]counter")))
                (core func $drop (canon resource.drop $counter))
                (core module $m
                    (import "" "say" (func $say (param i32 i32)))
                    (import "" "wait" (func $wait (param i32) (result i32)))
                    (import "" "bytes" (func $bytes (param i32 i32)))
                    (import "" "shout" (func $shout (param i32 i32 i32)))
                    (import "" "new" (func $new (param i32) (result i32)))
                    (import "" "drop" (func $drop (param i32)))
                    (import "libc" "memory" (memory 1))
                    (data (i32.const 100) "hello")
                    (func $start (call $say (i32.const 100) (i32.const 5)))
                    (start $start)
                    (func (export "run") (param i32) (result i32)
                        (call $shout (i32.const 100) (i32.const 5) (i32.const 200))
                        (call $say (i32.load (i32.const 200)) (i32.load (i32.const 204)))
                        (call $bytes (i32.const 7) (i32.const 208))
                        (call $drop (call $new (i32.const 77)))
                        (i32.add (call $wait (local.get 0))
                            (i32.add (i32.load (i32.const 212)) (i32.load8_u (i32.add (i32.load (i32.const 208)) (i32.const 6)))))))
                (core instance $i (instantiate $m
                    (with "libc" (instance $libc))
                    (with "" (instance (export "say" (func $say)) (export "wait" (func $wait)) (export "bytes" (func $bytes))
                        (export "shout" (func $shout)) (export "new" (func $new)) (export "drop" (func $drop))))))
                (func (export "run") (param "number" u32) (result u32) (canon lift (core func $i "run"))))
            (instance $main (instantiate $main
                (with "test:host/api@1.0.0" (instance $host)) (with "shout" (func $upper "shout"))))
            (export "run" (func $main "run")))"#
    );
    for fuel in [u64::MAX, 1_000, 20] {
        let (result, data) = run(&text, "run", vec![Value::U32(100)], fuel).unwrap();
        assert_eq!(result, Some(Value::U32(100 + 1 + 7 + 6)), "{fuel}");
        assert_eq!(data.said, ["hello", "HELLO"], "{fuel}");
        assert_eq!(data.dropped, [77], "{fuel}");
        assert_eq!(data.waits, 0);
    }
}
