//! The documents that customers, verifiers and their programs read, shown by every house under `/docs`: the same
//! files that stand in `docs/` of the source, so that what a house says of itself is what its version does.
//!
//! # Promises
//! - A document is the source's Markdown and nothing else: HTML in it is left out, nothing is loaded from elsewhere.
//! - Links between documents lead to the house's own pages; those to what a house does not show are plain text.
//! - Every heading has an address of its own, the one it has where the source is read; in another language it has
//!   that of the English heading besides, so that a link leads to the same place in every language.
//! - A document is in English, and in other languages where it was translated (`docs/<code>/`): what is not is shown
//!   in English, and says so.
//!
//! # What this must not know
//! Visitors and pages, and which language is spoken.

mod read;
#[cfg(test)]
mod tests;

use crate::assets::Asset;
use maud::PreEscaped;
use std::sync::LazyLock;

/// Whom a document is for, in the order of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readers {
    /// Who buys, owns machines, is paid.
    Customers,
    /// Who holds the house to what it says.
    Verifiers,
    /// Who writes programs and runs machines.
    Programs,
}

/// A document's file, before it is read.
pub(crate) struct Source {
    pub(crate) name: &'static str,
    readers: Readers,
    text: &'static str,
    /// The same in other languages: code and text.
    translations: &'static [(&'static str, &'static str)],
}

/// A document as it is shown.
pub(crate) struct Document {
    /// Its name in the address, `customers`.
    pub(crate) name: &'static str,
    /// The code of the language that it is in.
    pub(crate) language: &'static str,
    pub(crate) readers: Readers,
    /// The first heading.
    pub(crate) title: String,
    /// The headings under it: their addresses within the page, and what they say.
    pub(crate) parts: Vec<(String, String)>,
    /// All below the first heading.
    pub(crate) body: PreEscaped<String>,
}

macro_rules! source {
    ($name:literal, $readers:ident $(, $language:literal)*) => {
        Source {
            name: $name,
            readers: Readers::$readers,
            text: include_str!(concat!("../../../../docs/", $name, ".md")),
            translations: &[$((
                $language,
                include_str!(concat!("../../../../docs/", $language, "/", $name, ".md")),
            )),*],
        }
    };
}

/// What is shown. `operators.md` and what is for authors of the house itself stay with its source.
pub(crate) static SOURCES: [Source; 13] = [
    source!("customers", Customers, "nb"),
    source!("contracts", Customers, "nb"),
    source!("schemes", Customers),
    source!("hosting", Customers),
    source!("security", Customers),
    source!("proofs", Verifiers),
    source!("record-format", Verifiers),
    source!("statements", Verifiers, "nb"),
    source!("funds", Verifiers),
    source!("appraise", Verifiers),
    source!("api", Programs),
    source!("webhooks", Programs),
    source!("stratum", Programs),
];

/// Read once; a dozen files take some milliseconds.
static DOCUMENTS: LazyLock<Vec<Document>> =
    LazyLock::new(|| SOURCES.iter().map(read::document).collect());

/// The same in other languages.
static TRANSLATED: LazyLock<Vec<Document>> =
    LazyLock::new(|| SOURCES.iter().flat_map(read::translations).collect());

/// All documents in the order of the list, in a language where they are in it, else in English.
pub(crate) fn all(language: &str) -> impl Iterator<Item = &'static Document> {
    SOURCES.iter().filter_map(move |s| find(s.name, language))
}

/// The document of that name, likewise.
pub(crate) fn find(name: &str, language: &str) -> Option<&'static Document> {
    let own = TRANSLATED.iter().find(|d| d.name == name && d.language == language);
    own.or_else(|| DOCUMENTS.iter().find(|d| d.name == name))
}

macro_rules! picture {
    ($name:literal) => {
        ($name, {
            let body = include_bytes!(concat!("../../../../docs/pictures/", $name, ".png"));
            Asset::new($name, "png", "image/png", body)
        })
    };
}

/// The pictures of the documents shown, by the names they have in them.
static PICTURES: LazyLock<[(&str, Asset); 5]> = LazyLock::new(|| {
    [
        picture!("contract"),
        picture!("machine"),
        picture!("metered"),
        picture!("plans"),
        picture!("receipt"),
    ]
});

/// The pictures, to be served as other files are.
pub(crate) fn pictures() -> impl Iterator<Item = &'static Asset> {
    PICTURES.iter().map(|(_, asset)| asset)
}

/// A link as it is from the folder of the documents; translations stand one below.
fn from_docs(address: &str) -> &str {
    address.strip_prefix("../").unwrap_or(address)
}

/// Where a picture is served that a document calls `pictures/NAME.png`.
fn picture(address: &str) -> Option<String> {
    let name = from_docs(address).strip_prefix("pictures/")?.strip_suffix(".png")?;
    PICTURES.iter().find(|(n, _)| *n == name).map(|(_, asset)| asset.path())
}
