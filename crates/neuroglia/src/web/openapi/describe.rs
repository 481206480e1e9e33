//! What a type in an action's signature adds to its operation, and what those of the framework add.

use std::borrow::Cow;
use std::marker::PhantomData;

use axum::response::{Html, Redirect, Sse};
use bytes::Bytes;
use http::StatusCode;
use neuroglia_core::data::Page;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::operation::Operation;
use crate::web::extract::{IfMatch, Json, Path, Query};
use crate::web::reply::{Accepted, Created, NoContent, Tagged, WithCookie};

const JSON: &str = "application/json";

/// A type in an action's signature that the OpenAPI document knows something of.
///
/// As a parameter and as a reply the same type means different things, so there are two methods; each adds
/// nothing unless it is written. A type without an implementation is simply not described.
#[diagnostic::on_unimplemented(
    message = "the OpenAPI document knows nothing of `{Self}`",
    note = "implement `neuroglia::web::openapi::Describe` for it; for the content of `Json`, `Path` and `Query`, derive `schemars::JsonSchema`"
)]
pub trait Describe {
    /// Adds what it means that an action takes this.
    fn describe_parameter(operation: &mut Operation<'_>) {
        let _ = operation;
    }

    /// Adds what it means that an action returns this.
    fn describe_reply(operation: &mut Operation<'_>) {
        let _ = operation;
    }
}

impl<T: JsonSchema> Describe for Json<T> {
    fn describe_parameter(operation: &mut Operation<'_>) {
        operation.body::<T>(JSON);
    }

    fn describe_reply(operation: &mut Operation<'_>) {
        operation.reply::<T>(StatusCode::OK, JSON);
    }
}

impl<T: JsonSchema> Describe for Path<T> {
    fn describe_parameter(operation: &mut Operation<'_>) {
        operation.path_parameters::<T>();
    }
}

impl<T: JsonSchema> Describe for Query<T> {
    fn describe_parameter(operation: &mut Operation<'_>) {
        operation.query_parameters::<T>();
    }
}

impl Describe for IfMatch {
    fn describe_parameter(operation: &mut Operation<'_>) {
        operation.conditional();
    }
}

impl Describe for String {
    fn describe_parameter(operation: &mut Operation<'_>) {
        operation.body::<str>("text/plain");
    }
}

impl Describe for Bytes {
    fn describe_parameter(operation: &mut Operation<'_>) {
        operation.body::<Anything>("application/octet-stream");
    }
}

impl<T: Describe> Describe for Option<T> {
    fn describe_parameter(operation: &mut Operation<'_>) {
        operation.optionally(T::describe_parameter);
    }
}

impl<T: Describe, E> Describe for Result<T, E> {
    fn describe_parameter(operation: &mut Operation<'_>) {
        T::describe_parameter(operation);
    }

    fn describe_reply(operation: &mut Operation<'_>) {
        T::describe_reply(operation);
    }
}

impl<T: JsonSchema> Describe for Page<T> {
    fn describe_reply(operation: &mut Operation<'_>) {
        operation.reply::<PageOf<T>>(StatusCode::OK, JSON);
        operation.paged();
    }
}

impl<R: Describe> Describe for Created<R> {
    fn describe_reply(operation: &mut Operation<'_>) {
        R::describe_reply(operation);
        operation.success_status(StatusCode::CREATED);
        operation.located();
    }
}

impl<R: Describe> Describe for Accepted<R> {
    fn describe_reply(operation: &mut Operation<'_>) {
        R::describe_reply(operation);
        operation.success_status(StatusCode::ACCEPTED);
    }
}

impl<R: Describe> Describe for Tagged<R> {
    fn describe_reply(operation: &mut Operation<'_>) {
        R::describe_reply(operation);
        operation.tagged();
    }
}

impl<R: Describe> Describe for WithCookie<R> {
    fn describe_reply(operation: &mut Operation<'_>) {
        R::describe_reply(operation);
        operation
            .reply_header::<String>("Set-Cookie", "The session's id, for a browser; no script can read it.");
    }
}

impl Describe for NoContent {
    fn describe_reply(operation: &mut Operation<'_>) {
        operation.empty_reply(StatusCode::NO_CONTENT);
    }
}

impl Describe for () {
    fn describe_reply(operation: &mut Operation<'_>) {
        NoContent::describe_reply(operation);
    }
}

impl<T> Describe for Html<T> {
    fn describe_reply(operation: &mut Operation<'_>) {
        operation.reply::<str>(StatusCode::OK, "text/html");
    }
}

impl<S> Describe for Sse<S> {
    fn describe_reply(operation: &mut Operation<'_>) {
        operation.reply::<str>(StatusCode::OK, "text/event-stream");
    }
}

impl Describe for Redirect {
    fn describe_reply(operation: &mut Operation<'_>) {
        operation.replies_of_class(3, "It is elsewhere; see Location");
    }
}

/// Bytes of whatever kind.
struct Anything;

impl JsonSchema for Anything {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Anything".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({})
    }
}

/// The schema of a [`Page`], which the core cannot have.
struct PageOf<T>(PhantomData<T>);

impl<T: JsonSchema> JsonSchema for PageOf<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("{}Page", T::schema_name()).into()
    }

    fn schema_id() -> Cow<'static, str> {
        format!("{}::PageOf<{}>", module_path!(), T::schema_id()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Some items, and where the next ones begin.",
            "type": "object",
            "required": ["items", "next"],
            "properties": {
                "items": {
                    "description": "The items of this page.",
                    "type": "array",
                    "items": generator.subschema_for::<T>()
                },
                "next": {
                    "description": "The `cursor` of the next page; `null` on the last.",
                    "type": ["string", "null"]
                }
            }
        })
    }
}
