//! Gruve room: miner.
