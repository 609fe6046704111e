//! Gruve room: web.
