//! Decodes and validates a component. wasmparser proves all that can be proved of it; here its definitions are put into the form in
//! which they are evaluated.

mod names;
mod types;

use crate::{
    definitions::{CoreSort, Definition, Options, Sort, Step, Wanted},
    error::LoadError,
    modules::Modules,
};
use alloc::{sync::Arc, vec::Vec};
use names::Names;
use types::Types;
use wasmparser::{
    CanonicalFunction, CanonicalOption, ComponentAlias, ComponentExport, ComponentExternalKind,
    ComponentInstance, ComponentOuterAliasKind, ComponentTypeRef, ExternalKind, Instance, Parser, Payload,
    Validator, WasmFeatures,
};

/// Components within components: each level costs some of the host's stack nowhere, but names a level of instances.
const NESTING_MAX: usize = 100;

/// Decodes a component, compiling its core modules with `modules`.
pub(crate) fn decode<T>(modules: &dyn Modules<T>, wasm: &[u8]) -> Result<Definition<T>, LoadError> {
    let mut decoder = Decoder {
        wasm,
        modules,
        validator: Validator::new_with_features(features()),
        bodies: Vec::new(),
        module: None,
        names: Names::default(),
    };
    for payload in Parser::new(0).parse_all(wasm) {
        if let Some(definition) = decoder.payload(payload?)? {
            return Ok(definition);
        }
    }
    Err(LoadError::Truncated)
}

/// What released toolchains emit, and two value types that are settled but for the flag.
fn features() -> WasmFeatures {
    WasmFeatures::default() | WasmFeatures::CM_FIXED_LENGTH_LISTS | WasmFeatures::CM_MAP
}

struct Decoder<'a, T> {
    wasm: &'a [u8],
    modules: &'a dyn Modules<T>,
    validator: Validator,
    /// The components that are being decoded, the innermost last.
    bodies: Vec<Body<T>>,
    /// Where the core module lies that is being validated.
    module: Option<core::ops::Range<u64>>,
    names: Names,
}

/// A component of which some sections have been decoded.
struct Body<T> {
    steps: Vec<Step<T>>,
    types: Types,
    type_count: u32,
    instance_count: u32,
    uses_outer: bool,
}

impl<T> Body<T> {
    fn new() -> Self {
        Self {
            steps: Vec::new(),
            types: Types::default(),
            type_count: 0,
            instance_count: 0,
            uses_outer: false,
        }
    }

    fn finish(self) -> Definition<T> {
        Definition {
            resources: self.types.resources(),
            steps: self.steps.into(),
            uses_outer: self.uses_outer,
        }
    }

    /// Notes that an item was added to the index space of `sort`; gives its index if it is one that is counted.
    fn count(&mut self, sort: Sort) -> u32 {
        let count = match sort {
            Sort::Type => &mut self.type_count,
            Sort::Instance => &mut self.instance_count,
            Sort::Module | Sort::Function | Sort::Component => return 0,
        };
        let index = *count;
        *count = index.saturating_add(1);
        index
    }
}

impl<T> Decoder<'_, T> {
    /// Takes the next part of the binary. Gives the outermost component when it is complete.
    fn payload(&mut self, payload: Payload<'_>) -> Result<Option<Definition<T>>, LoadError> {
        self.validator.payload(&payload)?;
        if let Some(range) = &self.module {
            // The validator needs all of a core module; its functions are validated when they are compiled.
            if let Payload::End(_) = payload {
                let start = usize::try_from(range.start).map_err(|_| LoadError::Truncated)?;
                let end = usize::try_from(range.end).map_err(|_| LoadError::Truncated)?;
                let wasm = self.wasm.get(start..end).ok_or(LoadError::Truncated)?;
                self.module = None;
                let module = self.modules.compile(wasm).map_err(LoadError::Module)?;
                self.push(Step::CoreModule(module))?;
            }
            return Ok(None);
        }
        match payload {
            Payload::Version { encoding, .. } => {
                if encoding != wasmparser::Encoding::Component {
                    return Err(LoadError::NotComponent);
                }
                if self.bodies.len() >= NESTING_MAX {
                    return Err(LoadError::Unsupported("components nested more than 100 deep"));
                }
                self.bodies.push(Body::new());
            }
            Payload::ModuleSection { unchecked_range, .. } => self.module = Some(unchecked_range),
            Payload::End(_) => {
                let Some(body) = self.bodies.pop() else { return Err(LoadError::Truncated) };
                let definition = body.finish();
                let Some(outer) = self.bodies.last_mut() else { return Ok(Some(definition)) };
                outer.uses_outer |= definition.uses_outer;
                outer.steps.push(Step::Component(Arc::new(definition)));
            }
            Payload::InstanceSection(section) => {
                for instance in section {
                    let step = self.core_instance(instance?)?;
                    self.push(step)?;
                }
            }
            Payload::ComponentTypeSection(section) => {
                for ty in section {
                    self.type_definition(&ty?)?;
                }
            }
            Payload::ComponentAliasSection(section) => {
                for alias in section {
                    self.alias(&alias?)?;
                }
            }
            Payload::ComponentCanonicalSection(section) => {
                for function in section {
                    let step = self.canonical(function?)?;
                    self.push(step)?;
                }
            }
            Payload::ComponentInstanceSection(section) => {
                for instance in section {
                    self.instance(instance?)?;
                }
            }
            Payload::ComponentImportSection(section) => {
                for import in section {
                    let import = import?;
                    self.import(import.name.name, import.ty)?;
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section {
                    self.export(&export?)?;
                }
            }
            Payload::ComponentStartSection { .. } => {
                return Err(LoadError::Unsupported("start functions of components"));
            }
            _ => {}
        }
        Ok(None)
    }

    fn body(&mut self) -> Result<&mut Body<T>, LoadError> {
        self.bodies.last_mut().ok_or(LoadError::Truncated)
    }

    fn push(&mut self, step: Step<T>) -> Result<(), LoadError> {
        self.body()?.steps.push(step);
        Ok(())
    }

    /// The body that is being decoded, and what the validator knows of it.
    fn typed(&mut self) -> Result<(&mut Body<T>, wasmparser::types::TypesRef<'_>, &mut Names), LoadError> {
        let types = self.validator.types(0).ok_or(LoadError::Truncated)?;
        let body = self.bodies.last_mut().ok_or(LoadError::Truncated)?;
        Ok((body, types, &mut self.names))
    }

    fn core_instance(&mut self, instance: Instance<'_>) -> Result<Step<T>, LoadError> {
        Ok(match instance {
            Instance::Instantiate { module_index, args } => {
                let args = args.iter().map(|arg| (arg.name.into(), arg.index)).collect();
                Step::CoreInstantiate { module: module_index, args }
            }
            Instance::FromExports(exports) => {
                let exports = exports
                    .iter()
                    .map(|export| Ok((export.name.into(), core_sort(export.kind)?, export.index)));
                Step::CoreBag(exports.collect::<Result<_, LoadError>>()?)
            }
        })
    }

    fn type_definition(&mut self, ty: &wasmparser::ComponentType<'_>) -> Result<(), LoadError> {
        let (body, types, _) = self.typed()?;
        let index = body.count(Sort::Type);
        if let wasmparser::ComponentType::Resource { dtor, .. } = ty {
            let resource = body.types.resource_at(types, index).ok_or(LoadError::Truncated)?;
            body.steps.push(Step::Resource { index: resource, destructor: *dtor });
        }
        Ok(())
    }

    fn alias(&mut self, alias: &ComponentAlias<'_>) -> Result<(), LoadError> {
        match *alias {
            ComponentAlias::CoreInstanceExport { kind, instance_index, name } => {
                let step =
                    Step::CoreAlias { sort: core_sort(kind)?, instance: instance_index, name: name.into() };
                self.push(step)
            }
            ComponentAlias::InstanceExport { kind, instance_index, name } => {
                let sort = sort(kind)?;
                let (body, types, names) = self.typed()?;
                let index = body.count(sort);
                let bindings = body.types.bindings(types, sort, index, names);
                let name = names.get(name);
                body.steps.push(Step::Alias { sort, instance: instance_index, name, bindings });
                Ok(())
            }
            ComponentAlias::Outer { kind, count, index } => {
                let sort = match kind {
                    ComponentOuterAliasKind::CoreModule => Sort::Module,
                    ComponentOuterAliasKind::Component => Sort::Component,
                    ComponentOuterAliasKind::Type => {
                        self.body()?.count(Sort::Type);
                        return Ok(());
                    }
                    ComponentOuterAliasKind::CoreType => return Ok(()),
                };
                let body = self.body()?;
                body.uses_outer |= count > 0;
                body.steps.push(Step::OuterAlias { sort, count, index });
                Ok(())
            }
        }
    }

    fn canonical(&mut self, function: CanonicalFunction) -> Result<Step<T>, LoadError> {
        let (body, types, _) = self.typed()?;
        let mut resource = |index| body.types.resource_at(types, index).ok_or(LoadError::Truncated);
        Ok(match function {
            CanonicalFunction::ResourceNew { resource: index } => Step::ResourceNew(resource(index)?),
            CanonicalFunction::ResourceDrop { resource: index } => Step::ResourceDrop(resource(index)?),
            CanonicalFunction::ResourceRep { resource: index } => Step::ResourceRep(resource(index)?),
            CanonicalFunction::Lift { core_func_index, type_index, options } => {
                let wasmparser::component_types::ComponentAnyTypeId::Func(id) =
                    types.component_any_type_at(type_index)
                else {
                    return Err(LoadError::Truncated);
                };
                let ty = body.types.function(types, id)?;
                Step::Lift { function: core_func_index, ty, options: canonical_options(&options)? }
            }
            CanonicalFunction::Lower { func_index, options } => {
                let ty = body.types.function(types, types.component_function_at(func_index))?;
                Step::Lower { function: func_index, ty, options: canonical_options(&options)? }
            }
            _ => return Err(LoadError::Unsupported("the asynchronous functions of the component model")),
        })
    }

    fn instance(&mut self, instance: ComponentInstance<'_>) -> Result<(), LoadError> {
        let (body, types, names) = self.typed()?;
        let step = match instance {
            ComponentInstance::Instantiate { component_index, args } => {
                let index = body.count(Sort::Instance);
                let bindings = body.types.bindings(types, Sort::Instance, index, names);
                let mut item = |arg: &wasmparser::ComponentInstantiationArg<'_>| {
                    Ok((names.get(arg.name), body.types.item(types, arg.kind, arg.index)?))
                };
                let args = args.iter().map(&mut item).collect::<Result<_, LoadError>>()?;
                Step::Instantiate { component: component_index, args, bindings }
            }
            ComponentInstance::FromExports(exports) => {
                body.count(Sort::Instance);
                let mut item = |export: &ComponentExport<'_>| {
                    Ok((names.get(export.name.name), body.types.item(types, export.kind, export.index)?))
                };
                Step::Bag(exports.iter().map(&mut item).collect::<Result<_, LoadError>>()?)
            }
        };
        body.steps.push(step);
        Ok(())
    }

    fn import(&mut self, name: &str, ty: ComponentTypeRef) -> Result<(), LoadError> {
        let outermost = self.bodies.len() == 1;
        let (body, types, names) = self.typed()?;
        let sort = sort(ty.kind())?;
        let index = body.count(sort);
        let bindings = body.types.bindings(types, sort, index, names);
        let wanted = match types.component_item_for_import(name) {
            Some(item) if outermost => body.types.wanted(types, &item.ty, names)?,
            _ => Wanted::Type,
        };
        body.steps.push(Step::Import { name: names.get(name), sort, bindings, wanted });
        Ok(())
    }

    fn export(&mut self, export: &ComponentExport<'_>) -> Result<(), LoadError> {
        let (body, types, names) = self.typed()?;
        let item = body.types.item(types, export.kind, export.index)?;
        body.count(sort(export.kind)?);
        body.steps.push(Step::Export { name: names.get(export.name.name), item });
        Ok(())
    }
}

fn canonical_options(options: &[CanonicalOption]) -> Result<Options, LoadError> {
    use crate::abi::StringEncoding;
    let mut read = Options::default();
    for option in options {
        match *option {
            CanonicalOption::UTF8 => read.encoding = StringEncoding::Utf8,
            CanonicalOption::UTF16 => read.encoding = StringEncoding::Utf16,
            CanonicalOption::CompactUTF16 => read.encoding = StringEncoding::CompactUtf16,
            CanonicalOption::Memory(index) => read.memory = Some(index),
            CanonicalOption::Realloc(index) => read.realloc = Some(index),
            CanonicalOption::PostReturn(index) => read.post_return = Some(index),
            CanonicalOption::Async | CanonicalOption::Callback(_) => {
                return Err(LoadError::Unsupported("the asynchronous canonical ABI"));
            }
            CanonicalOption::CoreType(_) | CanonicalOption::Gc => {
                return Err(LoadError::Unsupported("the canonical ABI of garbage collection"));
            }
        }
    }
    Ok(read)
}

fn core_sort(kind: ExternalKind) -> Result<CoreSort, LoadError> {
    match kind {
        ExternalKind::Func | ExternalKind::FuncExact => Ok(CoreSort::Function),
        ExternalKind::Table => Ok(CoreSort::Table),
        ExternalKind::Memory => Ok(CoreSort::Memory),
        ExternalKind::Global => Ok(CoreSort::Global),
        ExternalKind::Tag => Err(LoadError::Unsupported("exceptions")),
    }
}

fn sort(kind: ComponentExternalKind) -> Result<Sort, LoadError> {
    match kind {
        ComponentExternalKind::Module => Ok(Sort::Module),
        ComponentExternalKind::Func => Ok(Sort::Function),
        ComponentExternalKind::Type => Ok(Sort::Type),
        ComponentExternalKind::Instance => Ok(Sort::Instance),
        ComponentExternalKind::Component => Ok(Sort::Component),
        ComponentExternalKind::Value => Err(LoadError::Unsupported("values as imports and exports")),
    }
}
