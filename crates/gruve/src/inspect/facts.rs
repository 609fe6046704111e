//! What follows, in order, as JSON and as text.

use serde_json::{Map, Value, json};
use std::cmp::Ordering;
use std::fmt::Write;

/// What follows from one entry.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    facts: Vec<Fact>,
    /// Stated results that are not what follows.
    differing: Vec<String>,
}

#[derive(Clone, Debug)]
struct Fact {
    key: &'static str,
    value: Value,
    /// Not worth comparing: it was an input.
    given: bool,
    /// The same under another file's key: for JSON only.
    alias: bool,
}

impl Facts {
    fn push(&mut self, key: &'static str, value: Value, given: bool, alias: bool) {
        self.facts.push(Fact { key, value, given, alias });
    }

    /// Something derived.
    pub(super) fn add(&mut self, key: &'static str, value: impl Into<Value>) {
        self.push(key, value.into(), false, false);
    }

    /// Something derived that stands under another key too.
    pub(super) fn alias(&mut self, key: &'static str, value: impl Into<Value>) {
        self.push(key, value.into(), false, true);
    }

    /// Something repeated from the input.
    pub(super) fn label(&mut self, key: &'static str, value: impl Into<Value>) {
        self.push(key, value.into(), true, false);
    }

    /// Adds `agrees` if the entry states results, in its member `derived` or as its own members.
    pub(super) fn compare_with(&mut self, entry: &Value) {
        let stated = |key| match entry.get("derived") {
            Some(derived @ Value::Object(_)) => derived.get(key),
            _ => entry.get(key),
        };
        let mut compared = false;
        for fact in self.facts.iter().filter(|f| !f.given) {
            if let Some(stated) = stated(fact.key).filter(|s| !s.is_null()) {
                compared = true;
                if !equal(stated, &fact.value) {
                    self.differing.push(fact.key.to_owned());
                }
            }
        }
        if compared {
            let agrees = self.differing.is_empty();
            self.push("agrees", agrees.into(), true, false);
        }
    }

    pub(super) fn to_json(&self) -> Value {
        let member = |f: &Fact| (f.key.to_owned(), f.value.clone());
        let mut object: Map<String, Value> = self.facts.iter().map(member).collect();
        if !self.differing.is_empty() {
            object.insert("differing".to_owned(), json!(self.differing));
        }
        Value::Object(object)
    }

    fn write_text(&self, out: &mut String) {
        for fact in self.facts.iter().filter(|f| !f.alias) {
            let value = match &fact.value {
                Value::String(s) => s.clone(),
                Value::Bool(b) => (if *b { "yes" } else { "no" }).to_owned(),
                Value::Null => "–".to_owned(),
                other => other.to_string(),
            };
            // Writing to a String does not fail.
            let _ = writeln!(out, "{:<24} {value}", fact.key);
        }
        if !self.differing.is_empty() {
            let _ = writeln!(out, "{:<24} {}", "differing", self.differing.join(", "));
        }
    }
}

/// Numbers are compared by value, everything else as it stands.
fn equal(a: &Value, b: &Value) -> bool {
    a == b
        || match (a.as_f64(), b.as_f64()) {
            (Some(x), Some(y)) => x.partial_cmp(&y) == Some(Ordering::Equal),
            _ => false,
        }
}

/// What follows from a whole file, in its shape.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    One(Facts),
    Many(Vec<Facts>),
    Named(Vec<(String, Vec<Facts>)>),
}

impl Answer {
    pub(super) fn to_json(&self) -> Value {
        let list = |l: &Vec<Facts>| Value::Array(l.iter().map(Facts::to_json).collect());
        match self {
            Answer::One(facts) => facts.to_json(),
            Answer::Many(many) => list(many),
            Answer::Named(named) => {
                Value::Object(named.iter().map(|(key, l)| (key.clone(), list(l))).collect())
            }
        }
    }

    pub(super) fn to_json_text(&self) -> String {
        format!("{:#}\n", self.to_json())
    }

    pub(super) fn to_text(&self) -> String {
        let mut out = String::new();
        let mut all = |title: Option<&str>, list: &[Facts]| {
            for facts in list {
                if !out.is_empty() {
                    out.push('\n');
                }
                if let Some(title) = title {
                    let _ = writeln!(out, "[{title}]");
                }
                facts.write_text(&mut out);
            }
        };
        match self {
            Answer::One(facts) => all(None, std::slice::from_ref(facts)),
            Answer::Many(many) => all(None, many),
            Answer::Named(named) => named.iter().for_each(|(key, list)| all(Some(key), list)),
        }
        out
    }
}
