//! A small tree of a piece of an XML document: names without their prefixes, text, attributes.
//!
//! For files that come from outside the house. Promises: a document type declaration is refused, so
//! that there are no entities but the five of XML itself and numbered characters; depth, elements
//! and text are bounded; whatever cannot be read is an error with its place, never a panic. What it
//! must not know: what the elements mean.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// How deep elements may stand in each other: bank statements use some fifteen.
const DEPTH_MAX: usize = 64;
/// Elements of one piece at most: an entry that collects a thousand payments has some fifty thousand.
const PIECE_ELEMENTS_MAX: usize = 100_000;
/// Characters of one element's text at most; the longest field of a statement has some hundreds.
const TEXT_BYTES_MAX: usize = 64 << 10;

/// One element with all below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Element {
    pub(crate) name: String,
    attributes: Vec<(String, String)>,
    text: String,
    children: Vec<Element>,
}

impl Element {
    /// The first child of a name.
    pub(crate) fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|c| c.name == name)
    }

    /// All children of a name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |c| c.name == name)
    }

    /// The element at a path of names, each the first of its name.
    pub(crate) fn at(&self, path: &[&str]) -> Option<&Element> {
        path.iter().try_fold(self, |e, name| e.child(name))
    }

    /// The text at a path, trimmed; `None` where there is none.
    pub(crate) fn text_at(&self, path: &[&str]) -> Option<&str> {
        self.at(path).map(Element::text).filter(|t| !t.is_empty())
    }

    /// Its own text, trimmed.
    pub(crate) fn text(&self) -> &str {
        self.text.trim()
    }

    /// All that stands in it, piece by piece, such that two that differ give different pieces.
    pub(crate) fn walk(&self, piece: &mut impl FnMut(&str)) {
        piece(&self.name);
        for (name, value) in &self.attributes {
            piece(name);
            piece(value);
        }
        piece(self.text());
        piece(&self.children.len().to_string());
        for child in &self.children {
            child.walk(piece);
        }
    }

    /// An attribute's value.
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

/// One step through a document.
pub(crate) enum Step {
    /// An element begins.
    Begin(Element),
    /// The innermost element that began ends.
    End,
    /// The document is over.
    Over,
}

/// A document read from front to back.
pub(crate) struct Document<'a> {
    reader: Reader<&'a [u8]>,
    depth: usize,
    /// An element without content ends at once.
    is_empty: bool,
}

impl<'a> Document<'a> {
    /// Over a document in UTF-8.
    pub(crate) fn new(bytes: &'a [u8]) -> Result<Document<'a>, String> {
        let text = std::str::from_utf8(bytes).map_err(|e| {
            format!(
                "it is not UTF-8 (byte {}): ask the bank for statements in UTF-8",
                e.valid_up_to()
            )
        })?;
        let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
        reader.config_mut().enable_all_checks(true);
        Ok(Document { reader, depth: 0, is_empty: false })
    }

    /// The next begin or end; text between elements is passed over.
    pub(crate) fn step(&mut self) -> Result<Step, String> {
        if std::mem::take(&mut self.is_empty) {
            self.depth -= 1;
            return Ok(Step::End);
        }
        loop {
            match self.event()? {
                Event::Start(e) => return self.begin(&e),
                Event::Empty(e) => {
                    self.is_empty = true;
                    return self.begin(&e);
                }
                Event::End(_) => {
                    self.depth =
                        self.depth.checked_sub(1).ok_or_else(|| self.bad("an end too many"))?;
                    return Ok(Step::End);
                }
                Event::Eof if self.depth > 0 => return Err(self.bad("the document is cut off")),
                Event::Eof => return Ok(Step::Over),
                _ => {}
            }
        }
    }

    fn begin(&mut self, e: &BytesStart<'_>) -> Result<Step, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.bad("elements stand too deep in each other"));
        }
        Ok(Step::Begin(self.element(e)?))
    }

    /// The whole of the element that [`Document::step`] has just begun, to its end.
    pub(crate) fn whole(&mut self, begun: Element) -> Result<Element, String> {
        let outside = self.depth - 1;
        let mut open = vec![begun];
        let mut elements = 1_usize;
        while self.depth > outside {
            if std::mem::take(&mut self.is_empty) {
                self.depth -= 1;
                self.close(&mut open);
                continue;
            }
            match self.event()? {
                Event::Start(e) => {
                    self.enter(&mut open, &mut elements, &e)?;
                }
                Event::Empty(e) => {
                    self.is_empty = true;
                    self.enter(&mut open, &mut elements, &e)?;
                }
                Event::End(_) => {
                    self.depth -= 1;
                    self.close(&mut open);
                }
                Event::Text(t) => {
                    let text = t.decode().map_err(|e| self.bad(&e.to_string()))?.into_owned();
                    self.write(&mut open, &text)?;
                }
                Event::CData(t) => {
                    let text = t.decode().map_err(|e| self.bad(&e.to_string()))?.into_owned();
                    self.write(&mut open, &text)?;
                }
                Event::GeneralRef(r) => {
                    let character = r.resolve_char_ref().map_err(|e| self.bad(&e.to_string()))?;
                    let character = match character {
                        Some(c) => c,
                        None => known_entity(&r.decode().map_err(|e| self.bad(&e.to_string()))?)
                            .ok_or_else(|| self.bad("an entity of the document's own"))?,
                    };
                    self.write(&mut open, character.encode_utf8(&mut [0; 4]))?;
                }
                Event::Eof => return Err(self.bad("the document is cut off")),
                _ => {}
            }
        }
        open.pop().ok_or_else(|| self.bad("an end too many"))
    }

    fn enter(
        &mut self,
        open: &mut Vec<Element>,
        elements: &mut usize,
        e: &BytesStart<'_>,
    ) -> Result<(), String> {
        *elements += 1;
        if *elements > PIECE_ELEMENTS_MAX {
            return Err(self.bad("one entry has too many elements"));
        }
        if let Step::Begin(e) = self.begin(e)? {
            open.push(e);
        }
        Ok(())
    }

    /// Puts the innermost element into the one around it; the outermost stays.
    fn close(&self, open: &mut Vec<Element>) {
        if open.len() > 1
            && let Some(done) = open.pop()
            && let Some(around) = open.last_mut()
        {
            around.children.push(done);
        }
    }

    fn write(&self, open: &mut [Element], text: &str) -> Result<(), String> {
        let Some(inner) = open.last_mut() else { return Ok(()) };
        if inner.text.len() + text.len() > TEXT_BYTES_MAX {
            return Err(self.bad("an element's text is too long"));
        }
        inner.text.push_str(text);
        Ok(())
    }

    fn element(&self, e: &BytesStart<'_>) -> Result<Element, String> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut attributes = Vec::new();
        for a in e.attributes() {
            let a = a.map_err(|e| self.bad(&e.to_string()))?;
            let raw = text(&a.value);
            let value = quick_xml::escape::unescape(&raw).map_err(|e| self.bad(&e.to_string()))?;
            attributes.push((text(a.key.local_name().as_ref()), value.into_owned()));
        }
        let name = text(e.local_name().as_ref());
        Ok(Element { name, attributes, ..Element::default() })
    }

    /// The next event, with what no bank needs refused.
    fn event(&mut self) -> Result<Event<'a>, String> {
        let event = self.reader.read_event();
        match event {
            Ok(Event::DocType(_)) => {
                Err(self.bad("it declares a document type, which no statement of a bank needs"))
            }
            Ok(Event::Decl(d)) => {
                let is_utf8 = match d.encoding() {
                    None => true,
                    Some(Ok(e)) => e.eq_ignore_ascii_case(b"utf-8"),
                    Some(Err(_)) => false,
                };
                if is_utf8 {
                    Ok(Event::Decl(d))
                } else {
                    Err(self.bad("it is not declared as UTF-8"))
                }
            }
            Ok(event) => Ok(event),
            Err(e) => Err(self.bad(&e.to_string())),
        }
    }

    fn bad(&self, what: &str) -> String {
        format!("{what} (byte {})", self.reader.buffer_position())
    }
}

fn known_entity(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Element, String> {
        let mut document = Document::new(text.as_bytes())?;
        let Step::Begin(root) = document.step()? else { return Err("empty".into()) };
        let whole = document.whole(root)?;
        match document.step()? {
            Step::Over => Ok(whole),
            _ => Err("more behind it".into()),
        }
    }

    #[test]
    fn a_tree_is_read_with_prefixes_taken_off_and_characters_resolved() {
        let text = r#"<?xml version="1.0" encoding="UTF-8"?>
            <n:a xmlns:n="urn:x"><n:b c="1&amp;2">x &lt; <![CDATA[<y>]]>&#233;</n:b><n:b/><!-- no --></n:a>"#;
        let a = read(text).unwrap();
        assert_eq!((a.name.as_str(), a.all("b").count()), ("a", 2));
        assert_eq!(a.text_at(&["b"]), Some("x < <y>é"));
        assert_eq!(a.child("b").unwrap().attribute("c"), Some("1&2"));
        assert_eq!(a.text_at(&["c"]), None);
    }

    #[test]
    fn what_no_statement_needs_is_refused() {
        let bomb = r#"<!DOCTYPE a [<!ENTITY x "xxxxxxxx"><!ENTITY y "&x;&x;">]><a>&y;</a>"#;
        assert!(read(bomb).unwrap_err().contains("document type"));
        assert!(read("<a>&y;</a>").unwrap_err().contains("entity"));
        assert!(read(r#"<?xml version="1.0" encoding="ISO-8859-1"?><a/>"#).is_err());
        assert!(read("<a><b></a>").is_err() && read("<a>").is_err() && read("</a>").is_err());
        assert!(Document::new(&[b'<', 0xff]).is_err());
        let deep = "<a>".repeat(DEPTH_MAX + 1) + &"</a>".repeat(DEPTH_MAX + 1);
        assert!(read(&deep).unwrap_err().contains("deep"));
        let long = format!("<a>{}</a>", "x".repeat(TEXT_BYTES_MAX + 1));
        assert!(read(&long).unwrap_err().contains("too long"));
        let many = format!("<a>{}</a>", "<b/>".repeat(PIECE_ELEMENTS_MAX));
        assert!(read(&many).unwrap_err().contains("too many"));
    }
}
