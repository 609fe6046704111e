use super::*;

/// What stands between two words, wherever they stand in a text.
fn all_between<'a>(text: &'a str, from: &str, to: char) -> Vec<&'a str> {
    text.split(from).skip(1).filter_map(|rest| rest.split(to).next()).collect()
}

/// An address as it stands in a heading: letters beyond ASCII are escaped in a link.
fn unescaped(anchor: &str) -> String {
    let mut parts = anchor.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(&part[..2], 16).unwrap());
        bytes.extend(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).unwrap()
}

#[test]
fn links_of_the_documents_lead_to_headings_there_are() {
    let mut followed = 0;
    for document in ["en", "nb"].into_iter().flat_map(all) {
        for to in all_between(&document.body.0, "href=\"", '"') {
            let (path, anchor) = to.split_once('#').unwrap_or((to, ""));
            let there = match path.strip_prefix("/docs/") {
                Some(name) => find(name, document.language)
                    .unwrap_or_else(|| panic!("{}: {to}", document.name)),
                None if path.is_empty() => document,
                None => {
                    let is_own = path == "/api/v1/openapi.json" || path.starts_with("/assets/");
                    assert!(is_own || path.starts_with("https://"), "{}: {to}", document.name);
                    continue;
                }
            };
            followed += 1;
            let id = format!("id=\"{}\"", unescaped(anchor));
            // Whatever language the reader has chosen: a document that is only in English leads into those that are not.
            for there in [Some(there), find(there.name, "nb")].into_iter().flatten() {
                assert!(
                    anchor.is_empty() || there.body.0.contains(&id),
                    "{} ({}) leads to {to}, which is no heading of {} ({})",
                    document.name,
                    document.language,
                    there.name,
                    there.language
                );
            }
        }
    }
    assert!(followed > 100, "only {followed} links were followed");
}

#[test]
fn every_document_has_a_title_and_its_headings_addresses_of_their_own() {
    for document in ["en", "nb"].into_iter().flat_map(all) {
        assert!(!document.title.is_empty() && !document.parts.is_empty(), "{}", document.name);
        let mut ids = all_between(&document.body.0, " id=\"", '"');
        // What the frame of a page calls its own.
        ids.extend(["main", "live-lamp"]);
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), count, "{}: an address stands twice", document.name);
    }
}

#[test]
fn no_document_loses_html_or_a_picture_on_its_way() {
    let own = |s: &'static Source| s.translations.iter().map(move |(_, text)| (s, *text));
    for (source, text) in SOURCES.iter().flat_map(|s| own(s).chain([(s, s.text)])) {
        let events = pulldown_cmark::Parser::new_ext(text, pulldown_cmark::Options::ENABLE_TABLES);
        for event in events {
            use pulldown_cmark::{Event, Tag};
            match event {
                Event::Html(h) | Event::InlineHtml(h) => {
                    panic!("{}: {h} is not shown", source.name)
                }
                Event::Start(Tag::Image { dest_url, .. }) => {
                    assert!(picture(&dest_url).is_some(), "{}: {dest_url}", source.name);
                }
                _ => {}
            }
        }
    }
}

#[test]
fn a_document_says_what_its_source_says_and_html_in_it_is_left_out() {
    let source = Source {
        name: "customers",
        readers: Readers::Customers,
        translations: &[],
        text: "# A `title`\n\n<script>alert(1)</script>\n\nA <b>word</b> & [one](contracts.md#x), [two](operators.md), \
               [three](javascript:alert(1)).\n\n## Plan (at most 200)\n\n# Plan (at most 200)\n\n\
               | what | |\n|---|---|\n| a \"q\" | b |\n",
    };
    let read = read::document(&source);
    assert_eq!(read.title, "A title");
    let ids: Vec<&str> = read.parts.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(ids, ["plan-at-most-200", "plan-at-most-200-1"]);
    let body = read.body.0;
    assert!(!body.contains("<script") && !body.contains("<b>"), "{body}");
    assert!(
        body.contains("A word &amp; <a href=\"/docs/contracts#x\">one</a>, two, three."),
        "{body}"
    );
    assert!(body.contains("<td data-label=\"what\"><span>a \"q\"</span></td>"), "{body}");
    assert!(body.contains("<td><span>b</span></td>"), "{body}");
}

/// What holds a document and its translation together: its headings by their levels, and what stands in frames.
fn bones(text: &str) -> Vec<String> {
    use pulldown_cmark::{Event, Tag, TagEnd};
    let (mut out, mut framed) = (Vec::new(), None::<String>);
    for event in pulldown_cmark::Parser::new_ext(text, pulldown_cmark::Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::Heading { level, .. }) => out.push(level.to_string()),
            Event::Start(Tag::CodeBlock(_)) => framed = Some(String::new()),
            Event::Text(text) => {
                if let Some(framed) = &mut framed {
                    framed.push_str(&text);
                }
            }
            Event::End(TagEnd::CodeBlock) => {
                // A formula has words in it, a command and a file have not.
                let framed = framed.take().unwrap_or_default();
                out.push(if framed.contains('×') { "a formula".to_owned() } else { framed });
            }
            Event::Start(Tag::Table(columns)) => out.push(format!("{} columns", columns.len())),
            _ => {}
        }
    }
    out
}

#[test]
fn each_english_heading_table_and_frame_has_its_counterpart_in_each_translation() {
    let mut compared = 0;
    for source in &SOURCES {
        for (language, text) in source.translations {
            assert_eq!(bones(source.text), bones(text), "docs/{language}/{}.md", source.name);
            let document = find(source.name, language).unwrap();
            let english = find(source.name, "en").unwrap();
            let ids = |d: &Document| d.parts.iter().map(|(id, _)| id.clone()).collect::<Vec<_>>();
            assert_eq!(ids(document), ids(english), "a link leads to the same place in each");
            assert!(document.language == *language && document.title != english.title);
            compared += 1;
        }
    }
    assert_eq!(compared, 3);
    assert_ne!(bones("# A\n\n## B"), bones("# A\n\n### B"));
    assert_ne!(bones("# A\n\n    gruve verify X"), bones("# A\n\n    gruve verify Y"));
}

#[test]
fn a_document_that_was_not_translated_is_the_english_one_and_says_which_language_it_is_in() {
    assert_eq!(find("customers", "nb").unwrap().language, "nb");
    assert_eq!(find("api", "nb").unwrap().language, "en");
    assert_eq!(find("customers", "klingon").unwrap().language, "en");
    assert!(find("nothing", "nb").is_none());
    let link = |language| find("customers", language).unwrap().body.0.clone();
    let named = |title: &str| format!("<a href=\"/docs/contracts\">{title}</a>");
    assert!(link("en").contains(&named("A contract's life")), "not by its file");
    assert!(link("nb").contains(&named("En kontrakts liv")));
}
