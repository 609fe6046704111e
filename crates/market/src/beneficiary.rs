//! Who work and rewards are for.

use gruve_proof::summary::AllocationLeaf;
use gruve_units::{AccountId, ContractId};

/// Who a part of the work or of a reward is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Beneficiary {
    /// The operator: the house's surplus, and work already paid otherwise.
    Operator,
    /// A contract.
    Contract(ContractId),
    /// An account for its own machines, hosted or outside.
    Account(AccountId),
    /// The part of a reward that an underfilled window leaves over.
    WindowReserve,
    /// What truncation leaves over.
    Remainder,
    /// The operator's FPPS reserve: it stands in the window for the work that it pays.
    FppsReserve,
    /// A contract for what FPPS pays it, out of that reserve. Never in a window.
    Fpps(ContractId),
}

impl Beneficiary {
    /// As two columns: kind, and the id's 16 bytes (zeros where there is none).
    #[must_use]
    pub const fn columns(self) -> (i64, [u8; 16]) {
        match self {
            Beneficiary::Operator => (0, [0; 16]),
            Beneficiary::Contract(c) => (1, c.to_bytes()),
            Beneficiary::Account(a) => (2, a.to_bytes()),
            Beneficiary::WindowReserve => (3, [0; 16]),
            Beneficiary::Remainder => (4, [0; 16]),
            Beneficiary::FppsReserve => (5, [0; 16]),
            Beneficiary::Fpps(c) => (6, c.to_bytes()),
        }
    }

    /// From two columns; `None` for an unknown kind, and for an id where there is none.
    #[must_use]
    pub fn from_columns(kind: i64, id: [u8; 16]) -> Option<Beneficiary> {
        if matches!(kind, 0 | 3 | 4 | 5) && id != [0; 16] {
            return None;
        }
        Some(match kind {
            0 => Beneficiary::Operator,
            1 => Beneficiary::Contract(ContractId::from_bytes(id)),
            2 => Beneficiary::Account(AccountId::from_bytes(id)),
            3 => Beneficiary::WindowReserve,
            4 => Beneficiary::Remainder,
            5 => Beneficiary::FppsReserve,
            6 => Beneficiary::Fpps(ContractId::from_bytes(id)),
            _ => return None,
        })
    }

    /// A word for it in the ledger's reasons.
    #[must_use]
    pub fn key(self) -> String {
        match self {
            Beneficiary::Operator => "operator".to_owned(),
            Beneficiary::Contract(c) => format!("contract/{c}"),
            Beneficiary::Account(a) => format!("account/{a}"),
            Beneficiary::WindowReserve => "window-reserve".to_owned(),
            Beneficiary::Remainder => "remainder".to_owned(),
            Beneficiary::FppsReserve => "fpps-reserve".to_owned(),
            Beneficiary::Fpps(c) => format!("fpps/{c}"),
        }
    }

    /// Its leaf in the allocation tree; only whoever may have work has one.
    #[must_use]
    pub const fn leaf(self) -> Option<AllocationLeaf> {
        match self {
            Beneficiary::Operator => Some(AllocationLeaf::Surplus),
            Beneficiary::Contract(c) => Some(AllocationLeaf::Contract(c)),
            Beneficiary::Account(a) => Some(AllocationLeaf::Account(a)),
            Beneficiary::WindowReserve
            | Beneficiary::Remainder
            | Beneficiary::FppsReserve
            | Beneficiary::Fpps(_) => None,
        }
    }
}
