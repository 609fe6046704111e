//! Channels: opened after their login was looked up, and told what their clients wish.

use super::{Session, Ways};
use crate::limits;
use crate::machines::Refused;
use crate::protocol::{Admitted, Step};
use crate::session::CloseReason;
use crate::session::handshake::is_login;
use crate::v2::channel::{Channel, Kind, Unacknowledged, class_of_rate, class_within};
use crate::v2::frame::put;
use crate::v2::message::Open;
use crate::vardiff::Vardiff;
use binary_sv2::{B032, U256};
use gruve_units::{Class, Target, Timestamp};
use mining_sv2 as m;

/// What an extended channel rolls: as much as V1's miners do.
const EXTRANONCE_BYTES: u16 = 8;

/// A channel whose login is being looked up.
#[derive(Debug)]
pub(super) struct Asking {
    request_id: u32,
    user: String,
    kind: Kind,
    floor: Class,
    hashrate: f32,
}

impl Session {
    pub(super) fn open(&mut self, open: &Open, ways: Ways, out: &mut Vec<u8>) -> Step {
        let kind = if open.min_extranonce.is_some() { Kind::Extended } else { Kind::Standard };
        let needed = open.min_extranonce.unwrap_or(0);
        let floor = class_within(open.max_target).filter(|c| *c <= self.hardest());
        let login = open.identity.as_deref().and_then(login);
        let refusal = if kind == Kind::Extended && ways.standard_only {
            m::ERROR_CODE_OPEN_MINING_CHANNEL_EXTENDED_CHANNELS_NOT_SUPPORTED_FOR_STANDARD_JOBS
        } else if needed > EXTRANONCE_BYTES {
            m::ERROR_CODE_OPEN_MINING_CHANNEL_MIN_EXTRANONCE_SIZE_TOO_LARGE
        } else if !(open.hashrate.is_finite() && open.hashrate >= 0.0) {
            m::ERROR_CODE_OPEN_MINING_CHANNEL_INVALID_NOMINAL_HASHRATE
        } else if floor.is_none() {
            m::ERROR_CODE_OPEN_MINING_CHANNEL_MAX_TARGET_OUT_OF_RANGE
        } else if self.channels.len() >= limits::V2_CHANNELS_MAX {
            m::ERROR_CODE_OPEN_MINING_CHANNEL_CHANNEL_CAPACITY_EXHAUSTED
        } else if login.is_none() {
            m::ERROR_CODE_OPEN_MINING_CHANNEL_INVALID_USER_IDENTITY
        } else {
            ""
        };
        let (Some(floor), Some((user, password)), "") = (floor, login, refusal) else {
            return self.refuse(open.request_id, refusal, out);
        };
        self.asking = Some(Asking {
            request_id: open.request_id,
            user: user.clone(),
            kind,
            floor,
            hashrate: open.hashrate,
        });
        Step::Authorize { user, password }
    }

    /// Refuses a channel; closes on who goes on guessing. Who has more machines than there is room for
    /// guesses nothing, and the channels that he has go on.
    fn refuse(&mut self, request_id: u32, code: &str, out: &mut Vec<u8>) -> Step {
        put_open_error(request_id, code, out);
        if code == m::ERROR_CODE_OPEN_MINING_CHANNEL_CHANNEL_CAPACITY_EXHAUSTED {
            return Step::Continue;
        }
        self.refused_logins += 1;
        if self.refused_logins > limits::LOGINS_REFUSED_MAX {
            return Step::Close(CloseReason::Logins);
        }
        Step::Continue
    }

    /// The login was looked up.
    pub(super) fn opened(
        &mut self,
        outcome: &Result<Admitted, Refused>,
        now: Timestamp,
        out: &mut Vec<u8>,
    ) {
        let (Some(asking), Some(ways)) = (self.asking.take(), self.ways) else { return };
        let admitted = match outcome {
            Ok(admitted) => admitted,
            Err(Refused(_)) => {
                let code = m::ERROR_CODE_OPEN_MINING_CHANNEL_UNKNOWN_USER;
                // Who has had too many refused is closed at the next one.
                let _ = self.refuse(asking.request_id, code, out);
                return;
            }
        };
        let Some(place) = self.rules.channels.take(admitted.who.owner) else {
            let code = m::ERROR_CODE_OPEN_MINING_CHANNEL_CHANNEL_CAPACITY_EXHAUSTED;
            put_open_error(asking.request_id, code, out);
            return;
        };
        let class = admitted
            .class
            .or(class_of_rate(asking.hashrate, self.rules.share_interval.as_secs_f64()))
            .unwrap_or(self.rules.start_class);
        let hardest = self.hardest();
        let floor = asking.floor.max(self.rules.class_range.0).min(hardest);
        let range = (floor, hardest);
        let vardiff = Vardiff::new(range, class, self.rules.share_interval, now);
        let class = vardiff.class();
        let id = self.next_id();
        let channel = Channel {
            id,
            kind: asking.kind,
            who: admitted.who,
            prefix: self.next_prefix(id),
            floor,
            vardiff,
            noted: None,
            trusted: admitted.class == Some(class),
            wanted: class,
            told: class,
            tip: None,
            given: Vec::new(),
            accepted: 0,
            unacknowledged: Unacknowledged::default(),
            _place: place,
        };
        let group = if ways.standard_only { 0 } else { self.group(class) };
        success(&channel, asking.request_id, group, out);
        self.channels.push(channel);
        self.first.get_or_insert((admitted.who, asking.user));
        self.give(now, out);
    }

    /// The number of a class's group.
    pub(super) fn group(&mut self, class: Class) -> u32 {
        if let Some(group) = self.groups.get(&class) {
            return *group;
        }
        let group = self.next_id();
        self.groups.insert(class, group);
        group
    }

    /// What a client has to say about a channel later: its rate, and the easiest target it wants.
    pub(super) fn update(
        &mut self,
        id: u32,
        hashrate: f32,
        max_target: Target,
        now: Timestamp,
        out: &mut Vec<u8>,
    ) {
        let hardest = self.hardest();
        let refusal = match (self.channel(id), class_within(max_target)) {
            (None, _) => m::ERROR_CODE_UPDATE_CHANNEL_INVALID_CHANNEL_ID,
            _ if !(hashrate.is_finite() && hashrate >= 0.0) => {
                m::ERROR_CODE_UPDATE_CHANNEL_INVALID_NOMINAL_HASHRATE
            }
            (Some(i), Some(floor)) if floor <= hardest => {
                let easiest = self.rules.class_range.0;
                let interval = self.rules.share_interval.as_secs_f64();
                if let Some(channel) = self.channels.get_mut(i) {
                    channel.floor = floor.max(easiest).min(hardest);
                    // After the first share the control knows better.
                    if let Some(class) =
                        class_of_rate(hashrate, interval).filter(|_| channel.accepted == 0)
                    {
                        channel.wanted = class;
                    }
                    channel.set_range(hardest);
                }
                self.give(now, out);
                return;
            }
            _ => m::ERROR_CODE_UPDATE_CHANNEL_MAX_TARGET_OUT_OF_RANGE,
        };
        let Ok(error_code) = refusal.try_into() else { return };
        put(
            out,
            m::MESSAGE_TYPE_UPDATE_CHANNEL_ERROR,
            m::CHANNEL_BIT_UPDATE_CHANNEL_ERROR,
            m::UpdateChannelError { channel_id: id, error_code },
        );
    }
}

fn success(channel: &Channel, request_id: u32, group_channel_id: u32, out: &mut Vec<u8>) {
    let target = target_bytes(channel.told);
    match channel.kind {
        Kind::Standard => {
            let extranonce = Channel::standard_extranonce(channel.prefix);
            let Ok(extranonce_prefix) = B032::new(&extranonce) else { return };
            put(
                out,
                m::MESSAGE_TYPE_OPEN_STANDARD_MINING_CHANNEL_SUCCESS,
                m::CHANNEL_BIT_OPEN_STANDARD_MINING_CHANNEL_SUCCESS,
                m::OpenStandardMiningChannelSuccess {
                    request_id,
                    channel_id: channel.id,
                    target: U256::from(&target),
                    extranonce_prefix,
                    group_channel_id,
                },
            );
        }
        Kind::Extended => {
            let Ok(extranonce_prefix) = B032::new(&channel.prefix) else { return };
            put(
                out,
                m::MESSAGE_TYPE_OPEN_EXTENDED_MINING_CHANNEL_SUCCESS,
                m::CHANNEL_BIT_OPEN_EXTENDED_MINING_CHANNEL_SUCCESS,
                m::OpenExtendedMiningChannelSuccess {
                    request_id,
                    channel_id: channel.id,
                    target: U256::from(&target),
                    extranonce_size: EXTRANONCE_BYTES,
                    extranonce_prefix,
                    group_channel_id,
                },
            );
        }
    }
}

/// Says why a channel is not opened.
fn put_open_error(request_id: u32, code: &str, out: &mut Vec<u8>) {
    let Ok(error_code) = code.try_into() else { return };
    let error = m::OpenMiningChannelError { request_id, error_code };
    put(
        out,
        m::MESSAGE_TYPE_OPEN_MINING_CHANNEL_ERROR,
        m::CHANNEL_BIT_OPEN_MINING_CHANNEL_ERROR,
        error,
    );
}

/// A class's target as V2 writes it.
pub(super) fn target_bytes(class: Class) -> [u8; 32] {
    let mut bytes = class.target().to_be_bytes();
    bytes.reverse();
    bytes
}

/// The login in a user identity, and the password: `account.machine`, `account:password.machine`.
/// The account's part ends at the first dot, because proxies replace what comes after it or append
/// to it; what `translator_sv2` appends to a machine's name, it is not part of.
fn login(identity: &str) -> Option<(String, String)> {
    let (account, machine) = match identity.split_once('.') {
        Some((account, machine)) => (account, Some(without_number(machine))),
        None => (identity, None),
    };
    let (account, password) = account.split_once(':').unwrap_or((account, ""));
    let user = machine.map_or_else(|| account.to_owned(), |m| format!("{account}.{m}"));
    let fits = !account.is_empty() && password.len() <= limits::PASSWORD_BYTES_MAX;
    (fits && is_login(&user)).then(|| (user, password.to_owned()))
}

/// `rack1` of `rack1.miner12`: the proxy numbers its miners anew each time they connect, so that
/// the numbers name no machine.
fn without_number(machine: &str) -> &str {
    match machine.rsplit_once(".miner") {
        Some((name, number))
            if !name.is_empty()
                && !number.is_empty()
                && number.bytes().all(|b| b.is_ascii_digit()) =>
        {
            name
        }
        _ => machine,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_stands_before_the_first_dot_where_proxies_leave_it() {
        let parts = |identity| login(identity).unwrap();
        let are = |user: &str, password: &str| (user.to_owned(), password.to_owned());
        assert_eq!(parts("alice"), are("alice", ""));
        assert_eq!(parts("alice.rig"), are("alice.rig", ""));
        // As `translator_sv2` makes them, one channel a miner and one channel for all.
        assert_eq!(parts("alice.miner12"), are("alice.miner12", ""));
        assert_eq!(parts("alice.rig.miner12"), are("alice.rig", ""));
        assert_eq!(parts("alice.rig.miner"), are("alice.rig.miner", ""));
        assert_eq!(parts("alice.rig.minerals"), are("alice.rig.minerals", ""));
        assert_eq!(parts("alice.translator-proxy"), are("alice.translator-proxy", ""));
        assert_eq!(parts("house:s3cr:et.rack1.miner1"), are("house.rack1", "s3cr:et"));
    }

    #[test]
    fn identities_that_are_no_logins_are_refused() {
        let long = "a".repeat(limits::USER_BYTES_MAX + 1);
        for identity in ["", ".", ":x", ".rig", "a/b", "a..b", "a\\b", "a\n", &long] {
            assert_eq!(login(identity), None, "{identity:?}");
        }
    }
}
