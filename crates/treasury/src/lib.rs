//! Gruve room: treasury.
