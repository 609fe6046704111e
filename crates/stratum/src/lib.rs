//! Gruve room: stratum.
