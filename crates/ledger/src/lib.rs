//! Gruve room: ledger.
