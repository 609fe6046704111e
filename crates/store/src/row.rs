//! One row of an answer, its columns found by name.

use crate::value::{FromValue, Value};
use crate::{Result, StoreError};
use std::sync::Arc;

/// One row of an answer.
#[derive(Clone, Debug)]
pub struct Row {
    pub(crate) names: Arc<[String]>,
    pub(crate) values: Vec<Value>,
}

impl Row {
    /// The value of the column called `column`.
    ///
    /// # Errors
    /// [`StoreError::NoColumn`] when the statement gave no such column, [`StoreError::Misread`] when
    /// it holds something that is not a `T`. Both are fatal: the statement or the data is wrong.
    pub fn get<T: FromValue>(&self, column: &str) -> Result<T> {
        let at = self
            .names
            .iter()
            .position(|n| n == column)
            .ok_or_else(|| StoreError::NoColumn { column: column.to_owned() })?;
        let value = self.values.get(at).cloned().unwrap_or(Value::TooLarge("a missing value"));
        T::from_value(value)
            .map_err(|e| StoreError::Misread { column: column.to_owned(), wanted: e.wanted })
    }
}
