//! The value types of the component model, as far as they matter at run time. How their values are laid out is computed once,
//! when a type is made.

mod display;
mod layout;

pub use layout::{CoreType, FlatTypes, Layout, MAX_FLAT_PARAMS, MAX_FLAT_RESULTS};
pub(crate) use layout::{MAX_FLAT, MAX_SIZE, align};

use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::fmt;

/// A resource type as a component's body knows it: an index into the resource types of its instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ResourceIndex(pub u32);

/// A value type. Cheap to clone; equal types are structurally equal.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the component model")]
pub enum Type {
    Bool,
    S8,
    U8,
    S16,
    U16,
    S32,
    U32,
    S64,
    U64,
    F32,
    F64,
    Char,
    String,
    List(Arc<List>),
    /// Always of the same length, and without a pointer.
    FixedList(Arc<List>),
    /// A list of pairs.
    Map(Arc<List>),
    Record(Arc<Record>),
    /// A record whose fields have no names.
    Tuple(Arc<Record>),
    Variant(Arc<Variant>),
    /// A variant without payloads.
    Enum(Arc<Variant>),
    /// A variant of `none` and `some`.
    Option(Arc<Variant>),
    /// A variant of `ok` and `error`.
    Result(Arc<Variant>),
    Flags(Arc<Flags>),
    Own(ResourceIndex),
    Borrow(ResourceIndex),
}

/// What a list holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    /// The type of each element.
    pub element: Type,
    /// The number of elements, if the type says it.
    pub length: Option<u32>,
    layout: Layout,
}

/// The fields of a record or tuple.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// In order.
    pub fields: Box<[Field]>,
    layout: Layout,
}

/// A field of a record or tuple.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Empty in a tuple.
    pub name: Box<str>,
    /// Its type.
    pub ty: Type,
    /// Where it lies in memory, from the start of the record.
    pub offset: u32,
}

/// The cases of a variant, and of what is one by another name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variant {
    /// In order.
    pub cases: Box<[Case]>,
    /// Where the payloads lie in memory, from the start of the variant.
    pub payload_offset: u32,
    layout: Layout,
}

impl Variant {
    /// The bytes of the discriminant in memory.
    pub fn discriminant_size(&self) -> u32 {
        layout::discriminant_size(self.cases.len())
    }
}

/// A case of a variant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// Its name.
    pub name: Box<str>,
    /// The type of its payload, if it has one.
    pub ty: Option<Type>,
}

/// Named bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flags {
    /// The first is bit 0.
    pub names: Box<[Box<str>]>,
    layout: Layout,
}

impl Flags {
    /// All bits that have a name.
    pub fn mask(&self) -> u32 {
        u32::MAX.checked_shr(32_u32.saturating_sub(self.names.len() as u32)).unwrap_or(0)
    }
}

/// Why there is no such type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TypeError {
    /// Its values take 2^28 bytes or more in memory, not counting what they point to.
    TooLarge,
    /// It nests too deep (100 levels).
    TooDeep,
    /// It consists of too many types.
    TooComplex,
    /// A record without fields, a variant without cases, a list of no elements, flags without names.
    Empty,
    /// More than 32 flags, or more than 2^32 - 1 cases.
    TooMany,
}

impl fmt::Display for TypeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLarge => "a value type exceeds the maximum byte size of 2^28 - 1",
            Self::TooDeep => "a value type nests deeper than 100 levels",
            Self::TooComplex => "a value type consists of too many types",
            Self::Empty => "a value type without fields, cases, elements or flags",
            Self::TooMany => "a value type with more than 32 flags, or too many cases",
        })
    }
}

impl core::error::Error for TypeError {}

/// The constructors refuse, with a [`TypeError`], what the component model does not allow or what is too large to be
/// worked with.
#[expect(missing_docs, clippy::missing_errors_doc, reason = "each makes the type of its name")]
impl Type {
    pub fn list(element: Self) -> Result<Self, TypeError> {
        let layout = Layout::list(element.layout())?;
        Ok(Self::List(Arc::new(List { element, length: None, layout })))
    }

    pub fn fixed_list(element: Self, length: u32) -> Result<Self, TypeError> {
        if length == 0 {
            return Err(TypeError::Empty);
        }
        let layout = Layout::fixed_list(element.layout(), length)?;
        Ok(Self::FixedList(Arc::new(List { element, length: Some(length), layout })))
    }

    pub fn map(key: Self, value: Self) -> Result<Self, TypeError> {
        let element = Self::tuple([key, value])?;
        let layout = Layout::list(element.layout())?;
        Ok(Self::Map(Arc::new(List { element, length: None, layout })))
    }

    pub fn record(fields: impl IntoIterator<Item = (Box<str>, Self)>) -> Result<Self, TypeError> {
        Record::new(fields).map(Self::Record)
    }

    pub fn tuple(types: impl IntoIterator<Item = Self>) -> Result<Self, TypeError> {
        Record::new(types.into_iter().map(|ty| (Box::default(), ty))).map(Self::Tuple)
    }

    pub fn variant(cases: impl IntoIterator<Item = (Box<str>, Option<Self>)>) -> Result<Self, TypeError> {
        Variant::new(cases).map(Self::Variant)
    }

    pub fn enumeration(names: impl IntoIterator<Item = Box<str>>) -> Result<Self, TypeError> {
        Variant::new(names.into_iter().map(|name| (name, None))).map(Self::Enum)
    }

    pub fn option(some: Self) -> Result<Self, TypeError> {
        Variant::new([("none".into(), None), ("some".into(), Some(some))]).map(Self::Option)
    }

    pub fn result(ok: Option<Self>, error: Option<Self>) -> Result<Self, TypeError> {
        Variant::new([("ok".into(), ok), ("error".into(), error)]).map(Self::Result)
    }

    pub fn flags(names: impl IntoIterator<Item = Box<str>>) -> Result<Self, TypeError> {
        let names: Box<[_]> = names.into_iter().collect();
        let size = match names.len() {
            0 => return Err(TypeError::Empty),
            1..=8 => 1,
            9..=16 => 2,
            17..=32 => 4,
            _ => return Err(TypeError::TooMany),
        };
        Ok(Self::Flags(Arc::new(Flags { names, layout: Layout::scalar(size, CoreType::I32) })))
    }
}

impl Record {
    fn new(fields: impl IntoIterator<Item = (Box<str>, Type)>) -> Result<Arc<Self>, TypeError> {
        let mut fields: Box<[_]> =
            fields.into_iter().map(|(name, ty)| Field { name, ty, offset: 0 }).collect();
        if fields.is_empty() {
            return Err(TypeError::Empty);
        }
        let mut offsets = Vec::with_capacity(fields.len());
        let layout =
            Layout::sequence(fields.iter().map(|field| field.ty.layout()), |offset| offsets.push(offset))?;
        for (field, offset) in fields.iter_mut().zip(offsets) {
            field.offset = offset;
        }
        Ok(Arc::new(Self { fields, layout }))
    }
}

impl Variant {
    fn new(cases: impl IntoIterator<Item = (Box<str>, Option<Type>)>) -> Result<Arc<Self>, TypeError> {
        let cases: Box<[_]> = cases.into_iter().map(|(name, ty)| Case { name, ty }).collect();
        if cases.is_empty() {
            return Err(TypeError::Empty);
        }
        if u32::try_from(cases.len()).is_err() {
            return Err(TypeError::TooMany);
        }
        let payloads = cases.iter().filter_map(|case| case.ty.as_ref().map(Type::layout));
        let (layout, payload_offset) = Layout::variant(cases.len(), payloads)?;
        Ok(Arc::new(Self { cases, payload_offset, layout }))
    }
}

/// The core signature of a component function's lifted or lowered form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoreSignature {
    /// The parameters: values, or a pointer to them; and, if lowered, where the result goes.
    pub params: FlatTypes,
    /// The results: at most one.
    pub results: FlatTypes,
}

/// The type of a component function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionType {
    pub(crate) params: Box<[(Box<str>, Type)]>,
    pub(crate) result: Option<Type>,
    params_layout: Layout,
    result_layout: Layout,
    lifted: CoreSignature,
    lowered: CoreSignature,
    scalar_params: bool,
}

impl FunctionType {
    /// With these parameters and this result.
    ///
    /// # Errors
    /// [`TypeError`], if the parameters are too large together.
    pub fn new(
        params: impl IntoIterator<Item = (Box<str>, Type)>,
        result: Option<Type>,
    ) -> Result<Self, TypeError> {
        let params: Box<[_]> = params.into_iter().collect();
        let params_layout = Layout::sequence(params.iter().map(|(_, ty)| ty.layout()), |_| ())?;
        let result_layout = Layout::sequence(result.iter().map(Type::layout), |_| ())?;
        let pointer = FlatTypes::one(CoreType::I32);
        let passed = if params_layout.flat.exceeds(MAX_FLAT_PARAMS) { pointer } else { params_layout.flat };
        let mut lifted = CoreSignature { params: passed, results: result_layout.flat };
        let mut lowered = lifted;
        if result_layout.flat.exceeds(MAX_FLAT_RESULTS) {
            lifted.results = pointer;
            lowered.results = FlatTypes::NONE;
            lowered.params.push(CoreType::I32);
        }
        let scalar_params =
            params.len() <= MAX_FLAT_PARAMS && params.iter().all(|(_, ty)| ty.scalar().is_some());
        Ok(Self { params, result, params_layout, result_layout, lifted, lowered, scalar_params })
    }

    /// Names and types of the parameters.
    pub fn params(&self) -> &[(Box<str>, Type)] {
        &self.params
    }

    /// The result, if any.
    pub fn result(&self) -> Option<&Type> {
        self.result.as_ref()
    }

    /// How all parameters together lie in memory, and as flat values.
    pub fn params_layout(&self) -> &Layout {
        &self.params_layout
    }

    /// How the result lies in memory, and as flat values; nothing, if there is none.
    pub fn result_layout(&self) -> &Layout {
        &self.result_layout
    }

    /// Whether the parameters go through memory.
    #[inline]
    pub fn params_in_memory(&self) -> bool {
        self.params_layout.flat.exceeds(MAX_FLAT_PARAMS)
    }

    /// Whether the result goes through memory.
    #[inline]
    pub fn result_in_memory(&self) -> bool {
        self.result_layout.flat.exceeds(MAX_FLAT_RESULTS)
    }

    /// Whether lowering the result has to allocate in the guest that gets it.
    #[inline]
    pub fn result_needs_realloc(&self) -> bool {
        self.result_layout.needs_allocation
    }

    /// Whether all parameters are scalars, each of them a flat value.
    #[inline]
    pub(crate) fn scalar_params(&self) -> bool {
        self.scalar_params
    }

    /// Whether it takes and gives nothing but scalars, each of them a flat value.
    pub(crate) fn only_scalars(&self) -> bool {
        self.scalar_params && self.result.as_ref().is_none_or(|ty| ty.scalar().is_some())
    }

    /// The core function that `canon lift` makes a component function of.
    pub fn lifted(&self) -> &CoreSignature {
        &self.lifted
    }

    /// The core function that `canon lower` makes of a component function.
    pub fn lowered(&self) -> &CoreSignature {
        &self.lowered
    }
}

#[cfg(test)]
mod tests;
