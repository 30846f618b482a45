//! The host of the scripts: functions that give back what they get, and a resource.

use component::{Borrow, Call, HostData, Linker, Own};
use std::{sync::Arc, task::Poll};

/// The host's data for one instance.
pub type Data = HostData<Answers>;

#[derive(Default)]
pub struct Answers {
    /// The representations of the counters that were dropped, as the digits of a number.
    dropped: u32,
    waited: bool,
}

struct Counter;

pub fn linker() -> Arc<Linker<Data>> {
    let mut linker = Linker::new();
    // Any function that gives back its one argument, whatever its type.
    let mut echo = linker.interface("test:host/echo@1.2.3");
    for name in ["scalar", "text", "list", "record", "variant", "wide"] {
        echo.func_dynamic(name, |_, _, values| Poll::Ready(Ok(values.first().cloned())));
    }
    // The same, after it has waited once.
    echo.func_dynamic("late", |call: &mut Call<'_, Data>, _, values| {
        call.data.waited = !call.data.waited;
        if call.data.waited {
            call.task.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Ok(values.first().cloned()))
    });
    linker
        .interface("test:host/counters@0.3.1")
        .resource::<Counter>("counter", |data: &mut Data, rep| {
            data.dropped = data.dropped * 10 + rep;
            Ok(())
        })
        .func("[constructor]counter", |_: &mut Call<'_, Data>, &(rep,): &(u32,)| {
            Poll::Ready(Ok(Own::<Counter>::new(rep)))
        })
        .func("[method]counter.get", |_: &mut Call<'_, Data>, (counter,): &(Borrow<Counter>,)| {
            Poll::Ready(Ok(counter.rep))
        })
        .func("[static]counter.take", |_: &mut Call<'_, Data>, (counter,): &(Own<Counter>,)| {
            Poll::Ready(Ok(counter.rep))
        })
        .func("dropped", |call: &mut Call<'_, Data>, (): &()| Poll::Ready(Ok(call.data.dropped)));
    Arc::new(linker)
}
