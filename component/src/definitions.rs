//! A component's definitions, decoded and validated: what [`crate::evaluation`] walks for every instance.
//!
//! Every step appends to the index spaces of the component model, in order, so that the indices of the binary hold at run
//! time as they are. Types are the exception: they are resolved when a component is decoded, but for resource
//! types, which every instance has its own of. A body numbers the resource types that it knows ([`ResourceIndex`]).

use crate::{
    abi::StringEncoding,
    modules::CoreModule,
    types::{FunctionType, ResourceIndex},
};
use alloc::{boxed::Box, sync::Arc};

/// A name of an import or export. Shared: run-time values carry it too.
pub(crate) type Name = Arc<str>;

/// One component: the steps that make an instance of it.
pub(crate) struct Definition<T> {
    pub steps: Box<[Step<T>]>,
    /// How many resource types its body knows.
    pub resources: u32,
    /// Whether it, or a component inside of it, refers to modules or components of what it is nested in.
    pub uses_outer: bool,
}

/// What core items there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CoreSort {
    Function,
    Table,
    Memory,
    Global,
}

/// What items there are, apart from values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    Module,
    Function,
    Type,
    Instance,
    Component,
}

/// An item of one of the index spaces; for a type, what it stands for if it is a resource.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ItemIndex {
    Indexed(Sort, u32),
    Resource(ResourceIndex),
    /// Any other type: nothing at run time.
    Type,
}

impl ItemIndex {
    /// What sort of item it is.
    pub(crate) fn sort(self) -> Sort {
        match self {
            Self::Indexed(sort, _) => sort,
            Self::Resource(_) | Self::Type => Sort::Type,
        }
    }
}

/// Which resource type of the body an export of an instance is: the names lead through instances within instances.
pub(crate) struct Binding {
    pub path: Box<[Name]>,
    pub resource: ResourceIndex,
}

/// The options of `canon lift` and `canon lower`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Options {
    pub encoding: StringEncoding,
    pub memory: Option<u32>,
    pub realloc: Option<u32>,
    pub post_return: Option<u32>,
}

/// What an import of the outermost component asks of the host.
pub(crate) enum Wanted {
    Function(Arc<FunctionType>),
    /// The functions and types of an instance.
    Instance(Box<[(Name, Wanted)]>),
    Resource(ResourceIndex),
    /// A type that is none of the host's business.
    Type,
    /// What a host cannot give: a module or a component.
    Other(&'static str),
}

pub(crate) enum Step<T> {
    CoreModule(Arc<dyn CoreModule<T>>),
    CoreInstantiate { module: u32, args: Box<[(Box<str>, u32)]> },
    CoreBag(Box<[(Name, CoreSort, u32)]>),
    CoreAlias { sort: CoreSort, instance: u32, name: Box<str> },
    OuterAlias { sort: Sort, count: u32, index: u32 },
    Component(Arc<Definition<T>>),
    Instantiate { component: u32, args: Box<[(Name, ItemIndex)]>, bindings: Box<[Binding]> },
    Bag(Box<[(Name, ItemIndex)]>),
    Alias { sort: Sort, instance: u32, name: Name, bindings: Box<[Binding]> },
    Import { name: Name, sort: Sort, bindings: Box<[Binding]>, wanted: Wanted },
    Export { name: Name, item: ItemIndex },
    Resource { index: ResourceIndex, destructor: Option<u32> },
    Lift { function: u32, ty: Arc<FunctionType>, options: Options },
    Lower { function: u32, ty: Arc<FunctionType>, options: Options },
    ResourceNew(ResourceIndex),
    ResourceDrop(ResourceIndex),
    ResourceRep(ResourceIndex),
}

impl<T> Definition<T> {
    /// Its imports, in order.
    pub(crate) fn imports(&self) -> impl Iterator<Item = (&Name, &Wanted)> {
        self.steps.iter().filter_map(|step| match step {
            Step::Import { name, wanted, .. } => Some((name, wanted)),
            _ => None,
        })
    }

    /// The names of its exports.
    pub(crate) fn exports(&self) -> impl Iterator<Item = &str> {
        self.steps.iter().filter_map(|step| match step {
            Step::Export { name, .. } => Some(&**name),
            _ => None,
        })
    }
}
