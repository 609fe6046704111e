//! Jobs and shares of the history's epochs.

use super::{AUX_BITS, AUX_HEIGHT, HARDER, History};
use crate::observed::ASSETS;
use crate::world::{BITS, job_id, someone};
use gruve_model::{Input, Shares};
use gruve_sharelog::{AuxChainRecord, AuxJobRecord, Owner, Record};
use gruve_units::{Class, EpochNumber};

impl History {
    /// Both jobs of an epoch, each merge-mined or not.
    pub(super) fn open(&mut self, epoch: EpochNumber) {
        for bits in [BITS, HARDER] {
            self.w.job(epoch, bits);
            self.inputs.push(Input::Job(epoch.0, vec![(0, bits)]));
            let merges = self.chance(75);
            self.merged.insert((epoch.0, bits), merges);
            if merges {
                self.inputs.push(Input::Job(epoch.0, vec![(1, AUX_BITS)]));
                self.merge(epoch, bits);
            }
        }
    }

    pub(super) fn merge(&self, epoch: EpochNumber, bits: u32) {
        let chain = AuxChainRecord {
            asset: ASSETS[1],
            chain_id: 98,
            block_hash: [7; 32],
            bits: AUX_BITS,
            height: epoch.0 + AUX_HEIGHT,
            index: 0,
            branch: vec![],
        };
        let record = AuxJobRecord { job: job_id(epoch, bits), epoch, chains: vec![chain] };
        self.w.log.append(&[Record::AuxJob(record)]).unwrap();
    }

    /// Some work of an epoch by house and others, at both targets.
    pub(super) fn mine(&mut self, epoch: EpochNumber) {
        // In lean times contracts fall short, by different epochs.
        let classes = if self.chance(35) { 7 } else { 12 };
        for _ in 0..self.below(4) {
            let owner = match self.below(8) {
                n @ 0..2 => Owner::Account(someone(100 + u8::try_from(n).unwrap())),
                _ => Owner::House,
            };
            let bits = if self.chance(30) { HARDER } else { BITS };
            for _ in 0..self.below(9) {
                let class = u8::try_from(6 + self.below(classes)).unwrap();
                self.share(epoch, owner, bits, class);
            }
        }
    }

    pub(super) fn share(&mut self, epoch: EpochNumber, owner: Owner, bits: u32, class: u8) {
        self.w.work_in(epoch, owner, class, 1, bits);
        let merged = self.merged.get(&(epoch.0, bits)).copied().unwrap_or(false);
        let aux = merged.then_some((1, AUX_BITS, epoch.0 + AUX_HEIGHT));
        self.inputs.push(Input::Shares(Shares {
            epoch: epoch.0,
            owner: match owner {
                Owner::House => None,
                Owner::Account(a) => Some(a.to_bytes()),
            },
            bits: std::iter::once((0, bits, epoch.0)).chain(aux).collect(),
            work: 1 << Class::new(class).unwrap().k(),
        }));
    }
}
