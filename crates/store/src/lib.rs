//! Gruve room: store.
