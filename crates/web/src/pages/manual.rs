//! The documents of the house: what is sold, how it is checked, how programs ask.

use crate::failure::Failure;
use crate::layout::page;
use crate::manual::{Document, Readers, all, find};
use crate::routes::{Access, Routes};
use crate::visitor::Visitor;
use crate::words::{spoken, t};
use axum::extract::Path;
use maud::{Markup, html};

/// The pages.
pub(crate) fn routes(routes: Routes) -> Routes {
    routes.get("/docs", Access::Public, contents).get("/docs/{name}", Access::Public, document)
}

/// What a document is about, in the visitor's language, also where it itself is not.
fn about(name: &str) -> (&str, &str) {
    match name {
        "customers" => {
            (t("For customers"), t("What you buy, how it earns, what it costs, what can go wrong."))
        }
        "contracts" => (
            t("A contract's life"),
            t("From the quote to the end: pauses, renewals, choices, refunds."),
        ),
        "schemes" => (t("Earning schemes"), t("PPLNS, FPPS and solo: who is paid what, and when.")),
        "hosting" => (
            t("Hosted machines"),
            t("Machines of your own in the operator's site: bills, proofs, handing on."),
        ),
        "security" => (
            t("Accounts and security"),
            t("What protects an account, and what is erased when it is closed."),
        ),
        "proofs" => (
            t("Proofs, and checking them"),
            t("How work is proven, what the public record holds, how to verify it."),
        ),
        "record-format" => (t("The public record"), t("Every file of it, byte by byte.")),
        "statements" => {
            (t("Terms and statements"), t("Recompute every line of a contract from two files."))
        }
        "funds" => (
            t("What is owed, and what is there"),
            t("The statement of funds, and how to check your part of it."),
        ),
        "appraise" => {
            (t("Appraise an offer"), t("Any offer of hashpower against a coin's real past."))
        }
        "api" => (t("HTTP API"), t("Everything that the pages do, for programs.")),
        "webhooks" => (t("Webhooks"), t("Messages to a program of yours, signed.")),
        "stratum" => (t("Stratum"), t("How machines connect and what their shares count.")),
        other => (other, ""),
    }
}

/// `GET /docs`
pub(crate) async fn contents(visitor: Visitor) -> Markup {
    let content = html! {
        div.lead {
            h1 { (t("Documents")) }
            p { (t("What this house's software does and how to check it: the same for every operator.")) }
        }
        div.columns {
            (list(t("For customers and owners"), "for-customers", Readers::Customers))
            (list(t("For whoever checks"), "for-verifiers", Readers::Verifiers))
            (list(t("For programs and machines"), "for-programs", Readers::Programs))
        }
    };
    page(&visitor, t("Documents"), false, &content)
}

fn list(heading: &str, id: &str, readers: Readers) -> Markup {
    html! {
        section.sheet aria-labelledby=(id) {
            header { h2 id=(id) { (heading) } }
            dl.documents {
                @for document in all(spoken().code).filter(|d| d.readers == readers) {
                    @let (title, about) = about(document.name);
                    dt { a href={ "/docs/" (document.name) } { (title) } }
                    dd { (about) @if document.language != spoken().code { " " (t("In English.")) } }
                }
            }
        }
    }
}

/// `GET /docs/{name}`
pub(crate) async fn document(
    visitor: Visitor,
    Path(name): Path<String>,
) -> Result<Markup, Failure> {
    let document = find(&name, spoken().code).ok_or_else(|| Failure::not_found("document"))?;
    let content = html! {
        div.lead {
            p.crumbs { a href="/docs" { (t("Documents")) } }
            h1 lang=(document.language) { (document.title) }
            @if document.language != spoken().code { p { (t("This document is in English.")) } }
        }
        div.reading {
            (parts(document))
            article.sheet.document lang=(document.language) { (document.body) }
        }
    };
    Ok(page(&visitor, &document.title, false, &content))
}

/// What is on the page: folded above it, and where there is room open beside it; one of the two is shown.
fn parts(document: &Document) -> Markup {
    let list = html! {
        ul lang=(document.language) {
            @for (id, said) in &document.parts { li { a href={ "#" (id) } { (said) } } }
        }
    };
    html! {
        nav.sheet.parts.folded aria-label=(t("On this page")) {
            details { summary { (t("On this page")) } (list) }
        }
        nav.parts.beside aria-label=(t("On this page")) { (list) }
    }
}
