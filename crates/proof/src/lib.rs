//! Gruve room: proof.
