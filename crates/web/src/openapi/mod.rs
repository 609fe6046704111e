//! The `OpenAPI` document of the API, made from the list of its routes and the types of their handlers.
//!
//! It is checked in as `docs/openapi.json` and given out at `/api/v1/openapi.json`; a test holds both
//! against each other.

mod document;
mod operation;
mod shape;

pub(crate) use document::served;
pub use document::{document, document_text};
pub(crate) use operation::{
    Answer, Described, Done, Fine, Gives, List, Made, Operation, Paper, Sheet,
};
pub(crate) use shape::{
    Digits, Hash32, Member, Members, Shape, Shapes, answers, object, papers, requests, words_of,
};
