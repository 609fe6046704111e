//! The document, put together.

use super::operation::Operation;
use super::shape::{Member, Shapes, described};
use crate::failure::KINDS;
use crate::routes::{Access, Told};
use crate::scopes::scope_of;
use axum::http::{Method, header};
use axum::response::IntoResponse;
use serde_json::{Map, Value, json};
use std::sync::LazyLock;

/// The document: the same for the same program, wherever it runs.
#[must_use]
pub fn document() -> Value {
    let mut shapes = Shapes::default();
    let mut paths: Map<String, Value> = Map::new();
    for told in crate::app::told() {
        let operation = (told.operation)(&mut shapes);
        let place = paths.entry(told.path).or_insert_with(|| json!({}));
        place[told.method.as_str().to_ascii_lowercase()] = written(&told, &operation);
    }
    debug_assert!(shapes.clashes.is_empty(), "two types are named {:?}", shapes.clashes);
    let mut schemas = shapes.into_schemas();
    schemas.insert("Problem".to_owned(), problem());
    json!({
        "openapi": "3.1.1",
        "info": {
            "title": "Gruve",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Hashpower that is proven, bought and paid out.",
            "description": ABOUT,
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/", "description": "The address of the dashboards." }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "session": { "type": "http", "scheme": "bearer", "description": "A session's token, from `POST /api/v1/sessions`." },
                "key": { "type": "http", "scheme": "bearer", "description": "A key for programs, from `POST /api/v1/keys`, made with the scope named." },
                "agent": { "type": "http", "scheme": "bearer", "description": "The token of a site." },
            },
        },
    })
}

const ABOUT: &str = "Bodies are JSON of 16 KiB at most where nothing else is said, and read strictly: a member that is \
    not known is refused. Failures are `application/problem+json` (RFC 9457). Lists are pages: `next` of one is sent as \
    `after` for the one behind it. A request that changes something may carry an `Idempotency-Key`: sent again with the \
    same key it is done once and answered the same. `docs/api.md` tells the rest.";

/// The document as text.
#[must_use]
pub fn document_text() -> String {
    let mut text = serde_json::to_string_pretty(&document()).unwrap_or_default();
    text.push('\n');
    text
}

/// `GET /api/v1/openapi.json`
pub(crate) async fn served() -> super::Sheet<Served> {
    static TEXT: LazyLock<String> = LazyLock::new(document_text);
    super::Sheet::new(([(header::CONTENT_TYPE, "application/json")], TEXT.as_str()).into_response())
}

/// The document itself.
#[derive(Debug)]
pub(crate) struct Served;

impl super::Paper for Served {
    fn forms(_: &mut Shapes) -> std::collections::BTreeMap<&'static str, Value> {
        [("application/json", json!({ "type": "object" }))].into()
    }
}

/// The body of every failure.
fn problem() -> Value {
    let kinds: Vec<String> = KINDS.iter().map(|k| format!("urn:gruve:problem:{k}")).collect();
    json!({
        "type": "object",
        "description": "What went wrong (RFC 9457).",
        "properties": {
            "type": { "type": "string", "enum": kinds, "description": "Which failure; these names stay." },
            "title": { "type": "string", "description": "The failure in a few words." },
            "status": { "type": "integer", "minimum": 400, "maximum": 599, "description": "The status again." },
            "detail": { "type": "string", "description": "What to know of this one, in a sentence." },
        },
        "required": ["type", "title", "status", "detail"],
    })
}

/// One operation.
fn written(told: &Told, op: &Operation) -> Value {
    let mut parameters = Vec::new();
    if let (Some(name), Some(shape)) = (named(told.path), &op.id) {
        parameters.push(json!({ "name": name, "in": "path", "required": true, "schema": shape }));
    }
    parameters.extend(op.query.iter().map(query));
    for name in &op.headers {
        parameters.push(json!({ "name": name, "in": "header", "schema": { "type": "string" } }));
    }
    if told.takes_keys() {
        parameters.push(json!({
            "name": "Idempotency-Key", "in": "header",
            "description": "Yours to choose. Sent again with the same request, that is done once.",
            "schema": { "type": "string", "pattern": "^[!-~]{1,64}$" },
        }));
    }
    let mut made = json!({
        "operationId": id_of(told),
        "tags": [tag(told.path)],
        "summary": told.about,
        "security": security(told),
        "responses": answers(told, op),
    });
    if let Access::StaffBearer(permission) = told.access {
        made["description"] = json!(format!("Needs a role with the permission {permission:?}."));
    }
    if !parameters.is_empty() {
        made["parameters"] = json!(parameters);
    }
    if let Some(body) = &op.body {
        let content = json!({ "application/json": { "schema": body } });
        made["requestBody"] = json!({ "required": true, "content": content });
    }
    made
}

/// The name in braces.
fn named(path: &str) -> Option<&str> {
    let (_, rest) = path.split_once('{')?;
    rest.split_once('}').map(|(name, _)| name)
}

fn query(m: &Member) -> Value {
    let mut made = json!({ "name": m.name, "in": "query", "required": m.must_be });
    // What may be left out is not sent as null.
    let mut shape = m.shape.clone();
    if let Some([one, null]) = shape["anyOf"].as_array().map(Vec::as_slice)
        && null["type"] == "null"
    {
        shape = one.clone();
    } else if let Some(one) = shape["type"].as_array().and_then(|t| t.first()) {
        shape["type"] = one.clone();
    }
    made["schema"] = shape;
    described(made, &m.text)
}

/// `getContractsIdTerms`
fn id_of(told: &Told) -> String {
    let mut id = told.method.as_str().to_ascii_lowercase();
    for word in told.path.trim_start_matches("/api/v1/").split(|c: char| !c.is_alphanumeric()) {
        let mut letters = word.chars();
        id.extend(letters.next().into_iter().flat_map(char::to_uppercase).chain(letters));
    }
    id
}

fn tag(path: &str) -> &str {
    path.trim_start_matches("/api/v1/").split('/').next().unwrap_or_default()
}

fn security(told: &Told) -> Value {
    match told.access {
        Access::Bearer => {
            let key = scope_of(&told.method, told.path).map(|s| json!({ "key": [s.name()] }));
            let session = json!({ "session": [] });
            Value::Array([Some(session), key].into_iter().flatten().collect())
        }
        Access::StaffBearer(permission) => json!([{ "session": [format!("{permission:?}")] }]),
        Access::Site => json!([{ "agent": [] }]),
        _ => json!([]),
    }
}

/// The statuses with which it may fail.
fn failures(told: &Told, op: &Operation) -> Vec<u16> {
    let mut all = vec![500, 503];
    let changes = told.method != Method::GET;
    let is_open = matches!(told.access, Access::Public);
    if !op.query.is_empty() || op.body.is_some() || told.takes_keys() || !op.headers.is_empty() {
        all.push(400);
    }
    if !is_open || changes {
        all.extend([401, 403]);
    }
    if !is_open || op.id.is_some() || !op.query.is_empty() || changes || told.may_be_missing() {
        all.extend([404, 422]);
    }
    if op.body.is_some() {
        all.extend([413, 415]);
    }
    if changes || !is_open {
        all.extend([409, 429]);
    }
    all.sort_unstable();
    all.dedup();
    all
}

fn answers(told: &Told, op: &Operation) -> Value {
    let mut all = Map::new();
    for (status, forms) in &op.answers {
        let words = match status {
            201 => "Made.",
            204 => "Done; there is nothing to say.",
            _ => "Done.",
        };
        let mut made = json!({ "description": words });
        if !forms.is_empty() {
            let forms: Map<String, Value> = forms
                .iter()
                .map(|(kind, shape)| ((*kind).to_owned(), json!({ "schema": shape })))
                .collect();
            made["content"] = json!(forms);
        }
        all.insert(status.to_string(), made);
    }
    for status in failures(told, op) {
        let words = match status {
            400 => "The request cannot be read.",
            401 => "No or no valid token.",
            403 => "Not allowed with this token.",
            404 => "There is no such thing, or it is somebody else's.",
            409 => "Not possible as things stand.",
            413 => "The body is too large.",
            415 => "The body is no JSON.",
            422 => "Read, but not possible.",
            429 => "Too many.",
            503 => "Try again shortly.",
            _ => "Ours.",
        };
        let schema = json!({ "$ref": "#/components/schemas/Problem" });
        let mut made = json!({
            "description": words,
            "content": { "application/problem+json": { "schema": schema } },
        });
        if matches!(status, 429 | 503) {
            let wait = json!({ "description": "Seconds.", "schema": { "type": "integer" } });
            made["headers"] = json!({ "Retry-After": wait });
        }
        all.insert(status.to_string(), made);
    }
    Value::Object(all)
}
