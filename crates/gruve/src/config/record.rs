//! `[record]`: the public record of closed epochs.

use super::Fault;
use gruve_proof::witness::{WITNESSES_MAX, WitnessKey};
use serde::Deserialize;
use std::path::PathBuf;

/// Shares of an epoch that are opened at the most if nothing else is said: some 16 MB of record, and an error of a tenth of a
/// percent. A record holds eight times as many; without a bound a busy lane's epochs would be unproven one day.
pub const SHARES_MAX: u64 = 1_000_000;

/// `[record]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RecordConfig {
    /// Folder of the public files; `record` in the data folder if not given.
    pub folder: Option<PathBuf>,
    /// Public key (64 hex digits) that may appoint another operator key when that one is lost or stolen. It stands in
    /// the log's first entry and so cannot be changed later.
    pub recovery_key: Option<String>,
    /// The effective number of shares that an epoch is to have at least: the highest class is capped for it. 0 caps nothing.
    pub shares_min: u64,
    /// About how many shares of an epoch are opened at the most, by a threshold fixed two epochs before; what is not opened
    /// is stood for by what is. 0 opens all; [`SHARES_MAX`] if not given, and on lanes whose headers hold the stamp as many
    /// as are hashed again in some seconds.
    pub shares_max: Option<u64>,
    /// Says that files of the public folder may be lost for good: the house goes on without them.
    pub lost_files: bool,
    /// Where a copy goes.
    pub mirror: Option<MirrorConfig>,
    /// Who is asked to sign each head of the log beside the operator.
    pub witness: Vec<WitnessConfig>,
    /// Certificate authorities (PEM) by which witnesses are known; the system's if not given.
    pub witness_authorities_file: Option<PathBuf>,
}

/// `[[record.witness]]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WitnessConfig {
    /// The witness's key, `name+hash+base64`.
    pub key: String,
    /// Where it is asked: its submission prefix, `https://…` or `http://…`.
    pub url: String,
}

impl WitnessConfig {
    fn fault(&self) -> Option<String> {
        let key = WitnessKey::parse(&self.key).err().map(|e| e.to_string());
        let is_address = self.url.starts_with("http://") || self.url.starts_with("https://");
        let is_address =
            is_address && self.url.parse::<hyper::Uri>().is_ok_and(|u| u.host().is_some());
        key.or_else(|| (!is_address).then(|| "url is http://… or https://…".to_owned()))
    }
}

/// `[record.mirror]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MirrorConfig {
    /// `file:///FOLDER` or `s3://BUCKET/PREFIX`.
    pub url: String,
    /// The service's address, if it is not Amazon's own.
    pub endpoint: Option<String>,
    /// Its region; `us-east-1` if not given.
    pub region: Option<String>,
    /// A file with the access key and, on the next line, its secret.
    pub keys_file: Option<PathBuf>,
    /// Certificate authorities (PEM) by which the service is known; the system's if not given.
    pub authorities_file: Option<PathBuf>,
}

impl MirrorConfig {
    /// Access key and secret.
    ///
    /// # Errors
    /// In words, when the file has no two lines.
    pub fn keys(&self) -> Result<(String, String), String> {
        let file = self.keys_file.as_ref().ok_or("keys_file is needed for a bucket")?;
        let text = std::fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
        let mut lines = text.lines().map(str::trim);
        match (lines.next(), lines.next()) {
            (Some(key), Some(secret)) if !key.is_empty() && !secret.is_empty() => {
                Ok((key.to_owned(), secret.to_owned()))
            }
            _ => Err(format!(
                "{}: the access key on one line, its secret on the next",
                file.display()
            )),
        }
    }

    fn fault(&self) -> Option<&'static str> {
        let is_known = self.url.starts_with("file:///") || self.url.starts_with("s3://");
        match () {
            () if !is_known => Some("write file:///FOLDER or s3://BUCKET/PREFIX"),
            () if self.url.starts_with("s3://") && self.keys_file.is_none() => {
                Some("a bucket needs keys_file")
            }
            () => None,
        }
    }
}

impl RecordConfig {
    /// The recovery key's bytes, zeros when there is none.
    #[must_use]
    pub fn recovery_key(&self) -> [u8; 32] {
        let mut key = [0; 32];
        if let Some(text) = &self.recovery_key {
            // The check has refused what is not of this form.
            let _ = hex::decode_to_slice(text, &mut key);
        }
        key
    }

    /// About how many shares of an epoch of a lane are opened at the most, 0 for all (of headers: for the usual few).
    #[must_use]
    pub fn opened_at_most(&self, of_headers: bool) -> u64 {
        let usual = if of_headers { 0 } else { SHARES_MAX.max(self.shares_min) };
        self.shares_max.unwrap_or(usual)
    }

    pub(super) fn faults(&self) -> Vec<Fault> {
        let is_key = |text: &String| hex::decode(text).is_ok_and(|k| k.len() == 32);
        let mut all = Vec::new();
        if self.recovery_key.as_ref().is_some_and(|text| !is_key(text)) {
            let what = "write the 64 hex digits of an Ed25519 public key, or leave it out";
            all.push(Fault { place: "record.recovery_key".into(), what: what.into() });
        }
        if self.shares_max.is_some_and(|most| most > 0 && most < self.shares_min) {
            let what = "fewer shares are opened than an epoch is to have".to_owned();
            all.push(Fault { place: "record.shares_max".into(), what });
        }
        for (n, what) in (1..).zip(self.witness.iter().map(WitnessConfig::fault)) {
            all.extend(what.map(|what| Fault { place: format!("record.witness {n}"), what }));
        }
        if self.witness.len() > WITNESSES_MAX {
            let what = format!("at most {WITNESSES_MAX}: more lines do not fit under a head");
            all.push(Fault { place: "record.witness".into(), what });
        }
        if let Some(what) = self.mirror.as_ref().and_then(MirrorConfig::fault) {
            all.push(Fault { place: "record.mirror".into(), what: what.into() });
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_witness_has_a_key_and_an_address() {
        let key = WitnessKey::new("w.example", [7; 32]).unwrap().to_string();
        let of = |key: &str, url: &str| {
            let witness = vec![WitnessConfig { key: key.into(), url: url.into() }];
            RecordConfig { witness, ..RecordConfig::default() }.faults().len()
        };
        assert_eq!(of(&key, "https://w.example/gruve"), 0);
        assert_eq!(
            (of(&key, "w.example"), of("w.example", "http://w"), of(&key, "http://")),
            (1, 1, 1)
        );
    }

    #[test]
    fn a_recovery_key_is_32_bytes_of_hex() {
        let of = |text: &str| RecordConfig {
            recovery_key: Some(text.into()),
            ..RecordConfig::default()
        };
        assert!(of(&"ab".repeat(32)).faults().is_empty());
        assert_eq!(of(&"ab".repeat(32)).recovery_key(), [0xab; 32]);
        assert_eq!(of("ab").faults().len(), 1);
        assert!(RecordConfig::default().faults().is_empty());
    }

    #[test]
    fn a_mirror_is_a_folder_or_a_bucket_with_keys() {
        let of = |url: &str| {
            let mirror = Some(MirrorConfig { url: url.into(), ..MirrorConfig::default() });
            RecordConfig { mirror, ..RecordConfig::default() }.faults().len()
        };
        assert_eq!(
            (of("file:///srv/record"), of("s3://bucket/a"), of("ftp://x"), of("")),
            (0, 1, 1, 1)
        );
    }

    #[test]
    fn a_busy_lane_does_not_publish_without_bound_unless_it_is_told_to() {
        let of = |shares_min, shares_max| RecordConfig {
            shares_min,
            shares_max,
            ..RecordConfig::default()
        };
        assert_eq!(of(0, None).opened_at_most(false), SHARES_MAX);
        assert_eq!(
            of(2_000_000, None).opened_at_most(false),
            2_000_000,
            "not below what is wanted"
        );
        assert_eq!(of(0, Some(0)).opened_at_most(false), 0);
        assert_eq!(of(0, Some(9)).opened_at_most(false), 9);
        assert_eq!(of(0, None).opened_at_most(true), 0, "headers are hashed slowly");
        assert_eq!(of(0, Some(9)).opened_at_most(true), 9);
    }
}
