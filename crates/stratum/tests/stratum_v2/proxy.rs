//! A proxy that speaks V2 and mines for itself.

use crate::client::*;
use channels_sv2::client::extended::ExtendedChannel;
use channels_sv2::client::group::GroupChannel;
use channels_sv2::extranonce_manager::ExtranoncePrefix;
use gruve_pow::sha256d;
use mining_sv2 as m;
use std::collections::BTreeMap;

/// A proxy's view of its upstream connection, kept by the reference crate: it fails on a job that
/// begins before the tip, on an activation of a job that it does not have, and on groups of
/// unequal extranonces.
#[derive(Default)]
pub(crate) struct Proxy {
    pub(crate) channels: BTreeMap<u32, ExtendedChannel>,
    pub(crate) groups: BTreeMap<u32, GroupChannel>,
    sequence: u32,
}

impl Proxy {
    pub(crate) fn hear(&mut self, heard: &[Heard]) {
        for one in heard {
            match one {
                Heard::Extended(open) => self.opened(open),
                Heard::Group(id, members) => {
                    let mut group = GroupChannel::new(*id);
                    for member in members {
                        self.groups.values_mut().for_each(|g| g.remove_channel_id(*member));
                        let size = self.channels[member].get_full_extranonce_size();
                        group.add_channel_id(*member, size).unwrap();
                    }
                    self.groups.insert(*id, group);
                }
                Heard::ExtendedJob(job) => {
                    assert!(job.version_rolling_allowed);
                    for id in self.addressed(job.channel_id) {
                        let channel = self.channels.get_mut(&id).unwrap();
                        channel.on_new_extended_mining_job(job.clone()).unwrap();
                    }
                    if let Some(group) = self.groups.get_mut(&job.channel_id) {
                        group.on_new_extended_mining_job(job.clone());
                    }
                }
                Heard::PrevHash(tip) => {
                    for id in self.addressed(tip.channel_id) {
                        let channel = self.channels.get_mut(&id).unwrap();
                        channel.on_set_new_prev_hash(tip.clone()).unwrap();
                    }
                    if let Some(group) = self.groups.get_mut(&tip.channel_id) {
                        group.on_set_new_prev_hash(tip.clone()).unwrap();
                    }
                }
                Heard::Target(target) => {
                    let bytes = target.maximum_target.to_array();
                    let channel = self.channels.get_mut(&target.channel_id).unwrap();
                    channel.set_target(bitcoin::Target::from_le_bytes(bytes)).unwrap();
                }
                Heard::Prefix(prefix) => {
                    panic!("the prefix of extended channel {} changed", prefix.channel_id)
                }
                _ => {}
            }
        }
    }

    fn opened(&mut self, open: &m::OpenExtendedMiningChannelSuccessOwned) {
        let prefix = ExtranoncePrefix::from_wire(open.extranonce_prefix.to_owned_bytes()).unwrap();
        let target = bitcoin::Target::from_le_bytes(open.target.to_array());
        let (id, size) = (open.channel_id, open.extranonce_size);
        let channel =
            ExtendedChannel::new(id, "x".to_owned(), prefix, target, 1.0, true, size, None)
                .unwrap();
        let full = channel.get_full_extranonce_size();
        assert!(
            !self.groups.contains_key(&id) && !self.channels.contains_key(&open.group_channel_id)
        );
        assert!(self.channels.insert(id, channel).is_none());
        let group = open.group_channel_id;
        let group = self.groups.entry(group).or_insert_with(|| GroupChannel::new(group));
        group.add_channel_id(id, full).unwrap();
    }

    fn addressed(&self, id: u32) -> Vec<u32> {
        match self.groups.get(&id) {
            Some(group) => group.get_channel_ids().copied().collect(),
            None => vec![id],
        }
    }

    /// The target that the client holds a job to, as a class.
    pub(crate) fn class(&self, id: u32) -> u8 {
        let target = self.channels[&id].get_active_job().unwrap().target.to_le_bytes();
        (0..=100).find(|k| target_bytes(*k) == target).expect("the target of a class")
    }

    /// The job at hand, with its target.
    pub(crate) fn active(&self, id: u32) -> Work {
        let channel = &self.channels[&id];
        let job = channel.get_active_job().unwrap();
        let tip = channel.get_chain_tip().unwrap();
        Work {
            channel: id,
            job: job.job_message.job_id,
            version: job.job_message.version,
            ntime: *job.job_message.min_ntime.as_ref().unwrap(),
            bits: tip.nbits(),
            prev_hash: tip.prev_hash().to_array(),
            prefix: [job.job_message.coinbase_tx_prefix.as_bytes(), &job.extranonce_prefix]
                .concat(),
            suffix: job.job_message.coinbase_tx_suffix.as_bytes().to_vec(),
        }
    }

    /// Shares at the job's class from nonce `from` on, submitted; the client must think them good.
    pub(crate) fn mine(&mut self, id: u32, count: usize, from: u32) -> (Vec<u8>, u32) {
        let (work, class) = (self.active(id), class(self.class(id)));
        let mut input = Vec::new();
        let mut nonce = from;
        for _ in 0..count {
            nonce = work.find(class, nonce);
            let (bytes, share) = work.submit(self.sequence, nonce);
            let channel = self.channels.get_mut(&id).unwrap();
            channel.validate_share(share).unwrap();
            input.extend(bytes);
            self.sequence += 1;
            nonce += 1;
        }
        (input, nonce)
    }
}

/// What a share is made of.
#[derive(Clone)]
pub(crate) struct Work {
    pub(crate) channel: u32,
    pub(crate) job: u32,
    pub(crate) version: u32,
    pub(crate) ntime: u32,
    pub(crate) bits: u32,
    pub(crate) prev_hash: [u8; 32],
    pub(crate) prefix: Vec<u8>,
    pub(crate) suffix: Vec<u8>,
}

pub(crate) const ROLLED: [u8; 8] = [0, 0, 0, 0, 0, 0, 0, 9];

impl Work {
    pub(crate) fn header(&self, nonce: u32) -> Vec<u8> {
        let root = sha256d(&[&self.prefix[..], &ROLLED, &self.suffix].concat());
        [
            &self.version.to_le_bytes()[..],
            &self.prev_hash,
            &root,
            &self.ntime.to_le_bytes(),
            &self.bits.to_le_bytes(),
            &nonce.to_le_bytes(),
        ]
        .concat()
    }

    pub(crate) fn find(&self, class: gruve_units::Class, from: u32) -> u32 {
        (from..).find(|n| class.target().is_met_by(&sha256d(&self.header(*n)))).unwrap()
    }

    pub(crate) fn submit(
        &self,
        sequence_number: u32,
        nonce: u32,
    ) -> (Vec<u8>, m::SubmitSharesExtendedOwned) {
        let share = m::SubmitSharesExtendedOwned {
            channel_id: self.channel,
            sequence_number,
            job_id: self.job,
            nonce,
            ntime: self.ntime,
            version: self.version,
            extranonce: ROLLED.to_vec().try_into().unwrap(),
        };
        (frame(m::MESSAGE_TYPE_SUBMIT_SHARES_EXTENDED, true, share.clone()), share)
    }
}
