//! Reading the answer to `getblocktemplate`: up to ten megabytes, most of it hexadecimal.

use super::http::{Answer, Endpoint};
use crate::template::Offer;
use crate::{ChainParams, NodeError, Template};
use serde::Deserialize;
use serde_json::Value;

/// An answer that is a template.
#[derive(Deserialize)]
struct Offered<'a> {
    #[serde(borrow)]
    result: Offer<'a>,
    error: Option<Value>,
    id: u64,
}

/// The template in an answer. Whatever is not plainly a template is read once more, slowly, by what
/// reads every answer: it finds the words for what is wrong.
pub(super) fn read(
    http: &Endpoint,
    answer: &Answer,
    params: &ChainParams,
) -> Result<Template, NodeError> {
    match serde_json::from_slice::<Offered<'_>>(&answer.body) {
        Ok(offered) if offered.error.is_none() && offered.id == answer.id => {
            Ok(Template::from_offer(&offered.result, params)?)
        }
        _ => Ok(Template::from_gbt(&http.read(answer)?, params)?),
    }
}
