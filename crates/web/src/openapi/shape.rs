//! What JSON a type is, said by the type itself.
//!
//! Answers and requests of the API are declared with [`answers!`](crate::openapi::answers) and
//! [`requests!`](crate::openapi::requests): the same lines give the type, how it is written or read, and its
//! schema with the comments as descriptions. So the document cannot say something else than the code does.

use gruve_units::{
    AccountId, Asset, BankEntryId, Bps, ContractId, EpochNumber, Hashes, Hashrate, InvoiceId,
    LaneId, MachineId, PaymentId, PayoutId, QuoteId, SiteId,
};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The schemas that have a name, gathered while operations are described.
#[derive(Debug, Default)]
pub(crate) struct Shapes {
    named: BTreeMap<&'static str, (&'static str, Value)>,
    /// Names that two types have: none, as a test sees to.
    pub(crate) clashes: Vec<&'static str>,
}

/// A whole number beyond JSON's, as decimal text.
pub(crate) struct Digits;

/// A hash of 32 bytes in hexadecimal.
pub(crate) struct Hash32;

/// A type that is JSON.
pub(crate) trait Shape {
    /// Whether a request may leave it out.
    const MAY_BE_LEFT_OUT: bool = false;

    /// Its schema, or where that stands.
    fn shape(shapes: &mut Shapes) -> Value;
}

/// A type with members.
pub(crate) trait Members: Shape {
    /// The members, in order.
    fn members(shapes: &mut Shapes) -> Vec<Member>;
}

/// One of them.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) name: &'static str,
    pub(crate) shape: Value,
    pub(crate) must_be: bool,
    pub(crate) text: String,
}

impl Member {
    /// A member of that type. `must_be` is whether it must be there where its type does not say that it may
    /// be left out.
    pub(crate) fn of<T: Shape>(
        name: &'static str,
        text: &[&str],
        must_be: bool,
        shapes: &mut Shapes,
    ) -> Member {
        let name = name.strip_prefix("r#").unwrap_or(name);
        Member { name, shape: T::shape(shapes), must_be, text: said(text) }
    }
}

/// The lines of a comment as one text.
pub(crate) fn said(lines: &[&str]) -> String {
    let lines: Vec<&str> = lines.iter().map(|l| l.trim()).collect();
    lines.join(" ").trim().to_owned()
}

impl Shapes {
    /// A type with a name: described once, and referred to from then on.
    pub(crate) fn named<T>(
        &mut self,
        name: &'static str,
        make: impl FnOnce(&mut Shapes) -> Value,
    ) -> Value {
        let full = std::any::type_name::<T>();
        if self.is_new(name, full) {
            let made = make(self);
            self.named.insert(name, (full, made));
        }
        refer(name)
    }

    /// Whether a type has not been described yet; its place is taken then.
    fn is_new(&mut self, name: &'static str, full: &'static str) -> bool {
        match self.named.get(name) {
            Some((of, _)) if *of != full => self.clashes.push(name),
            Some(_) => {}
            None => {
                self.named.insert(name, (full, Value::Null));
                return true;
            }
        }
        false
    }

    /// A type with members.
    pub(crate) fn object<T: Members>(
        &mut self,
        name: &'static str,
        about: &[&str],
        is_strict: bool,
    ) -> Value {
        self.named::<T>(name, |shapes| object(T::members(shapes), about, is_strict))
    }

    /// All with a name.
    pub(crate) fn into_schemas(self) -> Map<String, Value> {
        self.named.into_iter().map(|(name, (_, made))| (name.to_owned(), made)).collect()
    }
}

/// Where a type with a name stands.
fn refer(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// An object of these members, and of no others where it is strict.
pub(crate) fn object(members: Vec<Member>, about: &[&str], is_strict: bool) -> Value {
    let must: Vec<&str> = members.iter().filter(|m| m.must_be).map(|m| m.name).collect();
    let must = (!must.is_empty()).then(|| json!(must));
    let all: Map<String, Value> =
        members.into_iter().map(|m| (m.name.to_owned(), described(m.shape, &m.text))).collect();
    let mut made = json!({ "type": "object", "description": said(about), "properties": all });
    if let Some(must) = must {
        made["required"] = must;
    }
    if is_strict {
        made["additionalProperties"] = json!(false);
    }
    made
}

/// The same with a description.
pub(crate) fn described(mut shape: Value, text: &str) -> Value {
    if !text.is_empty() {
        shape["description"] = json!(text);
    }
    shape
}

/// The same, or null.
pub(crate) fn nullable(mut shape: Value) -> Value {
    if shape.get("type").is_some_and(Value::is_string) && shape.get("enum").is_none() {
        shape["type"] = json!([shape["type"].clone(), "null"]);
        return shape;
    }
    json!({ "anyOf": [shape, { "type": "null" }] })
}

/// A list of them.
pub(crate) fn list_of(shape: &Value) -> Value {
    json!({ "type": "array", "items": shape })
}

/// Types whose JSON is said in one line.
macro_rules! shapes {
    ($($($of:ty),+ => $shape:expr;)*) => {$($(
        impl Shape for $of {
            fn shape(_: &mut Shapes) -> Value {
                $shape
            }
        }
    )+)*};
}

shapes! {
    bool => json!({ "type": "boolean" });
    String, &'static str => json!({ "type": "string" });
    u8 => json!({ "type": "integer", "minimum": 0, "maximum": u8::MAX });
    u16 => json!({ "type": "integer", "minimum": 0, "maximum": u16::MAX });
    u32 => json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX });
    u64, usize => json!({ "type": "integer", "minimum": 0, "maximum": u64::MAX });
    i32 => json!({ "type": "integer", "minimum": i32::MIN, "maximum": i32::MAX });
    i64 => json!({ "type": "integer", "minimum": i64::MIN, "maximum": i64::MAX });
    f64 => json!({ "type": "number" });
    i128 => json!({ "type": "integer" });
    u128 => json!({ "type": "integer", "minimum": 0 });
    Digits => json!({ "type": "string", "pattern": "^[0-9]+$" });
    Hash32 => json!({ "type": "string", "pattern": "^[0-9a-f]{64}$" });
    AccountId, BankEntryId, ContractId, InvoiceId, MachineId, PaymentId, PayoutId, QuoteId, SiteId
        => json!({ "type": "string", "format": "uuid" });
    gruve_farm::TicketId => json!({ "type": "string", "format": "uuid" });
    crate::webhooks::WebhookId => json!({ "type": "string", "pattern": "^[0-9a-f]{32}$" });
    EpochNumber => json!({ "type": "integer", "minimum": 0, "maximum": u64::MAX,
        "description": "An epoch: its start in microseconds since 1970 divided by its length." });
    Hashes => json!({ "type": "string", "pattern": "^[0-9]+$", "description": "Work: expected hashes, a whole number." });
    Hashrate => json!({ "type": "string", "description": "A hashrate as it is written: 200 kH/s, or a whole number of hashes per second." });
    LaneId => json!({ "type": "string", "pattern": "^[a-z][a-z0-9-]{0,15}$", "description": "A lane's name." });
    Bps => json!({ "type": "integer", "minimum": 0, "maximum": 10_000, "description": "Hundredths of a per cent." });
    Asset => json!({ "type": "string", "enum": ["BTC", "LTC", "DOGE", "ETC", "ETH", "USD", "EUR"] });
    gruve_market::Scheme => json!({ "type": "string", "enum": ["pplns", "fpps", "solo"] });
    gruve_units::Algorithm => json!({ "type": "string", "enum": ["sha256d", "scrypt", "ethash", "etchash"] });
    gruve_hosting::Scheme => json!({ "type": "string" });
    gruve_hosting::HostingKind, gruve_hosting::PayFrom => json!({ "type": "string" });
}

impl<T: Shape> Shape for Option<T> {
    const MAY_BE_LEFT_OUT: bool = true;

    fn shape(shapes: &mut Shapes) -> Value {
        nullable(T::shape(shapes))
    }
}

impl<T: Shape, const N: usize> Shape for [T; N] {
    fn shape(shapes: &mut Shapes) -> Value {
        let mut list = list_of(&T::shape(shapes));
        (list["minItems"], list["maxItems"]) = (json!(N), json!(N));
        list
    }
}

impl<T: Shape> Shape for Vec<T> {
    fn shape(shapes: &mut Shapes) -> Value {
        list_of(&T::shape(shapes))
    }
}

impl<T: Shape> Shape for BTreeMap<String, T> {
    fn shape(shapes: &mut Shapes) -> Value {
        json!({ "type": "object", "additionalProperties": T::shape(shapes) })
    }
}

/// Types that the API answers with.
///
/// `struct A: base: B { … }` has the members of `B` too.
macro_rules! answers {
    ($(
        $(#[doc = $about:literal])+
        struct $name:ident $(: $base:ident: $of:ty)? {
            $($(#[doc = $doc:literal])* $member:ident: $t:ty,)*
        }
    )+) => {$(
        $(#[doc = $about])+
        #[derive(Clone, Debug, serde::Serialize)]
        pub(crate) struct $name {
            $(#[serde(flatten)] pub(crate) $base: $of,)?
            $($(#[doc = $doc])* pub(crate) $member: $t,)*
        }

        impl $crate::openapi::Members for $name {
            fn members(shapes: &mut $crate::openapi::Shapes) -> Vec<$crate::openapi::Member> {
                let own = [$($crate::openapi::Member::of::<$t>(
                    stringify!($member), &[$($doc),*], true, shapes,
                )),*];
                let base: Vec<Vec<$crate::openapi::Member>> =
                    vec![$(<$of as $crate::openapi::Members>::members(shapes))?];
                base.into_iter().flatten().chain(own).collect()
            }
        }

        impl $crate::openapi::Shape for $name {
            fn shape(shapes: &mut $crate::openapi::Shapes) -> serde_json::Value {
                shapes.object::<Self>(stringify!($name), &[$($about),+], false)
            }
        }
    )+};
}

/// Types that the API is asked with: read strictly. `member: T = default` may be left out.
macro_rules! requests {
    ($(
        $(#[doc = $about:literal])+
        struct $name:ident {
            $($(#[doc = $doc:literal])* $member:ident: $t:ty $(= $default:ident)?,)*
        }
    )+) => {$(
        $(#[doc = $about])+
        #[derive(Clone, Debug, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct $name {
            $($(#[doc = $doc])* $(#[serde($default)])? pub(crate) $member: $t,)*
        }

        impl $crate::openapi::Members for $name {
            fn members(shapes: &mut $crate::openapi::Shapes) -> Vec<$crate::openapi::Member> {
                vec![$($crate::openapi::Member::of::<$t>(
                    stringify!($member),
                    &[$($doc),*],
                    !<$t as $crate::openapi::Shape>::MAY_BE_LEFT_OUT
                        $(&& stringify!($default).is_empty())?,
                    shapes,
                )),*]
            }
        }

        impl $crate::openapi::Shape for $name {
            fn shape(shapes: &mut $crate::openapi::Shapes) -> serde_json::Value {
                shapes.object::<Self>(stringify!($name), &[$($about),+], true)
            }
        }
    )+};
}

/// Documents of other rooms: what JSON each is, member by member. That none of its members is left out or made up is
/// checked where it is compiled. `member: T = unsaid` is left out of the JSON where there is nothing to say.
macro_rules! papers {
    ($(
        $(#[doc = $about:literal])+
        $of:ident as $name:literal {
            $($(#[doc = $doc:literal])* $member:ident: $t:ty $(= $unsaid:ident)?,)*
        }
    )+) => {$(
        impl $crate::openapi::Members for $of {
            fn members(shapes: &mut $crate::openapi::Shapes) -> Vec<$crate::openapi::Member> {
                // Compiles only while these are the type's members, all of them.
                let _ = |it: &$of| {
                    let $of { $($member: _),* } = it;
                };
                vec![$($crate::openapi::Member::of::<$t>(
                    stringify!($member),
                    &[$($doc),*],
                    true $(&& stringify!($unsaid).is_empty())?,
                    shapes,
                )),*]
            }
        }

        impl $crate::openapi::Shape for $of {
            fn shape(shapes: &mut $crate::openapi::Shapes) -> serde_json::Value {
                shapes.object::<Self>($name, &[$($about),+], true)
            }
        }
    )+};
}

/// Types whose JSON is one of some words, or said in a line.
macro_rules! words_of {
    ($($of:ty: [$($word:literal),+];)+) => {$(
        impl $crate::openapi::Shape for $of {
            fn shape(_: &mut $crate::openapi::Shapes) -> serde_json::Value {
                serde_json::json!({ "type": "string", "enum": [$($word),+] })
            }
        }
    )+};
}

pub(crate) use {answers, papers, requests, words_of};
