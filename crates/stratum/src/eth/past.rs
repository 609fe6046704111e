//! What a lane's log says of earlier lives: the first epoch, and which nonces of which headers were
//! counted. One pass over the log, in bounded memory.

use super::claims::Claims;
use crate::limits::{ETH_HEADERS_REMEMBERED, ETH_WORKS_MAX};
use gruve_sharelog::{LogError, Position, Record, ShareLog};
use gruve_units::{EpochNumber, JobId};
use std::collections::{HashMap, HashSet, VecDeque};

/// Header hashes given, the newest [`ETH_HEADERS_REMEMBERED`].
#[derive(Debug, Default)]
pub(super) struct Headers {
    order: VecDeque<[u8; 32]>,
    all: HashSet<[u8; 32]>,
}

impl Headers {
    pub(super) fn has(&self, header: &[u8; 32]) -> bool {
        self.all.contains(header)
    }

    pub(super) fn note(&mut self, header: [u8; 32]) {
        if !self.all.insert(header) {
            return;
        }
        self.order.push_back(header);
        if self.order.len() > ETH_HEADERS_REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.all.remove(&oldest);
        }
    }
}

/// What earlier lives have left.
#[derive(Debug, Default)]
pub(super) struct Past {
    /// The first epoch that the log may hold shares of.
    pub(super) first_epoch: Option<EpochNumber>,
    pub(super) headers: Headers,
    /// Nonces counted of the last [`ETH_WORKS_MAX`] headers, oldest first.
    counted: VecDeque<([u8; 32], HashSet<u64>)>,
}

impl Past {
    pub(super) fn read(log: &ShareLog) -> Result<Past, LogError> {
        let mut past = Past::default();
        let mut jobs: HashMap<JobId, [u8; 32]> = HashMap::new();
        let mut reader = log.reader(Position::START);
        while let Some((_, record)) = reader.next()? {
            let epoch = match record {
                Record::EthWork(work) => {
                    jobs.insert(work.job, work.header_hash);
                    past.given(work.header_hash);
                    jobs.retain(|_, header| past.counted.iter().any(|(h, _)| h == header));
                    work.epoch
                }
                Record::Share(share) => {
                    let nonce = share.extranonce.as_slice().try_into().map(u64::from_be_bytes);
                    if let (Some(header), Ok(nonce)) = (jobs.get(&share.job), nonce)
                        && let Some((_, nonces)) =
                            past.counted.iter_mut().rev().find(|(h, _)| h == header)
                    {
                        nonces.insert(nonce);
                    }
                    share.epoch
                }
                Record::Job(job) => job.epoch,
                Record::Seal { epoch, .. } => epoch.next(),
                Record::AuxJob(_)
                | Record::Block(_)
                | Record::AuxBlock(_)
                | Record::BlockOutcome { .. } => continue,
            };
            past.first_epoch.get_or_insert(epoch);
        }
        Ok(past)
    }

    fn given(&mut self, header: [u8; 32]) {
        self.headers.note(header);
        if self.counted.iter().any(|(h, _)| *h == header) {
            return;
        }
        self.counted.push_back((header, HashSet::new()));
        if self.counted.len() > ETH_WORKS_MAX {
            self.counted.pop_front();
        }
    }

    /// Whether it is known what earlier lives counted of a header.
    pub(super) fn has_counted(&self, header: &[u8; 32]) -> bool {
        self.counted.iter().any(|(h, _)| h == header)
    }

    /// What they counted of it.
    pub(super) fn claims_of(&self, header: &[u8; 32]) -> Claims {
        let nonces = self.counted.iter().find(|(h, _)| h == header).map(|(_, n)| n.clone());
        Claims::of(nonces.unwrap_or_default())
    }

    /// The header is given in this life, with its claims.
    pub(super) fn forget(&mut self, header: &[u8; 32]) {
        self.counted.retain(|(h, _)| h != header);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_headers_are_remembered_as_the_limit_says() {
        let mut headers = Headers::default();
        let header = |n: usize| {
            let mut h = [0; 32];
            h[..8].copy_from_slice(&n.to_be_bytes());
            h
        };
        for n in 0..=ETH_HEADERS_REMEMBERED {
            headers.note(header(n));
            headers.note(header(n));
        }
        assert!(!headers.has(&header(0)) && headers.has(&header(1)));
        assert_eq!(
            (headers.order.len(), headers.all.len()),
            (ETH_HEADERS_REMEMBERED, ETH_HEADERS_REMEMBERED)
        );
    }
}
