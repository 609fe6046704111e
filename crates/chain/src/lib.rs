//! Gruve room: chain.
