//! What an operation takes and gives, said by the types of its handler.
//!
//! Each argument of a handler says what of the request it reads ([`Takes`]), its result what may be answered
//! ([`Gives`]). A handler with a type that says neither cannot be put into the list of the API.

use super::shape::{Member, Members, Shape, Shapes, list_of, nullable};
use crate::client::Client;
use crate::extract::{Customer, Id, Json, Large, LastEvent, Params, SiteAgent, Staff, Unread};
use crate::failure::Failure;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::marker::PhantomData;

/// What is known of an operation.
#[derive(Debug, Default)]
pub(crate) struct Operation {
    /// The id in the path.
    pub(crate) id: Option<Value>,
    /// Of the query.
    pub(crate) query: Vec<Member>,
    /// The body that is read: its type and schema.
    pub(crate) body: Option<Value>,
    /// What is answered when it succeeds: contents by type.
    pub(crate) answers: BTreeMap<u16, BTreeMap<&'static str, Value>>,
    /// Headers read beside those of all.
    pub(crate) headers: Vec<&'static str>,
}

/// An argument of a handler.
pub(crate) trait Takes {
    /// Says what it reads.
    fn tell(_: &mut Operation, _: &mut Shapes) {}
}

impl<S> Takes for State<S> {}
impl Takes for Customer {}
impl Takes for Staff {}
impl Takes for SiteAgent {}
impl Takes for Client {}
impl Takes for HeaderMap {}

impl Takes for LastEvent {
    fn tell(op: &mut Operation, _: &mut Shapes) {
        op.headers.push("Last-Event-ID");
    }
}

impl Takes for Unread {
    fn tell(op: &mut Operation, _: &mut Shapes) {
        op.body = Some(json!({ "type": "object" }));
    }
}

impl<T: Shape> Takes for Id<T> {
    fn tell(op: &mut Operation, shapes: &mut Shapes) {
        op.id = Some(T::shape(shapes));
    }
}

impl<T: Members> Takes for Params<T> {
    fn tell(op: &mut Operation, shapes: &mut Shapes) {
        op.query.extend(T::members(shapes));
    }
}

impl<T: Shape> Takes for Json<T> {
    fn tell(op: &mut Operation, shapes: &mut Shapes) {
        op.body = Some(T::shape(shapes));
    }
}

impl<T: Shape> Takes for Large<T> {
    fn tell(op: &mut Operation, shapes: &mut Shapes) {
        op.body = Some(T::shape(shapes));
    }
}

/// What a handler answers with.
pub(crate) trait Gives {
    /// Says what it may be.
    fn tell(op: &mut Operation, shapes: &mut Shapes);
}

impl<T: Gives> Gives for Result<T, Failure> {
    fn tell(op: &mut Operation, shapes: &mut Shapes) {
        T::tell(op, shapes);
    }
}

const JSON: &str = "application/json";

/// JSON under a status.
#[derive(Clone, Debug)]
pub(crate) struct Answer<const STATUS: u16, T>(pub(crate) T);

/// What was asked for.
pub(crate) type Fine<T> = Answer<200, T>;
/// What was made.
pub(crate) type Made<T> = Answer<201, T>;

impl<const STATUS: u16, T: Serialize> IntoResponse for Answer<STATUS, T> {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(STATUS).unwrap_or(StatusCode::OK);
        (status, axum::Json(self.0)).into_response()
    }
}

impl<const STATUS: u16, T: Shape> Gives for Answer<STATUS, T> {
    fn tell(op: &mut Operation, shapes: &mut Shapes) {
        op.answers.insert(STATUS, BTreeMap::from([(JSON, T::shape(shapes))]));
    }
}

/// It is done, and there is nothing to say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Done;

impl IntoResponse for Done {
    fn into_response(self) -> Response {
        StatusCode::NO_CONTENT.into_response()
    }
}

impl Gives for Done {
    fn tell(op: &mut Operation, _: &mut Shapes) {
        op.answers.insert(204, BTreeMap::new());
    }
}

/// The forms in which a paper is given out.
pub(crate) trait Paper {
    /// Its contents by type.
    fn forms(shapes: &mut Shapes) -> BTreeMap<&'static str, Value>;
}

/// A paper: its form is its own, and described where it is.
#[derive(Debug)]
pub(crate) struct Sheet<P>(Response, PhantomData<P>);

impl<P> Sheet<P> {
    pub(crate) fn new(response: impl IntoResponse) -> Self {
        Sheet(response.into_response(), PhantomData)
    }
}

impl<P> IntoResponse for Sheet<P> {
    fn into_response(self) -> Response {
        self.0
    }
}

impl<P: Paper> Gives for Sheet<P> {
    fn tell(op: &mut Operation, shapes: &mut Shapes) {
        op.answers.insert(200, P::forms(shapes));
    }
}

/// A page of a list.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct List<T> {
    /// The rows.
    pub(crate) items: Vec<T>,
    /// Where the next page begins.
    pub(crate) next: Option<String>,
}

impl<T> List<T> {
    /// A list that is always given whole.
    pub(crate) fn whole(items: impl IntoIterator<Item = T>) -> Fine<List<T>> {
        Answer(List { items: items.into_iter().collect(), next: None })
    }
}

impl<T: Shape> Shape for List<T> {
    fn shape(shapes: &mut Shapes) -> Value {
        let mut next = nullable(json!({ "type": "string" }));
        next["description"] =
            json!("Sent as `after` it gives the next page; null where there is no more.");
        json!({
            "type": "object",
            "properties": { "items": list_of(&T::shape(shapes)), "next": next },
            "required": ["items", "next"],
        })
    }
}

/// A handler that says what it takes and gives. `A` are its arguments.
pub(crate) trait Described<A> {
    /// What it takes and gives.
    fn operation(shapes: &mut Shapes) -> Operation;
}

macro_rules! described {
    ($($arg:ident),*) => {
        impl<F, Out, R, $($arg),*> Described<($($arg,)*)> for F
        where
            F: Fn($($arg),*) -> Out,
            Out: Future<Output = R>,
            R: Gives,
            $($arg: Takes,)*
        {
            fn operation(shapes: &mut Shapes) -> Operation {
                let mut op = Operation::default();
                $(<$arg as Takes>::tell(&mut op, shapes);)*
                R::tell(&mut op, shapes);
                op
            }
        }
    };
}

described!();
described!(A1);
described!(A1, A2);
described!(A1, A2, A3);
described!(A1, A2, A3, A4);
described!(A1, A2, A3, A4, A5);
