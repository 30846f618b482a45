//! wasmparser's types of a component's body, as types of this crate.

use super::{Names, sort};
use crate::{
    definitions::{Binding, ItemIndex, Name, Sort, Wanted},
    error::LoadError,
    types::{FunctionType, ResourceIndex, Type},
};
use alloc::{boxed::Box, string::ToString, sync::Arc, vec::Vec};
use hashbrown::HashMap;
use wasmparser::{
    ComponentExternalKind, PrimitiveValType,
    component_types::{
        ComponentAnyTypeId, ComponentDefinedType, ComponentDefinedTypeId, ComponentEntityType,
        ComponentFuncTypeId, ComponentInstanceTypeId, ComponentValType, ResourceId,
    },
    types::TypesRef,
};

/// What is known of the types of one body.
#[derive(Default)]
pub(super) struct Types {
    resources: HashMap<ResourceId, ResourceIndex>,
    defined: HashMap<ComponentDefinedTypeId, Type>,
    functions: HashMap<ComponentFuncTypeId, Arc<FunctionType>>,
}

impl Types {
    /// How many resource types the body knows.
    pub(super) fn resources(&self) -> u32 {
        u32::try_from(self.resources.len()).unwrap_or(u32::MAX)
    }

    fn resource(&mut self, id: ResourceId) -> ResourceIndex {
        let next = ResourceIndex(self.resources());
        *self.resources.entry(id).or_insert(next)
    }

    /// The resource type at `index` of the types, if it is one.
    pub(super) fn resource_at(&mut self, types: TypesRef<'_>, index: u32) -> Option<ResourceIndex> {
        match types.component_any_type_at(index) {
            ComponentAnyTypeId::Resource(id) => Some(self.resource(id.resource())),
            _ => None,
        }
    }

    /// An item of the index spaces.
    pub(super) fn item(
        &mut self,
        types: TypesRef<'_>,
        kind: ComponentExternalKind,
        index: u32,
    ) -> Result<ItemIndex, LoadError> {
        Ok(match sort(kind)? {
            Sort::Type => self.resource_at(types, index).map_or(ItemIndex::Type, ItemIndex::Resource),
            sort => ItemIndex::Indexed(sort, index),
        })
    }

    /// The resource types that come with the item at `index`, as far as they are new to the body: exports of an instance,
    /// or the type itself.
    pub(super) fn bindings(
        &mut self,
        types: TypesRef<'_>,
        sort: Sort,
        index: u32,
        names: &mut Names,
    ) -> Box<[Binding]> {
        let mut bindings = Vec::new();
        match sort {
            Sort::Instance => {
                let id = types.component_instance_at(index);
                self.bind_instance(types, id, &mut Vec::new(), names, &mut bindings);
            }
            Sort::Type => {
                if let ComponentAnyTypeId::Resource(id) = types.component_any_type_at(index) {
                    self.bind(id.resource(), &[], &mut bindings);
                }
            }
            Sort::Module | Sort::Function | Sort::Component => {}
        }
        bindings.into()
    }

    fn bind(&mut self, id: ResourceId, path: &[Name], bindings: &mut Vec<Binding>) {
        if !self.resources.contains_key(&id) {
            bindings.push(Binding { path: path.into(), resource: self.resource(id) });
        }
    }

    fn bind_instance(
        &mut self,
        types: TypesRef<'_>,
        id: ComponentInstanceTypeId,
        path: &mut Vec<Name>,
        names: &mut Names,
        bindings: &mut Vec<Binding>,
    ) {
        for (name, item) in &types[id].exports {
            match item.ty {
                ComponentEntityType::Type { created: ComponentAnyTypeId::Resource(id), .. } => {
                    path.push(names.get(name));
                    self.bind(id.resource(), path, bindings);
                    path.pop();
                }
                ComponentEntityType::Instance(id) => {
                    path.push(names.get(name));
                    self.bind_instance(types, id, path, names, bindings);
                    path.pop();
                }
                _ => {}
            }
        }
    }

    /// What an import asks for.
    pub(super) fn wanted(
        &mut self,
        types: TypesRef<'_>,
        ty: &ComponentEntityType,
        names: &mut Names,
    ) -> Result<Wanted, LoadError> {
        Ok(match *ty {
            // A function that cannot be called here is no reason to refuse a component that does not call it.
            ComponentEntityType::Func(id) => match self.function(types, id) {
                Ok(ty) => Wanted::Function(ty),
                Err(LoadError::Unsupported(what)) => Wanted::Other(what),
                Err(error) => return Err(error),
            },
            ComponentEntityType::Instance(id) => {
                let exports = types[id].exports.iter();
                let wanted =
                    exports.map(|(name, item)| Ok((names.get(name), self.wanted(types, &item.ty, names)?)));
                Wanted::Instance(wanted.collect::<Result<_, LoadError>>()?)
            }
            ComponentEntityType::Type { created: ComponentAnyTypeId::Resource(id), .. } => {
                Wanted::Resource(self.resource(id.resource()))
            }
            ComponentEntityType::Type { .. } => Wanted::Type,
            ComponentEntityType::Module(_) => Wanted::Other("a core module"),
            ComponentEntityType::Component(_) => Wanted::Other("a component"),
            ComponentEntityType::Value(_) => Wanted::Other("a value"),
        })
    }

    /// A function type.
    pub(super) fn function(
        &mut self,
        types: TypesRef<'_>,
        id: ComponentFuncTypeId,
    ) -> Result<Arc<FunctionType>, LoadError> {
        if let Some(known) = self.functions.get(&id) {
            return Ok(known.clone());
        }
        let function = &types[id];
        if function.async_ {
            return Err(LoadError::Unsupported("asynchronous functions"));
        }
        let params =
            function.params.iter().map(|(name, ty)| Ok((Box::from(name.as_str()), self.value(types, *ty)?)));
        let params = params.collect::<Result<Vec<_>, LoadError>>()?;
        let result = self.optional(types, function.result)?;
        let converted =
            FunctionType::new(params, result).map_err(|error| LoadError::Type(error.to_string()))?;
        let converted = Arc::new(converted);
        self.functions.insert(id, converted.clone());
        Ok(converted)
    }

    fn optional(
        &mut self,
        types: TypesRef<'_>,
        ty: Option<ComponentValType>,
    ) -> Result<Option<Type>, LoadError> {
        ty.map(|ty| self.value(types, ty)).transpose()
    }

    fn value(&mut self, types: TypesRef<'_>, ty: ComponentValType) -> Result<Type, LoadError> {
        let id = match ty {
            ComponentValType::Primitive(ty) => return primitive(ty),
            ComponentValType::Type(id) => id,
        };
        if let Some(known) = self.defined.get(&id) {
            return Ok(known.clone());
        }
        let converted = self.defined(types, &types[id])?;
        self.defined.insert(id, converted.clone());
        Ok(converted)
    }

    fn defined(&mut self, types: TypesRef<'_>, ty: &ComponentDefinedType) -> Result<Type, LoadError> {
        let labels =
            |labels: &mut dyn Iterator<Item = &str>| labels.map(Box::from).collect::<Vec<Box<str>>>();
        let made = match ty {
            ComponentDefinedType::Primitive(ty) => return primitive(*ty),
            ComponentDefinedType::Own(id) => return Ok(Type::Own(self.resource(id.resource()))),
            ComponentDefinedType::Borrow(id) => return Ok(Type::Borrow(self.resource(id.resource()))),
            ComponentDefinedType::Record(record) => {
                let fields = record
                    .fields
                    .iter()
                    .map(|(name, ty)| Ok((Box::from(name.as_str()), self.value(types, *ty)?)));
                Type::record(fields.collect::<Result<Vec<_>, LoadError>>()?)
            }
            ComponentDefinedType::Variant(variant) => {
                let cases = variant.cases.iter();
                let cases =
                    cases.map(|(name, case)| Ok((Box::from(name.as_str()), self.optional(types, case.ty)?)));
                Type::variant(cases.collect::<Result<Vec<_>, LoadError>>()?)
            }
            ComponentDefinedType::List { element, .. } => Type::list(self.value(types, *element)?),
            ComponentDefinedType::FixedLengthList { element, length, .. } => {
                Type::fixed_list(self.value(types, *element)?, *length)
            }
            ComponentDefinedType::Map { key, value, .. } => {
                Type::map(self.value(types, *key)?, self.value(types, *value)?)
            }
            ComponentDefinedType::Tuple(tuple) => {
                let elements = tuple.types.iter().map(|ty| self.value(types, *ty));
                Type::tuple(elements.collect::<Result<Vec<_>, LoadError>>()?)
            }
            ComponentDefinedType::Flags(names) => {
                Type::flags(labels(&mut names.iter().map(|name| name.as_str())))
            }
            ComponentDefinedType::Enum(names) => {
                Type::enumeration(labels(&mut names.iter().map(|name| name.as_str())))
            }
            ComponentDefinedType::Option { ty, .. } => Type::option(self.value(types, *ty)?),
            ComponentDefinedType::Result { ok, err, .. } => {
                Type::result(self.optional(types, *ok)?, self.optional(types, *err)?)
            }
            ComponentDefinedType::Future { .. } | ComponentDefinedType::Stream { .. } => {
                return Err(LoadError::Unsupported("futures and streams of the component model"));
            }
        };
        made.map_err(|error| LoadError::Type(error.to_string()))
    }
}

fn primitive(ty: PrimitiveValType) -> Result<Type, LoadError> {
    Ok(match ty {
        PrimitiveValType::Bool => Type::Bool,
        PrimitiveValType::S8 => Type::S8,
        PrimitiveValType::U8 => Type::U8,
        PrimitiveValType::S16 => Type::S16,
        PrimitiveValType::U16 => Type::U16,
        PrimitiveValType::S32 => Type::S32,
        PrimitiveValType::U32 => Type::U32,
        PrimitiveValType::S64 => Type::S64,
        PrimitiveValType::U64 => Type::U64,
        PrimitiveValType::F32 => Type::F32,
        PrimitiveValType::F64 => Type::F64,
        PrimitiveValType::Char => Type::Char,
        PrimitiveValType::String => Type::String,
        PrimitiveValType::ErrorContext => return Err(LoadError::Unsupported("error contexts")),
    })
}
