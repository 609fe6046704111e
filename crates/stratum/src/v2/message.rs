//! What a client says, decoded.

use super::frame::Frame;
use binary_sv2::{Decodable, Str0255, from_bytes};
use common_messages_sv2::{MESSAGE_TYPE_SETUP_CONNECTION, SetupConnection};
use gruve_units::Target;
use mining_sv2 as m;

/// The extension by which a client asks which others there are.
pub(crate) const EXTENSION_NEGOTIATION: u16 = 1;

/// The type of that question within its extension, and of the answer *no*.
const REQUEST_EXTENSIONS: u8 = 0;
pub(crate) const REQUEST_EXTENSIONS_ERROR: u8 = 2;

/// A connection's beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setup {
    /// Whether it is the mining protocol that is wanted.
    pub(crate) is_mining: bool,
    pub(crate) versions: (u16, u16),
    pub(crate) flags: u32,
    /// Whose the client is, as it says.
    pub(crate) vendor: String,
    /// Vendor, hardware, firmware, as they call themselves.
    pub(crate) device: String,
}

/// A channel wanted.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Open {
    pub(crate) request_id: u32,
    pub(crate) identity: Option<String>,
    pub(crate) hashrate: f32,
    pub(crate) max_target: Target,
    /// Of an extended channel: how many bytes of extranonce it needs at least.
    pub(crate) min_extranonce: Option<u16>,
}

/// A share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Submit {
    pub(crate) channel: u32,
    pub(crate) sequence: u32,
    pub(crate) job: u32,
    pub(crate) nonce: u32,
    pub(crate) ntime: u32,
    pub(crate) version: u32,
    /// The rolled part, if it came on the form of extended channels: its bytes, if they are eight.
    pub(crate) extranonce: Option<Option<[u8; 8]>>,
}

/// A message that means something to us.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Message {
    Setup(Setup),
    Open(Open),
    Update {
        channel: u32,
        hashrate: f32,
        max_target: Target,
    },
    Close {
        channel: u32,
    },
    Submit(Submit),
    /// Work of the client's own choosing, which was refused when the connection was set up.
    Custom {
        channel: u32,
        request_id: u32,
    },
    /// A question for extensions, none of which is here.
    Extensions {
        request_id: [u8; 2],
        wanted: Vec<u8>,
    },
    /// Of an extension that is not here, or only sent by servers.
    Unknown,
}

/// Decodes a frame; `None` when the payload is not what its type says. Bytes after the message are
/// passed over: extensions append theirs there.
pub(crate) fn decode(frame: &Frame<'_>) -> Option<Message> {
    if frame.extension == EXTENSION_NEGOTIATION && frame.kind == REQUEST_EXTENSIONS {
        return extensions(frame.payload);
    }
    if frame.extension != 0 {
        return Some(Message::Unknown);
    }
    let bytes = &mut frame.payload.to_vec()[..];
    Some(match frame.kind {
        MESSAGE_TYPE_SETUP_CONNECTION => return setup(bytes),
        m::MESSAGE_TYPE_OPEN_STANDARD_MINING_CHANNEL => {
            let open: m::OpenStandardMiningChannel<'_> = read(bytes)?;
            Message::Open(Open {
                request_id: open.request_id,
                identity: text(&open.user_identity),
                hashrate: open.nominal_hash_rate,
                max_target: target(open.max_target.to_array()),
                min_extranonce: None,
            })
        }
        m::MESSAGE_TYPE_OPEN_EXTENDED_MINING_CHANNEL => {
            let open: m::OpenExtendedMiningChannel<'_> = read(bytes)?;
            Message::Open(Open {
                request_id: open.request_id,
                identity: text(&open.user_identity),
                hashrate: open.nominal_hash_rate,
                min_extranonce: Some(open.min_extranonce_size),
                max_target: target(open.max_target.to_array()),
            })
        }
        m::MESSAGE_TYPE_UPDATE_CHANNEL => {
            let update: m::UpdateChannel<'_> = read(bytes)?;
            Message::Update {
                channel: update.channel_id,
                hashrate: update.nominal_hash_rate,
                max_target: target(update.maximum_target.to_array()),
            }
        }
        m::MESSAGE_TYPE_CLOSE_CHANNEL => {
            let close: m::CloseChannel<'_> = read(bytes)?;
            Message::Close { channel: close.channel_id }
        }
        m::MESSAGE_TYPE_SUBMIT_SHARES_STANDARD => {
            let share: m::SubmitSharesStandard = read(bytes)?;
            Message::Submit(Submit {
                channel: share.channel_id,
                sequence: share.sequence_number,
                job: share.job_id,
                nonce: share.nonce,
                ntime: share.ntime,
                version: share.version,
                extranonce: None,
            })
        }
        m::MESSAGE_TYPE_SUBMIT_SHARES_EXTENDED => {
            let share: m::SubmitSharesExtended<'_> = read(bytes)?;
            Message::Submit(Submit {
                channel: share.channel_id,
                sequence: share.sequence_number,
                job: share.job_id,
                nonce: share.nonce,
                ntime: share.ntime,
                version: share.version,
                extranonce: Some(share.extranonce.as_bytes().try_into().ok()),
            })
        }
        m::MESSAGE_TYPE_SET_CUSTOM_MINING_JOB => {
            let job: m::SetCustomMiningJob<'_> = read(bytes)?;
            Message::Custom { channel: job.channel_id, request_id: job.request_id }
        }
        _ => Message::Unknown,
    })
}

fn read<'a, T: Decodable<'a>>(bytes: &'a mut [u8]) -> Option<T> {
    from_bytes(bytes).ok()
}

fn setup(bytes: &mut [u8]) -> Option<Message> {
    // The crate's type knows three protocols and refuses all others; a refusal has to be sent.
    let is_mining = *bytes.first()? == common_messages_sv2::SV2_MINING_PROTOCOL_DISCRIMINANT;
    *bytes.first_mut()? = common_messages_sv2::SV2_MINING_PROTOCOL_DISCRIMINANT;
    let setup: SetupConnection<'_> = read(bytes)?;
    let parts = [&setup.vendor, &setup.hardware_version, &setup.firmware];
    let parts: Vec<_> = parts.into_iter().filter_map(text).filter(|t| !t.is_empty()).collect();
    Some(Message::Setup(Setup {
        is_mining,
        versions: (setup.min_version, setup.max_version),
        flags: setup.flags,
        vendor: text(&setup.vendor).unwrap_or_default(),
        device: parts.join(" "),
    }))
}

fn extensions(payload: &[u8]) -> Option<Message> {
    let (request_id, rest) = payload.split_first_chunk::<2>()?;
    let (count, rest) = rest.split_first_chunk::<2>()?;
    let wanted = rest.get(..2 * usize::from(u16::from_le_bytes(*count)))?;
    Some(Message::Extensions { request_id: *request_id, wanted: wanted.to_vec() })
}

fn text(bytes: &Str0255<'_>) -> Option<String> {
    std::str::from_utf8(bytes.as_bytes()).ok().map(str::to_owned)
}

fn target(little_endian: [u8; 32]) -> Target {
    let mut bytes = little_endian;
    bytes.reverse();
    Target::from_be_bytes(bytes)
}
