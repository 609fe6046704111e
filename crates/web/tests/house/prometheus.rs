//! Prometheus' text form 0.0.4 read as strictly as its own checker reads it.
//!
//! Source of the rules: prometheus.io, "Exposition formats", text-based format, and the naming
//! practices that `promtool check metrics` holds to (counters end in `_total`, only counters do).

use std::collections::{BTreeMap, BTreeSet};

/// A sample: name, labels, value.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

/// Reads a whole answer, or says what is wrong with it.
pub fn read(text: &str) -> Result<Vec<Sample>, String> {
    if !text.ends_with('\n') {
        return Err("the last line does not end".to_owned());
    }
    let (mut samples, mut family, mut kind) = (Vec::new(), String::new(), String::new());
    let (mut helped, mut typed) = (BTreeSet::new(), BTreeSet::new());
    let mut seen = BTreeSet::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').ok_or(format!("no help: {line}"))?;
            if !is_metric_name(name) || help.trim().is_empty() || !helped.insert(name.to_owned()) {
                return Err(format!("help: {line}"));
            }
            family = name.to_owned();
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, of) = rest.split_once(' ').ok_or(format!("no type: {line}"))?;
            let is_known = ["counter", "gauge", "histogram"].contains(&of);
            if name != family || !is_known || !typed.insert(name.to_owned()) {
                return Err(format!("type: {line}"));
            }
            if (of == "counter") != name.ends_with("_total") {
                return Err(format!("a counter's name ends in _total, no other's: {line}"));
            }
            kind = of.to_owned();
        } else {
            let sample = sample(line).ok_or(format!("sample: {line}"))?;
            let own = match (kind.as_str(), sample.name.strip_prefix(family.as_str())) {
                ("histogram", Some("_bucket")) => sample.labels.contains_key("le"),
                ("histogram", Some("_sum" | "_count")) => true,
                ("counter" | "gauge", Some("")) => !sample.labels.contains_key("le"),
                _ => false,
            };
            if !own || !typed.contains(&family) {
                return Err(format!("a sample outside its family: {line}"));
            }
            if !seen.insert((sample.name.clone(), sample.labels.clone())) {
                return Err(format!("told twice: {line}"));
            }
            if kind != "gauge" && sample.value < 0.0 {
                return Err(format!("below zero: {line}"));
            }
            samples.push(sample);
        }
    }
    histograms(&samples)?;
    Ok(samples)
}

/// Every histogram rises to `+Inf`, which is its count.
fn histograms(samples: &[Sample]) -> Result<(), String> {
    let mut last: BTreeMap<(String, BTreeMap<String, String>), (f64, f64)> = BTreeMap::new();
    for s in samples {
        let Some(name) = s.name.strip_suffix("_bucket") else { continue };
        let mut labels = s.labels.clone();
        let le = labels.remove("le").ok_or("no le")?;
        let le = if le == "+Inf" { f64::INFINITY } else { le.parse().map_err(|_| le)? };
        let before = last.insert((name.to_owned(), labels), (le, s.value));
        if before.is_some_and(|(l, v)| l >= le || v > s.value) {
            return Err(format!("{} does not rise", s.name));
        }
    }
    for ((name, labels), (le, total)) in last {
        let count =
            samples.iter().find(|s| s.name == format!("{name}_count") && s.labels == labels);
        let sum = samples.iter().any(|s| s.name == format!("{name}_sum") && s.labels == labels);
        if le.is_finite() || !sum || count.is_none_or(|c| (c.value - total).abs() > 0.0) {
            return Err(format!("{name} {labels:?} does not end in +Inf, sum and its count"));
        }
    }
    Ok(())
}

fn sample(line: &str) -> Option<Sample> {
    let end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = BTreeMap::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        loop {
            let (label, after) = rest.split_once("=\"")?;
            let (value, after) = quoted(after)?;
            let is_new = labels.insert(label.to_owned(), value).is_none();
            if !is_label_name(label) || !is_new {
                return None;
            }
            rest = after;
            match rest.strip_prefix(',') {
                Some(more) => rest = more,
                None => break,
            }
        }
        rest = rest.strip_prefix('}')?;
    }
    let value = rest.strip_prefix(' ')?.parse().ok()?;
    is_metric_name(name).then(|| Sample { name: name.to_owned(), labels, value })
}

/// A value up to its closing quote, without its escapes, and what follows.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(match chars.next()?.1 {
                'n' => '\n',
                same @ ('"' | '\\') => same,
                _ => return None,
            }),
            other => value.push(other),
        }
    }
    None
}

fn is_metric_name(name: &str) -> bool {
    let first = |c: char| c.is_ascii_alphabetic() || c == '_' || c == ':';
    name.starts_with(first) && name.chars().all(|c| first(c) || c.is_ascii_digit())
}

fn is_label_name(name: &str) -> bool {
    let first = |c: char| c.is_ascii_alphabetic() || c == '_';
    name.starts_with(first)
        && !name.starts_with("__")
        && name.chars().all(|c| first(c) || c.is_ascii_digit())
}
