//! Gruve room: market.
