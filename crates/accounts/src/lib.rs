//! Gruve room: accounts.
