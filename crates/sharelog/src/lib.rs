//! Gruve room: sharelog.
