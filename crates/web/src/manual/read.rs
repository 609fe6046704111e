//! From Markdown to a page: what the reader of the source sees, with addresses that lead within the house.

use super::{Document, SOURCES, Source, from_docs, picture};
use maud::{PreEscaped, html};
use pulldown_cmark::{CowStr, Event, HeadingLevel, LinkType, Options, Parser, Tag, TagEnd};
use std::collections::HashMap;

/// A document, read.
pub(super) fn document(source: &Source) -> Document {
    in_language(source, "en", source.text, &[]).0
}

/// The same in its other languages: their headings have the addresses of the English ones, too.
pub(super) fn translations(source: &Source) -> Vec<Document> {
    let (_, english) = in_language(source, "en", source.text, &[]);
    let all = source.translations.iter();
    all.map(|(language, text)| in_language(source, language, text, &english).0).collect()
}

/// A text of a document, and the addresses of its headings, of which the `english` stand for the same.
fn in_language(
    source: &Source,
    language: &'static str,
    text: &str,
    english: &[String],
) -> (Document, Vec<String>) {
    let events: Vec<Event<'_>> = Parser::new_ext(text, Options::ENABLE_TABLES).collect();
    let (mut title, mut parts, mut out) = (String::new(), Vec::new(), Vec::new());
    let (mut ids, mut table) = (HashMap::new(), Table::default());
    let mut places = Vec::new();
    let mut at = 0;
    while let Some(event) = events.get(at) {
        at += 1;
        match event {
            Event::Start(Tag::Heading { level, .. }) => {
                let end = ends(&events, at, |e| matches!(e, TagEnd::Heading(_)));
                let inner = &events[at..end];
                at = end + 1;
                let said = plain(inner);
                let own = free(&mut ids, address(&said));
                if title.is_empty() {
                    title = said;
                    continue;
                }
                let id = english.get(places.len()).unwrap_or(&own).clone();
                places.push(id.clone());
                // A page has one title: what stands beside it in the source is a part here.
                let level = (*level).max(HeadingLevel::H2);
                out.push(markup(&format!("<{level} id=\"{id}\">")));
                let besides = if own == id { String::new() } else { format!(" id=\"{own}\"") };
                out.push(markup(&format!("<a class=\"here\"{besides} href=\"#{id}\">")));
                // A heading is a link to itself: one in it would be a link in a link.
                let is_link = |e: &Event<'_>| {
                    matches!(e, Event::Start(Tag::Link { .. }) | Event::End(TagEnd::Link))
                };
                out.extend(inner.iter().filter(|e| !is_link(e)).cloned());
                out.push(markup(&format!("</a></{level}>")));
                if level == HeadingLevel::H2 {
                    parts.push((id, said));
                }
            }
            Event::Start(Tag::Link { dest_url, .. }) => {
                let end = ends(&events, at, |e| matches!(e, TagEnd::Link));
                let inner = &events[at..end];
                at = end + 1;
                match leads_to(dest_url) {
                    Some(to) => {
                        out.push(Event::Start(Tag::Link {
                            link_type: LinkType::Inline,
                            dest_url: to.into(),
                            title: "".into(),
                            id: "".into(),
                        }));
                        match named(inner, dest_url, language) {
                            Some(title) => out.push(Event::Text(title.into())),
                            None => out.extend(inner.iter().cloned()),
                        }
                        out.push(Event::End(TagEnd::Link));
                    }
                    None => out.extend(inner.iter().cloned()),
                }
            }
            Event::Start(Tag::Image { dest_url, .. }) => {
                let end = ends(&events, at, |e| matches!(e, TagEnd::Image));
                let alt = plain(&events[at..end]);
                at = end + 1;
                if let Some(src) = picture(dest_url) {
                    let img = html! { img src=(src) alt=(alt) loading="lazy"; };
                    out.push(markup(&img.into_string()));
                }
            }
            Event::Start(Tag::CodeBlock(_)) => {
                // Wider than a phone, and so rolled: by the keyboard, too.
                out.push(markup("<pre tabindex=\"0\"><code>"));
            }
            Event::End(TagEnd::CodeBlock) => out.push(markup("</code></pre>")),
            Event::Html(_) | Event::InlineHtml(_) => {}
            Event::Start(Tag::HtmlBlock) | Event::End(TagEnd::HtmlBlock) => {}
            other => match table.takes(other, &events[at..]) {
                Some(text) => out.push(markup(&text)),
                None => out.push(other.clone()),
            },
        }
    }
    let mut body = String::new();
    pulldown_cmark::html::push_html(&mut body, out.into_iter());
    let Source { name, readers, .. } = *source;
    (Document { name, language, readers, title, parts, body: PreEscaped(body) }, places)
}

/// The title of the document that a link leads to, where the link is called by its file: a house's readers see no files.
fn named(inner: &[Event<'_>], to: &str, language: &str) -> Option<String> {
    let file = from_docs(to.split('#').next()?);
    let source = SOURCES.iter().find(|s| file.strip_suffix(".md") == Some(s.name))?;
    let own = source.translations.iter().find(|(l, _)| *l == language);
    let text = own.map_or(source.text, |(_, text)| *text);
    let title = text.lines().find_map(|l| l.strip_prefix("# "))?;
    (plain(inner) == file).then(|| title.replace('`', ""))
}

/// The table that is being read: on a phone each row is a card, and each cell says what it is.
#[derive(Default)]
struct Table {
    heads: Vec<String>,
    column: usize,
    is_head: bool,
}

impl Table {
    /// What stands for a table's event; nothing where it is none.
    fn takes(&mut self, event: &Event<'_>, rest: &[Event<'_>]) -> Option<String> {
        Some(match event {
            Event::Start(Tag::Table(_)) => {
                self.heads.clear();
                "<table class=\"cards\">".to_owned()
            }
            Event::Start(Tag::TableHead) => {
                (self.is_head, self.column) = (true, 0);
                "<thead><tr>".to_owned()
            }
            Event::End(TagEnd::TableHead) => {
                self.is_head = false;
                "</tr></thead><tbody>".to_owned()
            }
            Event::End(TagEnd::Table) => "</tbody></table>".to_owned(),
            Event::Start(Tag::TableRow) => {
                self.column = 0;
                "<tr>".to_owned()
            }
            Event::End(TagEnd::TableRow) => "</tr>".to_owned(),
            Event::Start(Tag::TableCell) if self.is_head => {
                let end = ends(rest, 0, |e| matches!(e, TagEnd::TableCell));
                let said = plain(&rest[..end]);
                // A column without a name is no header to anybody.
                let open = if said.is_empty() { "<td>" } else { "<th scope=\"col\">" };
                self.heads.push(said);
                open.to_owned()
            }
            Event::End(TagEnd::TableCell) if self.is_head => {
                let is_named = self.heads.last().is_some_and(|h| !h.is_empty());
                if is_named { "</th>" } else { "</td>" }.to_owned()
            }
            Event::Start(Tag::TableCell) => {
                let head = self.heads.get(self.column).filter(|h| !h.is_empty());
                self.column += 1;
                match head {
                    Some(h) => {
                        let cell = html! { td data-label=(h) {} }.into_string();
                        format!("{}<span>", cell.trim_end_matches("</td>"))
                    }
                    None => "<td><span>".to_owned(),
                }
            }
            Event::End(TagEnd::TableCell) => "</span></td>".to_owned(),
            _ => return None,
        })
    }
}

/// Where the end of the kind stands that comes first; what is open is always closed.
fn ends(events: &[Event<'_>], from: usize, is_end: impl Fn(&TagEnd) -> bool) -> usize {
    let here = |e: &Event<'_>| matches!(e, Event::End(end) if is_end(end));
    events[from..].iter().position(here).map_or(events.len(), |n| from + n)
}

fn markup(text: &str) -> Event<'static> {
    Event::Html(CowStr::from(text.to_owned()))
}

/// The words of a piece, without their looks.
fn plain(events: &[Event<'_>]) -> String {
    let mut out = String::new();
    for event in events {
        match event {
            Event::Text(t) | Event::Code(t) => out.push_str(t),
            Event::SoftBreak | Event::HardBreak => out.push(' '),
            _ => {}
        }
    }
    out
}

/// A heading's address: its letters, digits, `-` and `_` in lower case, spaces as `-`, as sites that show sources
/// make them, so that links in the source lead to the same places on both.
pub(super) fn address(heading: &str) -> String {
    heading
        .to_lowercase()
        .chars()
        .filter_map(|c| match c {
            ' ' => Some('-'),
            c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
            _ => None,
        })
        .collect()
}

/// The address, numbered where a heading before has the same.
fn free(taken: &mut HashMap<String, u32>, id: String) -> String {
    let count = taken.entry(id.clone()).or_default();
    *count += 1;
    match *count {
        1 => id,
        n => format!("{id}-{}", n - 1),
    }
}

/// Where a link of a document leads here; nothing where the house does not show that.
fn leads_to(address: &str) -> Option<String> {
    if address.starts_with('#') || address.starts_with("https://") {
        return Some(address.to_owned());
    }
    if from_docs(address) == "openapi.json" {
        return Some("/api/v1/openapi.json".to_owned());
    }
    let address = from_docs(address);
    let (file, anchor) = address.split_once('#').unwrap_or((address, ""));
    let name = file.strip_suffix(".md").filter(|n| SOURCES.iter().any(|s| s.name == *n));
    match name {
        Some(name) if anchor.is_empty() => Some(format!("/docs/{name}")),
        Some(name) => Some(format!("/docs/{name}#{anchor}")),
        None => picture(file),
    }
}
