use super::*;
use crate::money::{amount, grouped, local, percent, time_text, typed_figure};
use gruve_units::{Amount, Asset, Timestamp};

fn nb() -> &'static Language {
    find("nb").expect("the Norwegian file is read")
}

/// Says something in a language.
fn spoken_in<T>(language: &'static Language, say: impl Fn() -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(speaking(language, async { say() }))
}

#[test]
fn every_language_file_is_read() {
    for (code, file) in FILES {
        Language::read(code, file).unwrap_or_else(|e| panic!("{code}: {e}"));
    }
    assert_eq!(all().len(), FILES.len() + 1);
}

#[test]
fn an_entry_is_cut_at_its_places_and_strange_braces_are_words() {
    use Piece::{Place, Words};
    assert_eq!(pieces("{a} of {b}"), [Place("a"), Words(" of "), Place("b")]);
    assert_eq!(pieces("no {} and { x"), [Words("no {} and { x")]);
    assert_eq!(pieces("{{a}"), [Words("{"), Place("a")]);
    assert!(pieces("").is_empty());
}

#[test]
fn values_stand_in_a_sentence_escaped_and_words_too() {
    let name = "<b>";
    assert_eq!(say!("Signed in as {name}", name = name).into_string(), "Signed in as &lt;b&gt;");
    assert_eq!(text!("Error {number}", number = 404), "Error 404");
}

#[test]
fn norwegian_writes_figures_and_times_in_its_own_way() {
    spoken_in(nb(), || {
        let at = Timestamp::from_secs(1_795_295_669);
        assert_eq!(time_text(at), "21. nov. 2026 kl. 21.14.29\u{a0}UTC");
        assert_eq!(crate::money::day_text("2026-05-03"), "3. mai 2026");
        assert_eq!(local("1234567.50 USD"), "1\u{a0}234\u{a0}567,50 USD");
        assert_eq!(local("-0.5"), "−0,5");
        assert_eq!(local("nothing"), "nothing");
        assert_eq!(grouped(1_000), "1\u{a0}000");
        assert_eq!(percent(1, 3), "33,3 %");
        assert!(amount(Amount::new(Asset::Btc, 1)).into_string().contains("0,00000001"));
    });
}

#[test]
fn a_browser_is_answered_in_the_language_it_likes_most_of_those_there_are() {
    let of = |accept| wanted(accept).code;
    assert_eq!(of("nb-NO,nb;q=0.9,en;q=0.8"), "nb");
    assert_eq!(of("no"), "nb");
    assert_eq!(of("nn;q=0.9, de"), "nb");
    assert_eq!(of("de, en;q=0.8, nb;q=0.7"), "en");
    assert_eq!(of("en;q=0.1,nb;q=0.11"), "nb");
    for nothing in ["", "de", "*", ";;;q", "nb;q=0", "nb;q=x", "en-XA", "\u{1}"] {
        assert_eq!(of(nothing), "en", "{nothing:?}");
    }
}

#[test]
fn a_typed_figure_is_read_only_where_it_means_one_thing() {
    let english = |s: &str| typed_figure(s).ok();
    assert_eq!(english("0.5").unwrap(), "0.5");
    assert_eq!(english("0,5").unwrap(), "0.5");
    assert_eq!(english(" 12 ").unwrap(), "12");
    assert_eq!(english("1.5 TH/s").unwrap(), "1.5 TH/s");
    assert_eq!(english("0,001").unwrap(), "0.001");
    assert_eq!(english("1 234 567,25").unwrap(), "1234567.25");
    for unclear in
        ["1,000.5", "1.000,5", "1,000", "1,000,000", "1.0.0", "1'000", "12 34", "1234 567"]
    {
        assert_eq!(english(unclear), None, "{unclear}");
    }
    // What is no figure is left to who reads figures.
    assert_eq!(english("abc").unwrap(), "abc");
    assert_eq!(english("-1").unwrap(), "-1");
    spoken_in(nb(), || {
        assert_eq!(typed_figure("1,000").unwrap(), "1.000");
        assert_eq!(typed_figure("0.001").unwrap(), "0.001");
        assert!(typed_figure("1.000").is_err());
        assert!(typed_figure("1.000,5").is_err());
    });
}

#[test]
fn a_message_from_below_is_said_by_its_pattern_with_its_figures_localised() {
    let file = r#"
        [locale]
        name = "X"
        decimal = ","
        group = " "
        date = ""
        clock = ""
        time = ""
        months = ["", "", "", "", "", "", "", "", "", "", "", ""]
        [words]
        "{a}" = "never"
        [messages]
        "You have {a}; that is too little." = "For lite: {a}."
        "You have {a}; wait until {b}." = "{b} {a}"
        "There is no such {what}." = "Finnes ikke: {what}."
        "page" = "side"
    "#;
    let l = Language::read("x", file).unwrap();
    assert_eq!(l.heard("You have 0.5 BTC; that is too little."), "For lite: 0,5 BTC.");
    assert_eq!(l.heard("You have 1 BTC; wait until noon."), "noon 1 BTC");
    assert_eq!(l.heard("There is no such page."), "Finnes ikke: side.");
    let only = Language::read("x", &file.replace("\"{a}\" = \"never\"", "")).unwrap();
    assert_eq!(only.heard("Something else."), "Something else.");
}

#[test]
fn the_pseudo_language_wraps_words_and_leaves_values_outside() {
    let pseudo = find("en-XA").unwrap();
    assert_eq!(spoken_in(pseudo, || t("Skip to the content").to_owned()), "⟦Skip to the content⟧");
    assert!(!all().iter().any(|l| l.code == "en-XA"), "it is no choice");
    assert_eq!(spoken_in(pseudo, || t("never translated").to_owned()), "never translated");
}

/// The string literals of a source, with what stands before each. Comments and tests are passed over.
fn literals(source: &str) -> Vec<(String, String)> {
    let source = source.split("#[cfg(test)]").next().unwrap_or_default();
    let (mut out, mut at) = (Vec::new(), 0);
    let bytes = source.as_bytes();
    while at < bytes.len() {
        let rest = &source[at..];
        let step = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if let Some(quoted) =
            ["'\"'", "'\\''", "'\\\\'"].iter().find(|q| rest.starts_with(**q))
        {
            quoted.len()
        } else if rest.starts_with('"') {
            let mut end = 1;
            while bytes[at + end] != b'"' {
                end += if bytes[at + end] == b'\\' { 2 } else { 1 };
            }
            let before = source[..at].trim_end().chars().rev().take(12).collect::<Vec<_>>();
            out.push((before.into_iter().rev().collect(), unescaped(&rest[1..end])));
            end + 1
        } else {
            rest.chars().next().map_or(1, char::len_utf8)
        };
        at += step;
    }
    out
}

fn unescaped(literal: &str) -> String {
    let (mut out, mut rest) = (String::new(), literal);
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let tail = &rest[at + 1..];
        let (said, used) = match tail.as_bytes().first() {
            Some(b'n') => ("\n".to_owned(), 1),
            Some(b'\n') => (String::new(), tail.len() - tail.trim_start().len()),
            Some(b'u') => {
                let end = tail.find('}').unwrap();
                let code = u32::from_str_radix(&tail[2..end], 16).unwrap();
                (char::from_u32(code).unwrap().to_string(), end + 1)
            }
            _ => (tail.chars().next().map(String::from).unwrap_or_default(), 1),
        };
        out.push_str(&said);
        rest = &tail[used..];
    }
    out + rest
}

fn sources(dir: &std::path::Path, into: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") && !path.ends_with("words/tests.rs") {
            into.push((path.display().to_string(), std::fs::read_to_string(&path).unwrap()));
        }
    }
}

fn own_sources() -> Vec<(String, String)> {
    let mut all = Vec::new();
    sources(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut all);
    all
}

#[test]
fn every_text_of_the_sources_is_in_every_language_with_the_same_places() {
    let asks = ["t(", "word(", "say!(", "text!(", "cell!(", "cell!(r"];
    let mut wanted = std::collections::BTreeMap::new();
    for (file, source) in own_sources() {
        for (before, text) in literals(&source) {
            let ends = |a: &str| {
                let head = before.strip_suffix(a);
                head.is_some_and(|h| {
                    !h.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '.')
                })
            };
            if asks.iter().any(|a| ends(a)) && !text.is_empty() {
                wanted.insert(text, file.clone());
            }
        }
    }
    assert!(wanted.len() > 500, "the sources are read: {}", wanted.len());
    for language in all().iter().skip(1) {
        let entries = language.entries();
        let known: std::collections::BTreeSet<_> = entries.iter().map(|(k, _)| *k).collect();
        let missing: Vec<_> = wanted.iter().filter(|(k, _)| !known.contains(k.as_str())).collect();
        assert!(missing.is_empty(), "{} lacks {missing:#?}", language.code);
        for (english, own) in entries {
            let places = |s: &str| {
                let mut all: Vec<_> = pieces(s)
                    .into_iter()
                    .filter_map(|p| if let Piece::Place(n) = p { Some(n.to_owned()) } else { None })
                    .collect();
                all.sort();
                all.dedup();
                all
            };
            for form in own {
                assert!(!form.trim().is_empty(), "{}: {english:?} is empty", language.code);
                assert_eq!(places(english), places(form), "{}: {english:?}", language.code);
            }
        }
    }
}

#[test]
fn no_entry_of_a_language_has_lost_its_text() {
    let mut said = std::collections::BTreeSet::new();
    for (_, source) in own_sources() {
        said.extend(
            literals(&source).into_iter().map(|(_, text)| text.trim_start_matches('>').to_owned()),
        );
    }
    // What rooms below say, as it reaches a page: with a capital and a full stop, its values left out.
    let crates = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut below = std::collections::BTreeSet::new();
    for room in [
        "accounts",
        "chain",
        "farm",
        "hosting",
        "market",
        "treasury",
        "store",
        "ledger",
        "units",
        "statement",
        "web",
        "gruve/src/house/answers",
    ] {
        let mut all = Vec::new();
        match room.split_once('/') {
            Some(_) => all.push(one_source(&crates, room)),
            None => sources(&crates.join(room).join("src"), &mut all),
        }
        for (_, source) in all {
            for (_, text) in literals(&source) {
                below.insert(bare(&text));
                below.insert(bare(&crate::failure::sentence(&text)));
            }
        }
    }
    for language in all().iter().skip(1) {
        let lost: Vec<_> = language
            .entries()
            .into_iter()
            .map(|(english, _)| english)
            .filter(|e| !said.contains(*e) && !below.contains(&bare(e)))
            .collect();
        assert!(lost.is_empty(), "{}: nothing says {lost:#?}", language.code);
    }
}

fn one_source(crates: &std::path::Path, file: &str) -> (String, String) {
    (file.to_owned(), std::fs::read_to_string(crates.join(file).with_extension("rs")).unwrap())
}

/// What begins with a capital and ends like a sentence is one that somebody reads: of the accounts' room all that is not
/// an error, of others what is said to an owner.
#[test]
fn every_sentence_that_an_owner_is_written_to_is_in_every_language() {
    let crates = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let (mut own, mut others) = (Vec::new(), own_sources());
    sources(&crates.join("accounts/src"), &mut own);
    own.retain(|(file, _)| !file.ends_with("error.rs"));
    others.push(one_source(&crates, "gruve/src/house/answers"));
    others.retain(|(_, source)| source.contains(".tell_owner("));
    let is_sentence = |s: &str| {
        s.starts_with(|c: char| c.is_ascii_uppercase())
            && s.ends_with(['.', ':', '}'])
            && s.matches(' ').count() > 2
    };
    let is_to_owner = |s: &str| ["our ", "ou ", "yours"].iter().any(|w| s.contains(w));
    let texts = |of: &[(String, String)]| -> Vec<String> {
        let all = of.iter().flat_map(|(_, source)| literals(source));
        all.map(|(_, text)| text).filter(|text| is_sentence(text)).collect()
    };
    let mut said: std::collections::BTreeSet<String> = texts(&own).into_iter().collect();
    said.extend(texts(&others).into_iter().filter(|text| is_to_owner(text)));
    assert!(said.len() > 40, "the sources are read: {} {said:#?}", said.len());
    for language in all().iter().skip(1) {
        let entries = language.entries();
        let known: std::collections::BTreeSet<_> = entries.iter().map(|(k, _)| bare(k)).collect();
        let is_known = |s: &&String| known.contains(&bare(s));
        let lacks: Vec<_> = said.iter().filter(|s| !is_known(s)).collect();
        assert!(lacks.is_empty(), "{} lacks {lacks:#?}", language.code);
    }
}

#[test]
fn every_notice_of_a_contract_is_in_every_language() {
    let leases = gruve_market::NoticeKind::ALL.map(gruve_market::NoticeKind::sentence);
    let metered = gruve_market::metered::NoticeKind::ALL;
    let metered = metered.map(gruve_market::metered::NoticeKind::sentence);
    for language in all().iter().skip(1) {
        for said in leases.iter().chain(&metered) {
            assert_ne!(language.heard(said), *said, "{}: {said:?}", language.code);
        }
        let more = language.heard("More notices stand in your account: 3.");
        assert!(more.contains('3') && !more.contains("More"), "{}: {more}", language.code);
    }
}

#[test]
fn every_reason_why_a_webhook_took_nothing_is_in_every_language() {
    for language in all().iter().skip(1) {
        for fault in crate::HookFault::ALL {
            assert_ne!(language.heard(fault.text()), fault.text(), "{}: {fault}", language.code);
        }
    }
}

/// Refusals of the rooms below that a page may show. What is the house's own fault is told as a reference only.
const REFUSALS: [&str; 8] = [
    "accounts/src/error.rs",
    "chain/src/address.rs",
    "chain/src/eth/address.rs",
    "farm/src/error.rs",
    "hosting/src/error.rs",
    "ledger/src/error.rs",
    "market/src/error.rs",
    "treasury/src/error.rs",
];

/// What of these no page shows: faults, what programs and the machine itself are told, and what says another error whole.
const NEVER_SHOWN: [&str; 30] = [
    "",
    "the accounts' tables are damaged: ",
    "a password could not be checked: ",
    "the password is not that of the house's machines",
    "not the token of a site's agent",
    "the report cannot be taken: ",
    " is more than can be counted",
    "the hosting tables are broken: ",
    "block  was reported before with other particulars",
    "lane  does not earn ",
    "epoch  of lane  was closed by somebody else",
    " does not fit",
    "the share log of  cannot be accounted: ",
    "the books are wrong: ",
    "the public record cannot be written: ",
    "no such transaction is ordered or signed and without a block",
    "it cannot be withdrawn: ",
    "no such transaction of this asset stands unexplained in the chain",
    " block  does not follow the newest block known",
    "it pays more, or others, than the payouts that wait and the sweep address; or a transaction that is signed \
     stands against it, which ends by itself once it is deep in the chain",
    "the chain counts  transactions from , our tables : an older backup, or another program with the same keys; \
     nothing is signed until the follower has seen them",
    "the keys of  are not those that the database's addresses were made with: bring back the seed, or the account \
     key of the signer, that belongs to this database",
    "the node of  is of chain , the wallet of chain : correct the node's address or the chain id; nothing is signed \
     meanwhile",
    "taking an invoice's payment: ",
    "broken off at ",
    "the treasury's tables are damaged: ",
    "entry  ",
    "the books are damaged: ; stop and run `gruve admin audit`",
    "entry  is out of balance by  minor units of ",
    "the balance of  would not fit 64 bits of minor units of ",
];

#[test]
fn every_refusal_of_the_rooms_below_is_said_in_every_language() {
    let crates = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut refusals = std::collections::BTreeSet::new();
    for file in REFUSALS {
        let source = std::fs::read_to_string(crates.join(file)).unwrap();
        let errors =
            literals(&source).into_iter().filter(|(before, _)| before.ends_with("#[error("));
        refusals.extend(errors.map(|(_, text)| text));
    }
    assert!(refusals.len() > 100, "the sources are read: {}", refusals.len());
    for language in all().iter().skip(1) {
        let entries = language.entries();
        let known: std::collections::BTreeSet<_> = entries.iter().map(|(k, _)| bare(k)).collect();
        let lacks: Vec<_> = refusals
            .iter()
            .filter(|said| !NEVER_SHOWN.contains(&bare(said).as_str()))
            .filter(|said| {
                let whole = bare(&crate::failure::sentence(said));
                !known.contains(&whole) && !known.contains(&bare(said))
            })
            .collect();
        assert!(lacks.is_empty(), "{} lacks {lacks:#?}", language.code);
    }
}

/// A message without what stands in its braces.
fn bare(message: &str) -> String {
    let (mut out, mut depth) = (String::new(), 0_u32);
    for c in message.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            c if depth == 0 => out.push(c),
            _ => {}
        }
    }
    out
}
