//! A browser in a word or two: what a session says of where it comes from is written for programs.
//!
//! Nothing is decided by it, and whoever wants to lie about a browser can: the address beside it is what the house saw.

use crate::words::{t, text};
use maud::{Markup, html};

/// Browsers by what their name for programs holds; the first that fits, because most name others besides.
const BROWSERS: [(&str, &str); 8] = [
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("CriOS/", "Chrome"),
    ("Safari/", "Safari"),
];

/// Systems likewise.
const SYSTEMS: [(&str, &str); 7] = [
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
];

fn first_of(names: &[(&str, &'static str)], agent: &str) -> Option<&'static str> {
    names.iter().find(|(part, _)| agent.contains(part)).map(|(_, name)| *name)
}

/// The browser and system of a name for programs; `None` where it is no browser's.
fn named(agent: &str) -> Option<String> {
    // A headless one says so in the same word.
    let agent = agent.replace("HeadlessChrome/", "Chrome/");
    match (first_of(&BROWSERS, &agent), first_of(&SYSTEMS, &agent)) {
        (Some(browser), Some(system)) => {
            Some(text!("{browser} on {system}", browser = browser, system = system))
        }
        (Some(one), None) | (None, Some(one)) => Some(one.to_owned()),
        (None, None) => None,
    }
}

/// Where a session comes from, as it was written down: an address, and a browser's name for programs behind it. The
/// whole stands in the title.
pub(crate) fn device(about: &str) -> Markup {
    let (address, agent) = about.split_once(' ').unwrap_or((about, ""));
    html! {
        @if about.is_empty() { (t("unknown")) }
        @else if let Some(name) = named(agent) { span title=(about) { (name) " " span.small.soft { (address) } } }
        @else { (about) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_are_told_by_what_they_alone_say() {
        let linux = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)";
        for (agent, said) in [
            (format!("{linux} HeadlessChrome/156.0.0.0 Safari/537.36"), Some("Chrome on Linux")),
            (format!("{linux} Chrome/156.0.0.0 Safari/537.36 Edg/156.0"), Some("Edge on Linux")),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Safari/604.1".to_owned(),
                Some("Safari on iPhone"),
            ),
            ("Mozilla/5.0 (Windows NT 10.0; rv:140.0) Gecko/20100101 Firefox/140.0".to_owned(), Some("Firefox on Windows")),
            ("curl/8.5.0".to_owned(), None),
            (String::new(), None),
        ] {
            assert_eq!(named(&agent).as_deref(), said, "{agent}");
        }
    }

    #[test]
    fn what_is_not_understood_is_shown_as_it_is_and_escaped() {
        assert_eq!(
            device("192.0.2.7 <b>robot</b>").into_string(),
            "192.0.2.7 &lt;b&gt;robot&lt;/b&gt;"
        );
        assert_eq!(device("").into_string(), "unknown");
        let shown = device("192.0.2.7 Mozilla/5.0 (X11; Linux) Firefox/1\"").into_string();
        assert!(shown.contains("Firefox on Linux") && shown.contains("192.0.2.7"), "{shown}");
        assert!(shown.contains("&quot;") && !shown.contains("Firefox/1\"\""), "{shown}");
    }
}
