//! What nodes' answers are read by, without a node: for fuzzing only.

use super::http::{Answer, Endpoint};
use super::{Value, gbt};
use crate::{ChainParams, NodeError, Template};
use bytes::Bytes;
use hyper::StatusCode;

/// What an answer's bytes are to a call with id 1.
fn answer(method: &'static str, status: u16, body: &[u8]) -> Result<(Endpoint, Answer), NodeError> {
    let http = Endpoint::new("http://node.invalid:1", "", "", body.len())?;
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    Ok((http, Answer { method, id: 1, status, body: Bytes::copy_from_slice(body) }))
}

/// The result in an answer.
///
/// # Errors
/// As [`super::RpcNode::call`].
pub fn read_answer(status: u16, body: &[u8]) -> Result<Value, NodeError> {
    let (http, answer) = answer("getblockchaininfo", status, body)?;
    http.read(&answer)
}

/// The template in an answer, by the quick reader.
///
/// # Errors
/// As [`crate::Node::template`].
pub fn read_template(body: &[u8], params: &ChainParams) -> Result<Template, NodeError> {
    let (http, answer) = answer("getblocktemplate", 200, body)?;
    gbt::read(&http, &answer, params)
}
