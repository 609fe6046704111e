//! Text as the operator's configuration.
//!
//! What must hold: no panic; what is refused is refused with a place and words.

use gruve::config::Config;
use std::path::Path;

/// See the module.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Config::parse(text, Path::new("/gruve")) {
        Ok(config) => {
            assert!(config.house.data.is_absolute());
            assert!(!config.database_url().is_empty());
        }
        Err(faults) => {
            assert!(!faults.is_empty(), "refused for no reason");
            for fault in faults {
                assert!(!fault.to_string().trim().is_empty());
            }
        }
    }
}
