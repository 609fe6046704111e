//! What is compared.

use std::fmt;
use std::str::FromStr;

/// One figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// Answers a second with so many clients, each with so many submits in flight.
    Submit {
        /// Connections.
        clients: usize,
        /// Submits without an answer on each.
        in_flight: usize,
    },
    /// The 99th percentile from submit to answer at half of what the slower of the two can do.
    HalfLoad {
        /// Connections.
        clients: usize,
    },
    /// From a new block to the job at the first client.
    First {
        /// Connections.
        clients: usize,
    },
    /// From a new block to the job at the last client.
    Broadcast {
        /// Connections.
        clients: usize,
    },
    /// Resident memory a client that mines.
    Memory {
        /// Connections.
        clients: usize,
    },
}

impl Column {
    /// The columns of the published comparison.
    #[must_use]
    pub fn all() -> Vec<Column> {
        vec![
            Column::Submit { clients: 100, in_flight: 1 },
            Column::Submit { clients: 1_000, in_flight: 1 },
            Column::Submit { clients: 5_000, in_flight: 1 },
            Column::Submit { clients: 100, in_flight: 16 },
            Column::First { clients: 5_000 },
            Column::Broadcast { clients: 5_000 },
            Column::Memory { clients: 5_000 },
            Column::HalfLoad { clients: 1_000 },
        ]
    }

    /// The unit of its values.
    #[must_use]
    pub const fn unit(self) -> &'static str {
        match self {
            Column::Submit { .. } => "answers/s",
            Column::HalfLoad { .. } | Column::First { .. } | Column::Broadcast { .. } => "µs",
            Column::Memory { .. } => "bytes",
        }
    }

    /// A value with its unit.
    #[must_use]
    pub fn show(self, value: f64) -> String {
        format!("{value:.0} {}", self.unit())
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Column::Submit { clients, in_flight } => write!(f, "submit-{clients}x{in_flight}"),
            Column::HalfLoad { clients } => write!(f, "p99-half-{clients}"),
            Column::First { clients } => write!(f, "first-{clients}"),
            Column::Broadcast { clients } => write!(f, "job-{clients}"),
            Column::Memory { clients } => write!(f, "memory-{clients}"),
        }
    }
}

impl FromStr for Column {
    type Err = String;

    fn from_str(text: &str) -> Result<Column, String> {
        let number = |n: &str| n.parse::<usize>().ok().filter(|n| (1..=1_000_000).contains(n));
        let parsed = if let Some(rest) = text.strip_prefix("submit-") {
            rest.split_once('x').and_then(|(clients, in_flight)| {
                let (clients, in_flight) = (number(clients)?, number(in_flight)?);
                Some(Column::Submit { clients, in_flight })
            })
        } else if let Some(rest) = text.strip_prefix("p99-half-") {
            number(rest).map(|clients| Column::HalfLoad { clients })
        } else if let Some(rest) = text.strip_prefix("first-") {
            number(rest).map(|clients| Column::First { clients })
        } else if let Some(rest) = text.strip_prefix("job-") {
            number(rest).map(|clients| Column::Broadcast { clients })
        } else if let Some(rest) = text.strip_prefix("memory-") {
            number(rest).map(|clients| Column::Memory { clients })
        } else {
            None
        };
        parsed.ok_or_else(|| {
            format!("no column {text:?}: submit-100x16, p99-half-1000, first-5000, job-5000 or memory-5000")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_reads_as_it_is_written() {
        for column in Column::all() {
            assert_eq!(column.to_string().parse(), Ok(column));
        }
        for bad in ["", "submit-", "submit-0x1", "submit-5", "job-x", "first-", "latency-5"] {
            assert!(bad.parse::<Column>().is_err(), "{bad}");
        }
    }
}
