//! The errors that operations answer with, and the other parts that all of them share.

use std::borrow::Cow;

use http::Method;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::operation::{Operation, path_parameters};
use crate::web::policy::Policy;

/// The schema of every error's body, under a name that no type of the application can take.
pub(super) struct ProblemDocument;

impl JsonSchema for ProblemDocument {
    fn schema_name() -> Cow<'static, str> {
        "Problem".into()
    }

    fn schema_id() -> Cow<'static, str> {
        concat!(module_path!(), "::ProblemDocument").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Why a request was not answered with what it asked for (RFC 9457).",
            "type": "object",
            "required": ["type", "title", "status", "detail", "code"],
            "properties": {
                "type": {
                    "description": "`about:blank`: what distinguishes problems of one status is their code.",
                    "type": "string",
                    "format": "uri-reference"
                },
                "title": {"description": "The status in words.", "type": "string"},
                "status": {"description": "The status.", "type": "integer", "minimum": 400, "maximum": 599},
                "detail": {
                    "description": "What is wrong, for people; constant from 500 on.",
                    "type": "string"
                },
                "instance": {"description": "The path of the request.", "type": "string", "format": "uri-reference"},
                "code": {
                    "description": "Which rule, as a stable code that a program may match on.",
                    "type": "string",
                    "examples": ["request.invalid"]
                },
                "trace_id": {
                    "description": "The trace of the request: what to name when asking for help.",
                    "type": "string"
                },
                "errors": {
                    "description": "Everything that is wrong with the content, each at its place.",
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["pointer", "code", "detail"],
                        "properties": {
                            "pointer": {
                                "description": "Where: a JSON Pointer (RFC 6901) into the body; of a query, its parameter.",
                                "type": "string",
                                "format": "json-pointer"
                            },
                            "code": {"description": "Which rule.", "type": "string", "examples": ["range"]},
                            "detail": {"description": "What is wrong, for people.", "type": "string"}
                        }
                    }
                }
            }
        })
    }
}

/// An error that any operation of a certain shape can answer with.
pub(super) struct StandardProblem {
    pub(super) status: u16,
    /// Its name among the components.
    pub(super) name: &'static str,
    description: &'static str,
    headers: &'static [&'static str],
    applies: fn(&Operation<'_>) -> bool,
}

/// All of them. What happens below the application (too slow, too long a head) is in `default`.
pub(super) const PROBLEMS: [StandardProblem; 12] = [
    StandardProblem {
        status: 400,
        name: "BadRequest",
        description: "The request cannot be understood: its JSON or a header is malformed.",
        headers: &[],
        applies: |operation| {
            operation.body.is_some()
                || operation.has_parameters_in("query")
                || changes_something(operation.method())
        },
    },
    StandardProblem {
        status: 401,
        name: "Unauthorized",
        description: "Nobody is logged in who would have to be, or the credentials are refused.",
        headers: &["WWW-Authenticate"],
        applies: |_| true,
    },
    StandardProblem {
        status: 403,
        name: "Forbidden",
        description: "The caller may not do this.",
        headers: &[],
        applies: |operation| *operation.policy() != Policy::Public,
    },
    StandardProblem {
        status: 404,
        name: "NotFound",
        description: "There is no such thing, or none that the caller may know of.",
        headers: &[],
        applies: |operation| !path_parameters(operation.path()).is_empty(),
    },
    StandardProblem {
        status: 409,
        name: "Conflict",
        description: "The state of the thing forbids it now, or a request with the same Idempotency-Key still runs.",
        headers: &[],
        applies: |operation| changes_something(operation.method()),
    },
    StandardProblem {
        status: 412,
        name: "PreconditionFailed",
        description: "The thing is not at the version that If-Match demands.",
        headers: &[],
        applies: |_| false,
    },
    StandardProblem {
        status: 413,
        name: "ContentTooLarge",
        description: "The body is larger than this server accepts.",
        headers: &[],
        applies: |operation| operation.body.is_some(),
    },
    StandardProblem {
        status: 415,
        name: "UnsupportedMediaType",
        description: "The body's content type or encoding is not one that this operation reads.",
        headers: &[],
        applies: |operation| operation.body.is_some(),
    },
    StandardProblem {
        status: 422,
        name: "UnprocessableContent",
        description: "The content is understood and refused; `errors` has each place. Also an Idempotency-Key that \
                      was used with another request.",
        headers: &[],
        applies: |operation| {
            operation.body.is_some()
                || operation.has_parameters_in("query")
                || changes_something(operation.method())
        },
    },
    StandardProblem {
        status: 429,
        name: "TooManyRequests",
        description: "Too many requests in too short a time.",
        headers: &["Retry-After", "RateLimit", "RateLimit-Policy"],
        applies: |_| true,
    },
    StandardProblem {
        status: 500,
        name: "InternalServerError",
        description: "A defect of this server; `trace_id` helps to find it.",
        headers: &[],
        applies: |_| true,
    },
    StandardProblem {
        status: 503,
        name: "ServiceUnavailable",
        description: "A resource that this server needs is away, or the request took too long; try again later.",
        headers: &["Retry-After"],
        applies: |_| true,
    },
];

/// The name of the response for whatever else goes wrong.
pub(super) const ANY_PROBLEM: &str = "Problem";

impl StandardProblem {
    pub(super) fn applies(&self, operation: &Operation<'_>) -> bool {
        operation.problems.contains_key(&self.status) || (self.applies)(operation)
    }

    pub(super) fn response(&self) -> Value {
        let mut response = problem_response(self.description);
        for name in self.headers {
            response["headers"][*name] = component("headers", &component_name(name));
        }
        response
    }
}

/// Whether requests with this method leave something changed, so that repeating one is a question.
pub(super) fn changes_something(method: &Method) -> bool {
    !method.is_safe()
}

/// A response whose body is a problem.
pub(super) fn problem_response(description: &str) -> Value {
    json!({
        "description": description,
        "content": {"application/problem+json": {"schema": component("schemas", "Problem")}}
    })
}

/// A reference to a component.
pub(super) fn component(kind: &str, name: &str) -> Value {
    json!({"$ref": format!("#/components/{kind}/{name}")})
}

fn component_name(header: &str) -> String {
    header.split('-').collect()
}

/// The components that do not come from the application; who assembles the document drops the unused.
pub(super) fn components() -> Value {
    let mut responses: serde_json::Map<String, Value> =
        PROBLEMS.iter().map(|problem| (problem.name.to_owned(), problem.response())).collect();
    responses.insert(
        ANY_PROBLEM.to_owned(),
        problem_response("Anything else that keeps the request from being answered."),
    );
    responses.insert(
        "NotModified".to_owned(),
        json!({
            "description": "It still is what one of the entity tags in If-None-Match names.",
            "headers": {"ETag": component("headers", "ETag")}
        }),
    );
    json!({
        "headers": {
            "ETag": {
                "description": "The version of what is shown.",
                "schema": {"type": "string", "examples": ["\"3\""]}
            },
            "IdempotencyReplayed": {
                "description": "`true` when this is the answer to an earlier request with the same Idempotency-Key.",
                "schema": {"type": "string", "const": "true"}
            },
            "Link": {
                "description": "The address of the next page, as `rel=\"next\"` (RFC 8288); absent on the last.",
                "schema": {"type": "string"}
            },
            "Location": {
                "description": "The address of what was created.",
                "required": true,
                "schema": {"type": "string", "format": "uri-reference"}
            },
            "RateLimit": {
                "description": "What is left of the limit, and the seconds until there is more.",
                "schema": {"type": "string"}
            },
            "RateLimitPolicy": {
                "description": "The limit, and the seconds that it counts over.",
                "schema": {"type": "string"}
            },
            "RetryAfter": {
                "description": "The seconds after which another try makes sense.",
                "schema": {"type": "integer", "minimum": 0}
            },
            "WWWAuthenticate": {
                "description": "The scheme to authenticate with.",
                "required": true,
                "schema": {"type": "string", "examples": ["Bearer"]}
            }
        },
        "parameters": {
            "IdempotencyKey": {
                "in": "header",
                "name": "Idempotency-Key",
                "required": false,
                "description": "A value of the caller's choice that is new for every intent: a repetition with the same \
                                key is answered with the first answer, for 24 hours, and nothing happens twice.",
                "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"}
            },
            "IfMatch": {
                "in": "header",
                "name": "If-Match",
                "required": false,
                "description": "The entity tag of the version that the change is meant for.",
                "schema": {"type": "string", "examples": ["\"3\""]}
            },
            "IfNoneMatch": {
                "in": "header",
                "name": "If-None-Match",
                "required": false,
                "description": "Entity tags that the caller has already; the answer is 304 when one is current.",
                "schema": {"type": "string", "examples": ["\"3\""]}
            }
        },
        "responses": responses,
        "securitySchemes": {
            "bearerAuth": {
                "type": "http",
                "scheme": "bearer",
                "bearerFormat": "JWT",
                "description": "An access token in the header Authorization."
            }
        }
    })
}
