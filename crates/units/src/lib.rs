//! The words of the house as types: amounts, work, hashrates, targets, ids and time.
//!
//! Everything here is pure and integer. Nothing in this room does I/O, except that
//! [`SystemClock`] reads the time and [`SystemEntropy`] asks the operating system for
//! random bytes; both stand behind traits so that the rest of the house takes them as
//! parameters and tests can hand in their own.
//!
//! What this room must not know: chains, protocols, databases.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod amount;
mod arith;
mod blame;
mod clock;
mod entropy;
mod epoch;
mod hashrate;
mod histogram;
mod ids;
mod steady;
mod target;
mod work;

pub use amount::{Accrual, Amount, AmountError, Asset, Bps};
pub use arith::{DivError, mul_div_floor};
pub use blame::{Blame, Blamed};
pub use clock::{Clock, Duration, ManualClock, SystemClock, Timestamp};
pub use entropy::{Entropy, SeededEntropy, SystemEntropy};
pub use epoch::{EpochNumber, EpochRule};
pub use hashrate::Hashrate;
pub use histogram::{Histogram, HistogramCounts, TIME_BOUNDS_NS};
pub use ids::{
    AccountId, BankEntryId, ContractId, IdError, InvoiceId, JobId, LaneId, MachineId, PaymentId,
    PayoutId, QuoteId, SiteId,
};
pub use steady::{CLOCK_SLACK, ManualMonotonic, Monotonic, SteadyClock, SystemMonotonic};
pub use target::{Algorithm, Class, Target};
pub use work::{Hashes, HashesSum};
