use super::*;

/// What stands between two words, wherever they stand in a text.
fn all_between<'a>(text: &'a str, from: &str, to: char) -> Vec<&'a str> {
    text.split(from).skip(1).filter_map(|rest| rest.split(to).next()).collect()
}

#[test]
fn links_of_the_documents_lead_to_headings_there_are() {
    let mut followed = 0;
    for document in all() {
        for to in all_between(&document.body.0, "href=\"", '"') {
            let (path, anchor) = to.split_once('#').unwrap_or((to, ""));
            let there = match path.strip_prefix("/docs/") {
                Some(name) => find(name).unwrap_or_else(|| panic!("{}: {to}", document.name)),
                None if path.is_empty() => document,
                None => {
                    let is_own = path == "/api/v1/openapi.json" || path.starts_with("/assets/");
                    assert!(is_own || path.starts_with("https://"), "{}: {to}", document.name);
                    continue;
                }
            };
            followed += 1;
            let id = format!("id=\"{anchor}\"");
            assert!(
                anchor.is_empty() || there.body.0.contains(&id),
                "{} leads to {to}, which is no heading of {}",
                document.name,
                there.name
            );
        }
    }
    assert!(followed > 100, "only {followed} links were followed");
}

#[test]
fn every_document_has_a_title_and_its_headings_addresses_of_their_own() {
    for document in all() {
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
    for source in &SOURCES {
        let events =
            pulldown_cmark::Parser::new_ext(source.text, pulldown_cmark::Options::ENABLE_TABLES);
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
