//! The macros that declare the records, variants, enumerations and flags of an interface.
//!
//! The names in WIT are the Rust names in kebab case; `as "name"` behind one says another.

/// Declares a struct that stands for a record: same fields, same order.
///
/// ```
/// component::record! {
///     /// A moment.
///     #[derive(Clone, Copy, Debug)]
///     pub struct Datetime {
///         /// Since 1970.
///         pub seconds: u64,
///         /// Below 10^9.
///         pub nanoseconds: u32,
///     }
/// }
/// ```
#[macro_export]
macro_rules! record {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident {
            $($(#[$field_meta:meta])* $field_vis:vis $field:ident $(as $wit:literal)? : $ty:ty),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        $vis struct $name {
            $($(#[$field_meta])* $field_vis $field: $ty),+
        }

        impl $crate::typed::Typed for $name {
            fn check(
                ty: &$crate::Type,
                types: &$crate::typed::TypeCheck<'_>,
            ) -> ::core::result::Result<(), $crate::typed::Mismatch> {
                use $crate::typed::support;
                let fields: &[(support::String, support::Check)] = &[$((
                    support::name(::core::stringify!($field), &[$($wit)?]),
                    <$ty as $crate::typed::Typed>::check,
                )),+];
                support::check_record(ty, types, fields, Self::wit)
            }

            fn wit() -> $crate::typed::support::String {
                use $crate::typed::support;
                support::wit_record(&[$((
                    support::name(::core::stringify!($field), &[$($wit)?]),
                    <$ty as $crate::typed::Typed>::wit,
                )),+])
            }
        }

        impl $crate::Lift for $name {
            fn lift(value: $crate::Value) -> ::core::result::Result<Self, $crate::Trap> {
                use $crate::typed::support;
                let $crate::Value::Record(fields) = value else {
                    return ::core::result::Result::Err(support::not("record"));
                };
                let mut fields = fields.into_iter();
                let mut next = || fields.next().ok_or_else(|| support::not("record with so many fields"));
                ::core::result::Result::Ok(Self { $($field: <$ty as $crate::Lift>::lift(next()?)?),+ })
            }
        }

        impl $crate::Lower for $name {
            fn lower(self) -> $crate::Value {
                $crate::Value::Record($crate::typed::support::vec![
                    $(<$ty as $crate::Lower>::lower(self.$field)),+
                ])
            }
        }
    };
}

/// Declares an enum that stands for a variant: same cases, same order, each with one payload or none.
///
/// ```
/// component::variant! {
///     /// When.
///     #[derive(Clone, Debug)]
///     pub enum NewTimestamp {
///         /// As it is.
///         NoChange,
///         /// Nanoseconds since 1970.
///         Timestamp(u64),
///     }
/// }
/// ```
#[macro_export]
macro_rules! variant {
    (
        $(#[$meta:meta])*
        $vis:vis enum $name:ident {
            $($(#[$case_meta:meta])* $case:ident $(as $wit:literal)? $(($ty:ty))?),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        $vis enum $name {
            $($(#[$case_meta])* $case $(($ty))?),+
        }

        impl $crate::typed::Typed for $name {
            fn check(
                ty: &$crate::Type,
                types: &$crate::typed::TypeCheck<'_>,
            ) -> ::core::result::Result<(), $crate::typed::Mismatch> {
                use $crate::typed::support;
                let cases: &[(support::String, ::core::option::Option<support::Check>)] = &[$((
                    support::name(::core::stringify!($case), &[$($wit)?]),
                    ::core::option::Option::None
                        $(.or(::core::option::Option::Some(<$ty as $crate::typed::Typed>::check as support::Check)))?,
                )),+];
                support::check_variant(ty, types, cases, Self::wit)
            }

            fn wit() -> $crate::typed::support::String {
                use $crate::typed::support;
                support::wit_variant(&[$((
                    support::name(::core::stringify!($case), &[$($wit)?]),
                    ::core::option::Option::None
                        $(.or(::core::option::Option::Some(<$ty as $crate::typed::Typed>::wit as support::Wit)))?,
                )),+])
            }
        }

        impl $crate::Lift for $name {
            fn lift(value: $crate::Value) -> ::core::result::Result<Self, $crate::Trap> {
                use $crate::typed::support;
                enum Index { $($case),+ }
                let $crate::Value::Variant(index, payload) = value else {
                    return ::core::result::Result::Err(support::not("variant"));
                };
                let mut payload = payload.into_iter();
                let mut _payload = || payload.next().ok_or_else(|| support::not("case with a payload"));
                $(if index == Index::$case as u32 {
                    return ::core::result::Result::Ok(
                        Self::$case $((<$ty as $crate::Lift>::lift(*_payload()?)?))?
                    );
                })+
                ::core::result::Result::Err(support::not("variant with such a case"))
            }
        }

        impl $crate::Lower for $name {
            fn lower(self) -> $crate::Value {
                enum Index { $($case),+ }
                match self {
                    $(Self::$case $(($crate::__payload!(payload $ty)))? => $crate::Value::Variant(
                        Index::$case as u32,
                        ::core::option::Option::None $(.or(::core::option::Option::Some(
                            $crate::typed::support::Box::new(
                                <$ty as $crate::Lower>::lower($crate::__payload!(payload $ty))
                            )
                        )))?,
                    )),+
                }
            }
        }
    };
}

/// The first of two: lets a repetition over the second use the first.
#[doc(hidden)]
#[macro_export]
macro_rules! __payload {
    ($name:ident $ty:ty) => {
        $name
    };
}

/// What a type is to the component that is nothing but names: an enumeration, or flags.
#[doc(hidden)]
#[macro_export]
macro_rules! __names {
    ($name:ident, $kind:literal, $($each:ident $(as $wit:literal)?),+) => {
        const _: () = {
            fn names() -> $crate::typed::support::Vec<$crate::typed::support::String> {
                use $crate::typed::support;
                support::vec![$(support::name(::core::stringify!($each), &[$($wit)?])),+]
            }

            impl $crate::typed::Typed for $name {
                fn check(
                    ty: &$crate::Type,
                    _: &$crate::typed::TypeCheck<'_>,
                ) -> ::core::result::Result<(), $crate::typed::Mismatch> {
                    $crate::typed::support::check_names(ty, $kind, &names())
                }

                fn wit() -> $crate::typed::support::String {
                    $crate::typed::support::wit_names($kind, &names())
                }
            }
        };
    };
}

/// Declares an enum that stands for an enumeration: same cases, same order.
///
/// ```
/// component::enumeration! {
///     /// How far.
///     #[derive(Clone, Copy, Debug, PartialEq, Eq)]
///     pub enum Advice {
///         /// No idea.
///         Normal,
///         /// `no-reuse` in WIT.
///         NoReuse,
///     }
/// }
/// ```
#[macro_export]
macro_rules! enumeration {
    (
        $(#[$meta:meta])*
        $vis:vis enum $name:ident {
            $($(#[$case_meta:meta])* $case:ident $(as $wit:literal)?),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        $vis enum $name {
            $($(#[$case_meta])* $case),+
        }

        $crate::__names!($name, "enum", $($case $(as $wit)?),+);

        impl $crate::Lift for $name {
            fn lift(value: $crate::Value) -> ::core::result::Result<Self, $crate::Trap> {
                match value {
                    $($crate::Value::Variant(index, _) if index == Self::$case as u32 => {
                        ::core::result::Result::Ok(Self::$case)
                    })+
                    _ => ::core::result::Result::Err($crate::typed::support::not("enum with such a case")),
                }
            }
        }

        impl $crate::Lower for $name {
            fn lower(self) -> $crate::Value {
                $crate::Value::Variant(self as u32, ::core::option::Option::None)
            }
        }
    };
}

/// Declares bit flags (of the crate `bitflags`) that stand for flags: same names, same order, the first is bit 0.
///
/// ```
/// component::flags! {
///     /// How a path is followed.
///     #[derive(Clone, Copy, Debug, PartialEq, Eq)]
///     pub struct PathFlags {
///         /// `symlink-follow` in WIT.
///         SYMLINK_FOLLOW,
///     }
/// }
/// ```
#[macro_export]
macro_rules! flags {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident {
            $($(#[$($flag_meta:tt)*])* $flag:ident $(as $wit:literal)?),+ $(,)?
        }
    ) => {
        $crate::typed::support::bitflags! {
            $(#[$meta])*
            $vis struct $name: u32 {
                $($(#[$($flag_meta)*])*
                const $flag =
                    1 << $crate::typed::support::position($name::NAMES, ::core::stringify!($flag));)+
            }
        }

        impl $name {
            const NAMES: &[&str] = &[$(::core::stringify!($flag)),+];
        }

        $crate::__names!($name, "flags", $($flag $(as $wit)?),+);

        impl $crate::Lift for $name {
            fn lift(value: $crate::Value) -> ::core::result::Result<Self, $crate::Trap> {
                match value {
                    $crate::Value::Flags(bits) => ::core::result::Result::Ok(Self::from_bits_truncate(bits)),
                    _ => ::core::result::Result::Err($crate::typed::support::not("flags")),
                }
            }
        }

        impl $crate::Lower for $name {
            fn lower(self) -> $crate::Value {
                $crate::Value::Flags(self.bits())
            }
        }
    };
}
