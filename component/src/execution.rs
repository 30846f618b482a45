//! (being written by the lead)
/// What the component model keeps of a run.
pub struct State<T>(core::marker::PhantomData<fn(T)>);
