//! What the OpenAPI document says of texts that have a form: names out of a list, ids, and times.
//!
//! A field stays the text that it is on the wire. One of these types stands for it in the document only, by
//! `#[schemars(with = "…")]`. The names are those that the domain has, so that the document cannot miss one.

use std::borrow::Cow;
use std::marker::PhantomData;

use pizzeria_domain::menu::Size;
use pizzeria_domain::notification::{NotificationKind, NotificationStatus};
use pizzeria_domain::order::{OrderStatus, PaymentMethod, PaymentStatus};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

/// Stands for the name of a `T`; a definition of its own.
#[derive(Debug)]
pub struct NameOf<T>(PhantomData<T>);

/// Stands for an id that the pizzeria has made.
#[derive(Debug)]
pub struct Uuid;

/// Stands for a time.
#[derive(Debug)]
pub struct Time;

/// Something that has names on the wire.
pub trait Named {
    /// What the document calls it.
    const DEFINITION: &'static str;
    /// What it is.
    const DESCRIPTION: &'static str;

    /// Every name.
    fn names() -> Vec<&'static str>;
}

/// Takes the names from the domain's list of all.
macro_rules! named {
    ($($type:ident: $description:literal,)*) => {$(
        impl Named for $type {
            const DEFINITION: &'static str = stringify!($type);
            const DESCRIPTION: &'static str = $description;

            fn names() -> Vec<&'static str> {
                Self::ALL.map(Self::as_str).into()
            }
        }
    )*};
}

named! {
    OrderStatus: "How far an order has come.",
    Size: "How large a pizza is.",
    PaymentMethod: "With what an order is paid.",
    PaymentStatus: "How far the payment of an order has come.",
    NotificationKind: "What a notification tells.",
    NotificationStatus: "What a customer has done with a notification.",
}

impl<T: Named> JsonSchema for NameOf<T> {
    fn schema_name() -> Cow<'static, str> {
        T::DEFINITION.into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"description": T::DESCRIPTION, "type": "string", "enum": T::names()})
    }
}

impl JsonSchema for Uuid {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Uuid".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "uuid"})
    }
}

impl JsonSchema for Time {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "date-time"})
    }
}
