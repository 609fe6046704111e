//! Gruve room: farm.
