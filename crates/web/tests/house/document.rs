//! Holds answers against the document: every answer that a test gets from the API.

use super::browser::Answer;
use serde_json::Value;
use std::sync::LazyLock;

static DOCUMENT: LazyLock<Value> = LazyLock::new(gruve_web::document);

/// Whether a path is one of those that a template stands for.
fn fits(template: &str, path: &str) -> bool {
    let (mut a, mut b) = (template.split('/'), path.split('/'));
    loop {
        match (a.next(), b.next()) {
            (None, None) => return true,
            (Some(t), Some(p)) if t == p || (t.starts_with('{') && !p.is_empty()) => {}
            _ => return false,
        }
    }
}

/// The operation that a request is for.
fn operation(method: &str, path: &str) -> Option<&'static Value> {
    let path = path.split('?').next().unwrap();
    let paths = DOCUMENT["paths"].as_object().unwrap();
    let mut of_it: Vec<_> = paths.iter().filter(|(t, _)| fits(t, path)).collect();
    // A name comes before a place for any.
    of_it.sort_by_key(|(t, _)| t.contains('{'));
    let (_, item) = of_it.first()?;
    item.get(method.to_ascii_lowercase())
}

/// Panics when the document does not have the answer.
pub fn holds(method: &str, path: &str, answer: &Answer) {
    if !path.starts_with("/api/v1/") {
        return;
    }
    let Some(operation) = operation(method, path) else {
        assert!(matches!(answer.status.as_u16(), 404 | 405), "{method} {path}: {}", answer.status);
        return;
    };
    let said = &operation["responses"][answer.status.as_u16().to_string()];
    assert!(said.is_object(), "{method} {path}: {} is in no document", answer.status);
    let kind = answer.header("content-type").split(';').next().unwrap();
    let Some(contents) = said["content"].as_object() else {
        assert_eq!(answer.body, "", "{method} {path}");
        return;
    };
    let schema = contents.get(kind).unwrap_or_else(|| panic!("{method} {path}: {kind:?}"));
    if kind.ends_with("json") {
        let found = wrong(&schema["schema"], &answer.json(), "");
        assert_eq!(found, None, "{method} {path}: {}", answer.body);
    }
}

/// Where a value is not as a schema of the document says, and why; of the words of JSON Schema, those that the
/// document uses.
pub fn wrong(schema: &Value, value: &Value, at: &str) -> Option<String> {
    if let Some(name) = schema["$ref"].as_str() {
        let named = DOCUMENT.pointer(name.trim_start_matches('#')).unwrap();
        return wrong(named, value, at);
    }
    if let Some(any) = schema["anyOf"].as_array() {
        let all: Vec<_> = any.iter().map(|s| wrong(s, value, at)).collect();
        return if all.contains(&None) { None } else { Some(format!("{all:?}")) };
    }
    let is = |kind: &Value| match kind.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        other => panic!("{other}"),
    };
    let kinds = match &schema["type"] {
        Value::Array(all) => all.clone(),
        Value::Null => Vec::new(),
        one => vec![one.clone()],
    };
    if !kinds.is_empty() && !kinds.iter().any(is) {
        return Some(format!("{at}: {value} is no {kinds:?}"));
    }
    if schema["enum"].as_array().is_some_and(|e| !e.contains(value)) {
        return Some(format!("{at}: {value} is none of {}", schema["enum"]));
    }
    if schema.get("const").is_some_and(|c| c != value) {
        return Some(format!("{at}: {value} is not {}", schema["const"]));
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        if value.is_object() && value.get(name.as_str().unwrap()).is_none() {
            return Some(format!("{at}: {name} is missing"));
        }
    }
    members(schema, value, at)
}

fn members(schema: &Value, value: &Value, at: &str) -> Option<String> {
    if let Some(items) = schema.get("items") {
        for (n, item) in value.as_array().into_iter().flatten().enumerate() {
            let found = wrong(items, item, &format!("{at}/{n}"));
            if found.is_some() {
                return found;
            }
        }
    }
    for (name, member) in value.as_object().into_iter().flatten() {
        let at = format!("{at}/{name}");
        let of = match (schema["properties"].get(name), schema.get("additionalProperties")) {
            (Some(of), _) => of,
            (None, Some(Value::Object(_))) => &schema["additionalProperties"],
            // A named type says all of its members: one more would be undocumented.
            (None, _) if schema.get("required").is_some() => {
                return Some(format!("{at} is not said"));
            }
            (None, _) => continue,
        };
        let found = wrong(of, member, &at);
        if found.is_some() {
            return found;
        }
    }
    None
}
