//! One row of an answer, its columns found by name.

use crate::value::{FromValue, Value};
use crate::{Result, StoreError};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The columns of an answer.
#[derive(Debug)]
pub(crate) struct Names {
    all: Box<[String]>,
    /// Where the next one asked for probably is: rows are read one like the other, mostly in order.
    next: AtomicUsize,
}

impl Names {
    pub(crate) fn new(all: impl Iterator<Item = String>) -> Arc<Names> {
        Arc::new(Names { all: all.collect(), next: AtomicUsize::new(0) })
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn find(&self, column: &str) -> Option<usize> {
        let guess = self.next.load(Ordering::Relaxed);
        let at = match self.all.get(guess) {
            Some(name) if name == column => guess,
            _ => self.all.iter().position(|n| n == column)?,
        };
        self.next.store((at + 1) % self.all.len(), Ordering::Relaxed);
        Some(at)
    }
}

/// One row of an answer.
#[derive(Clone, Debug)]
pub struct Row {
    pub(crate) names: Arc<Names>,
    pub(crate) values: Vec<Value>,
}

impl Row {
    /// The value of the column called `column`.
    ///
    /// # Errors
    /// [`StoreError::NoColumn`] when the statement gave no such column, [`StoreError::Misread`] when
    /// it holds something that is not a `T`. Both are fatal: the statement or the data is wrong.
    pub fn get<T: FromValue>(&self, column: &str) -> Result<T> {
        let at = self.names.find(column).and_then(|at| self.values.get(at));
        let value = at.ok_or_else(|| StoreError::NoColumn { column: column.to_owned() })?;
        T::from_ref(value)
            .map_err(|e| StoreError::Misread { column: column.to_owned(), wanted: e.wanted })
    }
}
