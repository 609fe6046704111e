//! Shares that miners were told are accepted, looked for in the share logs.

use gruve_miner::AcceptedShare;
use gruve_sharelog::{Position, Record, ShareLog};
use gruve_units::{EpochNumber, JobId};
use serde::Serialize;
use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

/// How the shares that miners were told are accepted stand in the epochs.
#[derive(Debug, Default, Serialize)]
pub(super) struct AcceptedReport {
    pub(super) lines: u64,
    pub(super) in_exactly_one_epoch: u64,
    pub(super) waiting_for_their_epoch: u64,
    pub(super) missing: u64,
    pub(super) repeated: u64,
}

/// A share by what makes it one.
#[derive(PartialEq, Eq, Hash)]
enum Key {
    /// Job, extranonce, time, nonce, version.
    Built(u64, Vec<u8>, u32, u32, u32),
    /// Of the Ethash family: the header's hash, under however many numbers it was given, and the nonce.
    Ethash([u8; 32], u64),
}

/// How often each share stands in closed and in open epochs, by the logs.
#[derive(Default)]
pub(super) struct Counted {
    shares: HashMap<Key, (u32, u32)>,
    /// The headers of Ethash works.
    headers: HashMap<JobId, [u8; 32]>,
}

impl Counted {
    /// Counts a lane's shares.
    pub(super) fn read(
        &mut self,
        log: &ShareLog,
        closed: Option<EpochNumber>,
    ) -> Result<(), String> {
        let mut reader = log.reader(Position::START);
        while let Some((_, record)) = reader.next().map_err(|e| e.to_string())? {
            let s = match record {
                Record::Share(share) => share,
                Record::EthWork(work) => {
                    self.headers.insert(work.job, work.header_hash);
                    continue;
                }
                _ => continue,
            };
            let nonce = s.extranonce.as_slice().try_into().map(u64::from_be_bytes);
            let key = match (self.headers.get(&s.job), nonce) {
                (Some(header), Ok(nonce)) => Key::Ethash(*header, nonce),
                _ => {
                    let extranonce = s.extranonce.as_slice().to_vec();
                    Key::Built(s.job.0, extranonce, s.ntime, s.nonce, s.version)
                }
            };
            let count = self.shares.entry(key).or_default();
            if closed.is_some_and(|last| s.epoch <= last) {
                count.0 += 1;
            } else {
                count.1 += 1;
            }
        }
        Ok(())
    }

    /// How the lines of miners' files stand in what was counted.
    pub(super) fn check(&self, files: &[PathBuf]) -> Result<AcceptedReport, String> {
        let mut report = AcceptedReport::default();
        for file in files {
            let said = |e: &dyn std::fmt::Display| format!("{}: {e}", file.display());
            let lines = BufReader::new(open(file)?).lines();
            for line in lines {
                let line = line.map_err(|e| said(&e))?;
                let share: AcceptedShare = serde_json::from_str(&line).map_err(|e| said(&e))?;
                let key = self.key_of(&share).ok_or_else(|| said(&"a line is not a share"))?;
                report.lines += 1;
                match self.shares.get(&key).copied().unwrap_or_default() {
                    (1, 0) => report.in_exactly_one_epoch += 1,
                    (0, 1) => report.waiting_for_their_epoch += 1,
                    (0, 0) => report.missing += 1,
                    _ => report.repeated += 1,
                }
            }
        }
        Ok(report)
    }

    fn key_of(&self, share: &AcceptedShare) -> Option<Key> {
        let job = u64::from_str_radix(share.job_id.get(..16)?, 16).ok()?;
        if share.ntime.is_empty() {
            let nonce = u64::from_str_radix(&share.nonce, 16).ok()?;
            // A work that is in no log had no share counted either.
            let header = self.headers.get(&JobId(job)).copied().unwrap_or_default();
            return Some(Key::Ethash(header, nonce));
        }
        let number = |text: &str| u32::from_str_radix(text, 16).ok();
        let extranonce = hex::decode(format!("{}{}", share.extranonce1, share.extranonce2)).ok()?;
        let (time, nonce) = (number(&share.ntime)?, number(&share.nonce)?);
        Some(Key::Built(job, extranonce, time, nonce, number(&share.version)?))
    }
}

fn open(file: &Path) -> Result<std::fs::File, String> {
    std::fs::File::open(file).map_err(|e| format!("{}: {e}", file.display()))
}
