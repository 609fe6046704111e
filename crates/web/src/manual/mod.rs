//! The documents that customers, verifiers and their programs read, shown by every house under `/docs`: the same
//! files that stand in `docs/` of the source, so that what a house says of itself is what its version does.
//!
//! # Promises
//! - A document is the source's Markdown and nothing else: HTML in it is left out, nothing is loaded from elsewhere.
//! - Links between documents lead to the house's own pages; those to what a house does not show are plain text.
//! - Every heading has an address of its own, the one it has where the source is read.
//!
//! # What this must not know
//! Visitors, pages, languages: documents are in English.

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
}

/// A document as it is shown.
pub(crate) struct Document {
    /// Its name in the address, `customers`.
    pub(crate) name: &'static str,
    pub(crate) readers: Readers,
    /// The first heading.
    pub(crate) title: String,
    /// The headings under it: their addresses within the page, and what they say.
    pub(crate) parts: Vec<(String, String)>,
    /// All below the first heading.
    pub(crate) body: PreEscaped<String>,
}

macro_rules! source {
    ($name:literal, $readers:ident) => {
        Source {
            name: $name,
            readers: Readers::$readers,
            text: include_str!(concat!("../../../../docs/", $name, ".md")),
        }
    };
}

/// What is shown. `operators.md` and what is for authors of the house itself stay with its source.
pub(crate) const SOURCES: [Source; 13] = [
    source!("customers", Customers),
    source!("contracts", Customers),
    source!("schemes", Customers),
    source!("hosting", Customers),
    source!("security", Customers),
    source!("proofs", Verifiers),
    source!("record-format", Verifiers),
    source!("statements", Verifiers),
    source!("funds", Verifiers),
    source!("appraise", Verifiers),
    source!("api", Programs),
    source!("webhooks", Programs),
    source!("stratum", Programs),
];

/// Read once; a dozen files take some milliseconds.
static DOCUMENTS: LazyLock<Vec<Document>> =
    LazyLock::new(|| SOURCES.iter().map(read::document).collect());

/// All documents, in the order of the list.
pub(crate) fn all() -> &'static [Document] {
    &DOCUMENTS
}

/// The document of that name.
pub(crate) fn find(name: &str) -> Option<&'static Document> {
    all().iter().find(|d| d.name == name)
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

/// Where a picture is served that a document calls `pictures/NAME.png`.
fn picture(address: &str) -> Option<String> {
    let name = address.strip_prefix("pictures/")?.strip_suffix(".png")?;
    PICTURES.iter().find(|(n, _)| *n == name).map(|(_, asset)| asset.path())
}
