//! Components, loaded and linked: what is done once, before the first run.

use crate::{
    decode,
    definitions::{Definition, Name, Wanted},
    error::{LinkError, LoadError},
    evaluation::{Function, InstanceValue, Item, Items},
    handles::ResourceId,
    host::{Interface, Linker},
    modules::Modules,
    typed::TypeCheck,
    types::{FunctionType, ResourceIndex},
};
use alloc::{string::ToString, sync::Arc, vec::Vec};
use hashbrown::HashMap;

/// A component, decoded and valid, its core modules compiled. Cheap to clone.
pub struct Component<T> {
    definition: Arc<Definition<T>>,
}

impl<T> Clone for Component<T> {
    fn clone(&self) -> Self {
        Self { definition: self.definition.clone() }
    }
}

impl<T> Component<T> {
    /// Loads a component from its binary format.
    ///
    /// # Errors
    /// [`LoadError`] says what is wrong with it, or what is missing here.
    pub fn new(modules: &dyn Modules<T>, wasm: &[u8]) -> Result<Self, LoadError> {
        Ok(Self { definition: Arc::new(decode::decode(modules, wasm)?) })
    }

    /// The names of what it imports.
    pub fn imports(&self) -> impl Iterator<Item = &str> {
        self.definition.imports().map(|(name, _)| &**name)
    }

    /// The names of what it exports.
    pub fn exports(&self) -> impl Iterator<Item = &str> {
        self.definition.exports()
    }
}

/// A component with all that it imports: can be instantiated any number of times.
pub struct Linked<T> {
    definition: Arc<Definition<T>>,
    linker: Arc<Linker<T>>,
    items: Arc<Items<T>>,
}

impl<T> Clone for Linked<T> {
    fn clone(&self) -> Self {
        Self { definition: self.definition.clone(), linker: self.linker.clone(), items: self.items.clone() }
    }
}

impl<T> Linked<T> {
    /// Gives `component` what it imports from `linker`, checking all types.
    ///
    /// # Errors
    /// [`LinkError`] names the import, what the component expects and what the host has.
    pub fn new(linker: &Arc<Linker<T>>, component: &Component<T>) -> Result<Self, LinkError> {
        let mut linking = Linking { linker, resources: HashMap::new() };
        let mut items = Items::new();
        for (name, wanted) in component.definition.imports() {
            let item = match wanted {
                Wanted::Instance(exports) => {
                    let interface =
                        linker.find(name).ok_or_else(|| LinkError::UnknownImport(name.to_string()))?;
                    let used = component.definition.used(name);
                    linking.instance(name, interface, exports, |export| used.contains(export))?
                }
                other => {
                    let root = linker.find("").ok_or_else(|| LinkError::UnknownImport(name.to_string()))?;
                    let found = linking.item("", root, name, other)?;
                    found.ok_or_else(|| LinkError::UnknownImport(name.to_string()))?
                }
            };
            items.insert(name.clone(), item);
        }
        Ok(Self { definition: component.definition.clone(), linker: linker.clone(), items: Arc::new(items) })
    }

    pub(crate) fn definition(&self) -> &Arc<Definition<T>> {
        &self.definition
    }

    pub(crate) fn linker(&self) -> &Arc<Linker<T>> {
        &self.linker
    }

    pub(crate) fn items(&self) -> &Arc<Items<T>> {
        &self.items
    }
}

struct Linking<'a, T> {
    linker: &'a Linker<T>,
    /// What the component's resource types are, as far as its imports have said so.
    resources: HashMap<ResourceIndex, ResourceId>,
}

impl<T> Linking<'_, T> {
    /// An interface as an instance. What it lacks matters only if it is `used`.
    fn instance(
        &mut self,
        name: &str,
        interface: &Interface<T>,
        wanted: &[(Name, Wanted)],
        used: impl Fn(&str) -> bool,
    ) -> Result<Item<T>, LinkError> {
        let mut exports = Items::new();
        for (export, wanted) in wanted {
            match self.item(name, interface, export, wanted)? {
                Some(item) => {
                    exports.insert(export.clone(), item);
                }
                None if used(export) => {
                    return Err(LinkError::UnknownItem {
                        interface: name.to_string(),
                        item: export.to_string(),
                    });
                }
                None => {}
            }
        }
        Ok(Item::Instance(Arc::new(InstanceValue { exports })))
    }

    /// One item of an interface; `None` if the interface does not have it.
    fn item(
        &mut self,
        interface_name: &str,
        interface: &Interface<T>,
        name: &Name,
        wanted: &Wanted,
    ) -> Result<Option<Item<T>>, LinkError> {
        match wanted {
            Wanted::Function(ty) => {
                let Some(function) = interface.function(name) else { return Ok(None) };
                self.check(ty, function).map_err(|mismatch| LinkError::Type {
                    interface: interface_name.to_string(),
                    function: name.to_string(),
                    mismatch,
                })?;
                Ok(Some(Item::Function(Arc::new(Function::Host(function.clone())))))
            }
            Wanted::Resource(index) => {
                let Some(id) = interface.resource(name) else { return Ok(None) };
                self.resources.insert(*index, id);
                Ok(Some(Item::Resource(id)))
            }
            Wanted::Type => Ok(Some(Item::Type)),
            Wanted::Instance(_) => Ok(None),
            // Only what is used must be there.
            Wanted::Other(_) if !interface_name.is_empty() => Ok(None),
            Wanted::Other(what) => Err(LinkError::Unsupported { import: name.to_string(), what }),
        }
    }

    fn check(
        &self,
        ty: &FunctionType,
        function: &crate::host::HostFunction<T>,
    ) -> Result<(), crate::typed::Mismatch> {
        let resource = |index: ResourceIndex| self.resources.get(&index).copied();
        function.check(ty, &TypeCheck { markers: self.linker.markers(), resource: &resource })
    }
}

impl<T> Definition<T> {
    /// The names that its body takes from the instance that it imports as `import`. All of them, if it hands the
    /// instance on.
    fn used(&self, import: &str) -> Used<'_> {
        use crate::definitions::{ItemIndex, Sort, Step};
        let mut instances = 0_u32;
        let mut wanted = None;
        let mut used = Used::Names(Vec::new());
        for step in &self.steps {
            let given_on = |items: &[(Name, ItemIndex)]| {
                items.iter().any(|(_, item)| matches!(item, ItemIndex::Indexed(Sort::Instance, index) if Some(*index) == wanted))
            };
            let adds = match step {
                Step::Import { name, sort: Sort::Instance, .. } => {
                    if **name == *import {
                        wanted = Some(instances);
                    }
                    true
                }
                Step::Alias { sort, instance, name, .. } => {
                    if let (Used::Names(names), true) = (&mut used, Some(*instance) == wanted) {
                        names.push(name);
                    }
                    *sort == Sort::Instance
                }
                Step::Instantiate { args: items, .. } | Step::Bag(items) => {
                    if given_on(items) {
                        used = Used::Unknown;
                    }
                    true
                }
                Step::Export { item: ItemIndex::Indexed(Sort::Instance, _), .. } => true,
                _ => false,
            };
            instances = instances.saturating_add(u32::from(adds));
        }
        used
    }
}

/// What is used of an import.
enum Used<'a> {
    Names(Vec<&'a Name>),
    /// It is handed on to who knows whom, and what is missing is found when that takes it.
    Unknown,
}

impl Used<'_> {
    fn contains(&self, name: &str) -> bool {
        match self {
            Self::Names(names) => names.iter().any(|used| ***used == *name),
            Self::Unknown => false,
        }
    }
}
