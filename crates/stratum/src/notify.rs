//! Lines that many miners get alike.

use crate::hexes;
use gruve_chain::Job;
use gruve_units::{Algorithm, Class, JobId};
use std::fmt::Write as _;

/// Characters in a job's name on the wire: sixteen for its number, two for the class.
pub(crate) const WIRE_ID_CHARS: usize = 18;

/// The name a job has for a miner: number and class. Opaque to miners; upper case is another name.
pub(crate) fn wire_id(job: &Job, class: Class) -> [u8; WIRE_ID_CHARS] {
    let mut id = [0; WIRE_ID_CHARS];
    // The lengths are right by the types, so neither fails.
    let _ = hex::encode_to_slice(job.id().0.to_be_bytes(), &mut id[..16]);
    let _ = hex::encode_to_slice([class.k()], &mut id[16..]);
    id
}

/// The job and class that a name stands for, and how often it had been given before. Only the spelling
/// of [`wire_id`] is one, with two digits more where it is given again.
pub(crate) fn read_wire_id(text: &[u8]) -> Option<(JobId, Class, u8)> {
    if text.iter().any(u8::is_ascii_uppercase) {
        return None;
    }
    let (name, again) = text.split_at_checked(WIRE_ID_CHARS)?;
    let again = match again {
        [] => 0,
        digits => hexes::array_of::<1>(digits).map(|[again]| again).filter(|again| *again > 0)?,
    };
    let bytes: [u8; WIRE_ID_CHARS / 2] = hexes::array_of(name)?;
    let (job, class) = bytes.split_first_chunk::<8>()?;
    Some((JobId(u64::from_be_bytes(*job)), Class::new(*class.first()?)?, again))
}

/// `mining.set_extranonce`: for the next job on.
pub(crate) fn set_extranonce(prefix: &[u8], rest: usize) -> String {
    let prefix = hex::encode(prefix);
    format!(
        "{{\"id\":null,\"method\":\"mining.set_extranonce\",\"params\":[\"{prefix}\",{rest}]}}\n"
    )
}

/// `mining.set_version_mask` (BIP 310): at once.
pub(crate) fn set_version_mask(mask: u32) -> String {
    format!("{{\"id\":null,\"method\":\"mining.set_version_mask\",\"params\":[\"{mask:08x}\"]}}\n")
}

#[cfg(test)]
thread_local! {
    /// How often this thread has encoded a job.
    pub(crate) static ENCODED: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
}

/// `mining.notify` of a job at a class.
pub(crate) fn notify(job: &Job, class: Class, clean: bool) -> String {
    #[cfg(test)]
    ENCODED.set(ENCODED.get() + 1);
    let suffix = hex::encode(job.coinbase_suffix(class));
    let prefix = hex::encode(job.coinbase_prefix());
    let mut line =
        String::with_capacity(256 + prefix.len() + suffix.len() + job.branch().len() * 67);
    line.push_str(r#"{"id":null,"method":"mining.notify","params":[""#);
    line.push_str(std::str::from_utf8(&wire_id(job, class)).unwrap_or_default());
    line.push_str("\",\"");
    line.push_str(&hex::encode(hexes::swap_words(job.prev_hash())));
    let _ = write!(line, r#"","{prefix}","{suffix}",["#);
    for (i, sibling) in job.branch().iter().enumerate() {
        let comma = if i == 0 { "" } else { "," };
        let _ = write!(line, r#"{comma}"{}""#, hex::encode(sibling));
    }
    let (version, bits, ntime) = (job.version(), job.bits(), job.ntime());
    let _ = writeln!(line, r#"],"{version:08x}","{bits:08x}","{ntime:08x}",{clean}]}}"#);
    line
}

/// `mining.set_difficulty` of a class.
pub(crate) fn set_difficulty(class: Class, algorithm: Algorithm) -> String {
    // Rust writes the shortest decimals that read back as the same float, without an exponent.
    let d = class.wire_difficulty(algorithm);
    format!("{{\"id\":null,\"method\":\"mining.set_difficulty\",\"params\":[{d}]}}\n")
}
