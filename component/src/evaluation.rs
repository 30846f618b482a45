//! Evaluation: walks the definitions of a component and makes an instance of it, step by step, in a store.
//!
//! Whatever runs guest code (a core start function, a component within it) is handed to the [execution](crate::execution), which
//! comes back here with the result.

use crate::{
    definitions::{Binding, CoreSort, Definition, ItemIndex, Name, Options, Sort, Step},
    error::InstantiationError,
    execution::{
        builtins,
        call::{CoreOptions, Lifted, Lowered, Side},
        state::{InstanceIndex, ResourceKind},
    },
    handles::ResourceId,
    host::{Host, HostFunction},
    modules::CoreModule,
    types::ResourceIndex,
};
use alloc::{boxed::Box, string::ToString, sync::Arc, vec::Vec};
use core::cell::Cell;
use hashbrown::HashMap;
use wasmi::{AsContext, Extern, Func, Instance, Memory, Store};

/// A component function at run time.
pub(crate) enum Function<T> {
    Host(Arc<HostFunction<T>>),
    Lifted(Lifted),
}

/// A component at run time: its definition, and what it refers to outside.
pub(crate) struct Closure<T> {
    pub definition: Arc<Definition<T>>,
    pub outer: Option<Arc<Outer<T>>>,
}

impl<T> Clone for Closure<T> {
    fn clone(&self) -> Self {
        Self { definition: self.definition.clone(), outer: self.outer.clone() }
    }
}

/// What components may refer to in those that they are nested in.
pub(crate) struct Outer<T> {
    modules: Vec<Arc<dyn CoreModule<T>>>,
    components: Vec<Closure<T>>,
    outer: Option<Arc<Outer<T>>>,
}

/// What an import is given, and what an export is.
pub(crate) enum Item<T> {
    Function(Arc<Function<T>>),
    Instance(Arc<InstanceValue<T>>),
    Component(Closure<T>),
    Module(Arc<dyn CoreModule<T>>),
    Resource(ResourceId),
    Type,
}

impl<T> Clone for Item<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Function(function) => Self::Function(function.clone()),
            Self::Instance(instance) => Self::Instance(instance.clone()),
            Self::Component(component) => Self::Component(component.clone()),
            Self::Module(module) => Self::Module(module.clone()),
            Self::Resource(resource) => Self::Resource(*resource),
            Self::Type => Self::Type,
        }
    }
}

/// Items by name.
pub(crate) type Items<T> = HashMap<Name, Item<T>>;

/// An instance as others see it.
pub(crate) struct InstanceValue<T> {
    pub exports: Items<T>,
}

impl<T> InstanceValue<T> {
    /// The export at the end of `path`, which leads through instances.
    pub(crate) fn export(&self, path: &[impl AsRef<str>]) -> Option<&Item<T>> {
        let (first, rest) = path.split_first()?;
        match (self.exports.get(first.as_ref())?, rest) {
            (item, []) => Some(item),
            (Item::Instance(instance), rest) => instance.export(rest),
            _ => None,
        }
    }
}

enum CoreInstance {
    Instance(Instance),
    Bag(Vec<(Name, Extern)>),
}

impl CoreInstance {
    fn export(&self, store: impl AsContext, name: &str) -> Option<Extern> {
        self.export_near(store, name, &Cell::new(0))
    }

    /// The same for many names, see [`find_near`].
    fn export_near(&self, store: impl AsContext, name: &str, next: &Cell<usize>) -> Option<Extern> {
        match self {
            Self::Instance(instance) => instance.get_export(store, name),
            Self::Bag(items) => find_near(items, next, |(item, _)| **item == *name).map(|(_, item)| *item),
        }
    }
}

/// The item that is meant. What is looked for in a row is mostly in the same order here: the search begins where the last one ended,
/// which is kept in `next`.
fn find_near<'i, I>(items: &'i [I], next: &Cell<usize>, is_meant: impl Fn(&I) -> bool) -> Option<&'i I> {
    let (before, from) = items.split_at_checked(next.get()).unwrap_or((&[], items));
    let found = match from.iter().position(&is_meant) {
        Some(place) => before.len().saturating_add(place),
        None => before.iter().position(is_meant)?,
    };
    next.set(found);
    items.get(found)
}

/// An instance being made.
pub(crate) struct Evaluation<T> {
    definition: Arc<Definition<T>>,
    outer: Option<Arc<Outer<T>>>,
    args: Arc<Items<T>>,
    instance: InstanceIndex,
    /// The step to come.
    position: usize,
    core_instances: Vec<CoreInstance>,
    functions_core: Vec<Func>,
    memories: Vec<Memory>,
    tables: Vec<Extern>,
    globals: Vec<Extern>,
    modules: Vec<Arc<dyn CoreModule<T>>>,
    components: Vec<Closure<T>>,
    functions: Vec<Arc<Function<T>>>,
    instances: Vec<Arc<InstanceValue<T>>>,
    exports: Items<T>,
}

/// Definitions that are evaluated before others have their turn.
const STEPS: usize = 64;

/// What evaluation needs before it can go on.
pub(crate) enum Evaluated<T> {
    /// Fuel, for the [`STEPS`] to come.
    Fuel,
    /// A core start function is to be called.
    Start(Func),
    /// A component within it is to be instantiated.
    Nested(Box<Evaluation<T>>),
    /// It is done.
    Done(Arc<InstanceValue<T>>),
}

/// An index that the validator has proved to be there is not.
fn missing() -> InstantiationError {
    InstantiationError::Inconsistent
}

fn get<I: Clone>(items: &[I], index: u32) -> Result<I, InstantiationError> {
    usize::try_from(index).ok().and_then(|index| items.get(index)).cloned().ok_or_else(missing)
}

impl<T: Host> Evaluation<T> {
    /// Begins to make an instance of `component` within the instance `parent`.
    pub(crate) fn new(
        store: &mut Store<T>,
        component: Closure<T>,
        args: Arc<Items<T>>,
        parent: Option<InstanceIndex>,
    ) -> Result<Self, InstantiationError> {
        let Closure { definition, outer } = component;
        let instance = store.data_mut().state_mut().add_instance(parent, definition.resources)?;
        Ok(Self {
            definition,
            outer,
            args,
            instance,
            position: 0,
            core_instances: Vec::new(),
            functions_core: Vec::new(),
            memories: Vec::new(),
            tables: Vec::new(),
            globals: Vec::new(),
            modules: Vec::new(),
            components: Vec::new(),
            functions: Vec::new(),
            instances: Vec::new(),
            exports: HashMap::new(),
        })
    }

    /// Goes on, with the component that was instantiated if one was asked for.
    pub(crate) fn advance(
        &mut self,
        store: &mut Store<T>,
        nested: Option<Arc<InstanceValue<T>>>,
    ) -> Result<Evaluated<T>, InstantiationError> {
        let definition = self.definition.clone();
        if let Some(instance) = nested
            && let Some(Step::Instantiate { bindings, .. }) =
                self.position.checked_sub(1).and_then(|step| definition.steps.get(step))
        {
            self.add_instance(store, instance, bindings)?;
        }
        let mut steps = 0;
        while let Some(step) = definition.steps.get(self.position) {
            if steps == STEPS {
                return Ok(Evaluated::Fuel);
            }
            steps += 1;
            self.position = self.position.saturating_add(1);
            if let Some(needed) = self.step(store, step)? {
                return Ok(needed);
            }
        }
        Ok(Evaluated::Done(Arc::new(InstanceValue { exports: core::mem::take(&mut self.exports) })))
    }

    fn step(
        &mut self,
        store: &mut Store<T>,
        step: &Step<T>,
    ) -> Result<Option<Evaluated<T>>, InstantiationError> {
        match step {
            Step::CoreModule(module) => self.modules.push(module.clone()),
            Step::CoreInstantiate { module, args } => {
                let start = self.instantiate_core(store, &*get(&self.modules, *module)?, args)?;
                return Ok(start.map(Evaluated::Start));
            }
            Step::CoreBag(items) => {
                let mut bag = Vec::with_capacity(items.len());
                for (name, sort, index) in items {
                    bag.push((name.clone(), self.core_item(*sort, *index)?));
                }
                self.core_instances.push(CoreInstance::Bag(bag));
            }
            Step::CoreAlias { sort, instance, name } => self.core_alias(store, *sort, *instance, name)?,
            Step::OuterAlias { sort, count, index } => self.outer_alias(*sort, *count, *index)?,
            Step::Component(definition) => {
                let outer = definition.uses_outer.then(|| {
                    Arc::new(Outer {
                        modules: self.modules.clone(),
                        components: self.components.clone(),
                        outer: self.outer.clone(),
                    })
                });
                self.components.push(Closure { definition: definition.clone(), outer });
            }
            Step::Instantiate { component, args, .. } => {
                let component = get(&self.components, *component)?;
                let args = Arc::new(self.items(store, args)?);
                let nested = Evaluation::new(store, component, args, Some(self.instance))?;
                return Ok(Some(Evaluated::Nested(Box::new(nested))));
            }
            Step::Bag(items) => {
                let exports = self.items(store, items)?;
                self.instances.push(Arc::new(InstanceValue { exports }));
            }
            Step::Alias { sort, instance, name, bindings } => {
                let instance = get(&self.instances, *instance)?;
                let item = instance
                    .exports
                    .get(name)
                    .ok_or_else(|| InstantiationError::Missing(name.to_string()))?;
                self.add(store, *sort, item.clone(), bindings)?;
            }
            Step::Import { name, sort, bindings, .. } => {
                let item =
                    self.args.get(name).ok_or_else(|| InstantiationError::Missing(name.to_string()))?.clone();
                self.add(store, *sort, item, bindings)?;
            }
            Step::Export { name, item } => {
                // A type that is exported is one that the body knows: there is nothing to bind.
                let (sort, item) = (item.sort(), self.item(store, *item)?);
                self.exports.insert(name.clone(), item.clone());
                self.add(store, sort, item, &[])?;
            }
            Step::Resource { index, destructor } => {
                let destructor =
                    destructor.map(|function| get(&self.functions_core, function)).transpose()?;
                let kind = ResourceKind::Guest { instance: self.instance, destructor };
                let id = store.data_mut().state_mut().add_resource(kind)?;
                self.bind(store, *index, id)?;
            }
            Step::Lift { function, ty, options } => {
                let lifted = Lifted {
                    function: get(&self.functions_core, *function)?,
                    ty: ty.clone(),
                    side: Side { instance: self.instance, options: self.options(*options)? },
                };
                self.functions.push(Arc::new(Function::Lifted(lifted)));
            }
            Step::Lower { function, ty, options } => {
                let side = Side { instance: self.instance, options: self.options(*options)? };
                let lowered = Lowered::new(get(&self.functions, *function)?, ty.clone(), side);
                self.functions_core.push(builtins::lower(store, lowered));
            }
            Step::ResourceNew(index) => {
                let id = self.resource(store, *index)?;
                self.functions_core.push(builtins::resource_new(store, self.instance, id));
            }
            Step::ResourceDrop(index) => {
                let id = self.resource(store, *index)?;
                self.functions_core.push(builtins::resource_drop(store, self.instance, id));
            }
            Step::ResourceRep(index) => {
                let id = self.resource(store, *index)?;
                self.functions_core.push(builtins::resource_rep(store, self.instance, id));
            }
        }
        Ok(None)
    }

    fn instantiate_core(
        &mut self,
        store: &mut Store<T>,
        module: &dyn CoreModule<T>,
        args: &[(Box<str>, u32)],
    ) -> Result<Option<Func>, InstantiationError> {
        store.data_mut().state_mut().count_core_instance()?;
        let instances = &self.core_instances;
        let (arg, item) = (Cell::new(0), Cell::new(0));
        let resolve = |store: &Store<T>, module: &str, name: &str| {
            let (_, instance) = find_near(args, &arg, |(arg, _)| **arg == *module)?;
            instances.get(usize::try_from(*instance).ok()?)?.export_near(store, name, &item)
        };
        let (instance, start) = module.instantiate(store, &resolve).map_err(InstantiationError::Module)?;
        self.core_instances.push(CoreInstance::Instance(instance));
        Ok(start)
    }

    fn core_item(&self, sort: CoreSort, index: u32) -> Result<Extern, InstantiationError> {
        match sort {
            CoreSort::Function => get(&self.functions_core, index).map(Extern::Func),
            CoreSort::Memory => get(&self.memories, index).map(Extern::Memory),
            CoreSort::Table => get(&self.tables, index),
            CoreSort::Global => get(&self.globals, index),
        }
    }

    fn core_alias(
        &mut self,
        store: &Store<T>,
        sort: CoreSort,
        instance: u32,
        name: &str,
    ) -> Result<(), InstantiationError> {
        let instance = usize::try_from(instance).ok().and_then(|index| self.core_instances.get(index));
        let item = instance.and_then(|instance| instance.export(store, name)).ok_or_else(missing)?;
        match (sort, item) {
            (CoreSort::Function, Extern::Func(function)) => self.functions_core.push(function),
            (CoreSort::Memory, Extern::Memory(memory)) => self.memories.push(memory),
            (CoreSort::Table, Extern::Table(_)) => self.tables.push(item),
            (CoreSort::Global, Extern::Global(_)) => self.globals.push(item),
            _ => return Err(missing()),
        }
        Ok(())
    }

    fn outer_alias(&mut self, sort: Sort, count: u32, index: u32) -> Result<(), InstantiationError> {
        let mut outer = self.outer.as_ref();
        for _ in 1..count {
            outer = outer.and_then(|outer| outer.outer.as_ref());
        }
        match (sort, count) {
            (Sort::Module, 0) => self.modules.push(get(&self.modules, index)?),
            (Sort::Component, 0) => self.components.push(get(&self.components, index)?),
            (Sort::Module, _) => self.modules.push(get(&outer.ok_or_else(missing)?.modules, index)?),
            (Sort::Component, _) => self.components.push(get(&outer.ok_or_else(missing)?.components, index)?),
            _ => return Err(missing()),
        }
        Ok(())
    }

    fn options(&self, options: Options) -> Result<CoreOptions, InstantiationError> {
        let function = |index: Option<u32>| index.map(|index| get(&self.functions_core, index)).transpose();
        Ok(CoreOptions {
            encoding: options.encoding,
            memory: options.memory.map(|index| get(&self.memories, index)).transpose()?,
            realloc: function(options.realloc)?,
            post_return: function(options.post_return)?,
        })
    }

    fn items(&self, store: &Store<T>, items: &[(Name, ItemIndex)]) -> Result<Items<T>, InstantiationError> {
        items.iter().map(|(name, item)| Ok((name.clone(), self.item(store, *item)?))).collect()
    }

    fn item(&self, store: &Store<T>, item: ItemIndex) -> Result<Item<T>, InstantiationError> {
        match item {
            ItemIndex::Type | ItemIndex::Indexed(Sort::Type, _) => Ok(Item::Type),
            ItemIndex::Resource(index) => self.resource(store, index).map(Item::Resource),
            ItemIndex::Indexed(Sort::Module, index) => get(&self.modules, index).map(Item::Module),
            ItemIndex::Indexed(Sort::Function, index) => get(&self.functions, index).map(Item::Function),
            ItemIndex::Indexed(Sort::Instance, index) => get(&self.instances, index).map(Item::Instance),
            ItemIndex::Indexed(Sort::Component, index) => get(&self.components, index).map(Item::Component),
        }
    }

    /// Adds an item to its index space.
    fn add(
        &mut self,
        store: &mut Store<T>,
        sort: Sort,
        item: Item<T>,
        bindings: &[Binding],
    ) -> Result<(), InstantiationError> {
        match (sort, item) {
            (Sort::Module, Item::Module(module)) => self.modules.push(module),
            (Sort::Function, Item::Function(function)) => self.functions.push(function),
            (Sort::Component, Item::Component(component)) => self.components.push(component),
            (Sort::Instance, Item::Instance(instance)) => self.add_instance(store, instance, bindings)?,
            (Sort::Type, Item::Resource(id)) => {
                for binding in bindings {
                    self.bind(store, binding.resource, id)?;
                }
            }
            (Sort::Type, Item::Type) => {}
            _ => return Err(missing()),
        }
        Ok(())
    }

    fn add_instance(
        &mut self,
        store: &mut Store<T>,
        instance: Arc<InstanceValue<T>>,
        bindings: &[Binding],
    ) -> Result<(), InstantiationError> {
        for binding in bindings {
            if let Some(Item::Resource(id)) = instance.export(&binding.path) {
                self.bind(store, binding.resource, *id)?;
            }
        }
        self.instances.push(instance);
        Ok(())
    }

    fn bind(
        &self,
        store: &mut Store<T>,
        index: ResourceIndex,
        id: ResourceId,
    ) -> Result<(), InstantiationError> {
        let instance = store.data_mut().state_mut().instance_mut(self.instance).map_err(|_| missing())?;
        let slot = usize::try_from(index.0).ok().and_then(|index| instance.resources.get_mut(index));
        *slot.ok_or_else(missing)? = id;
        Ok(())
    }

    fn resource(&self, store: &Store<T>, index: ResourceIndex) -> Result<ResourceId, InstantiationError> {
        let instance = store.data().state().instance(self.instance).map_err(|_| missing())?;
        get(&instance.resources, index.0)
    }
}
