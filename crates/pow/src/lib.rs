//! Gruve room: pow.
