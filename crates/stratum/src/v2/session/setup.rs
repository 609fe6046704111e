//! A connection's beginning, what is not served on it, and where else to go.

use super::{Session, Ways};
use crate::protocol::Step;
use crate::session::CloseReason;
use crate::session::handshake::printable;
use crate::v2::frame::{put, put_header};
use crate::v2::message::{self, Setup};
use common_messages_sv2 as c;
use mining_sv2 as m;
use std::sync::Arc;

/// The only version there is.
const VERSION: u16 = 2;

// Flags of the client's setup, and of our answer.
const REQUIRES_STANDARD_JOBS: u32 = 1;
const REQUIRES_WORK_SELECTION: u32 = 1 << 1;
const REQUIRES_VERSION_ROLLING: u32 = 1 << 2;
const REQUIRES_FIXED_VERSION: u32 = 1;

/// The vendor whose proxy, `translator_sv2` 0.6, panics when it is asked to connect again. It comes back by itself where its
/// configuration lets it.
const FAILS_ON_RECONNECT: &str = "SRI";

/// The bits that BIP 320 leaves to miners.
const BIP320_MASK: u32 = 0x1fff_e000;

/// Those of BIP 323, which V2 names: BIP 320's and eight more.
const BIP323_MASK: u32 = 0x1fff_ffe0;

/// The bits that V2 clients may roll on a lane that allows `lane_mask`. V2 has no words for a mask:
/// clients roll BIP 320's bits or BIP 323's, as they were taught. A lane that does not leave them
/// the former allows none.
pub(super) const fn version_mask(lane_mask: u32) -> u32 {
    if lane_mask & BIP320_MASK == BIP320_MASK { lane_mask | BIP323_MASK } else { 0 }
}

impl Session {
    pub(super) fn setup(&mut self, setup: &Setup, out: &mut Vec<u8>) -> Step {
        let mut unsupported = REQUIRES_WORK_SELECTION;
        if self.version_mask == 0 {
            unsupported |= REQUIRES_VERSION_ROLLING;
        }
        let known = REQUIRES_STANDARD_JOBS | REQUIRES_WORK_SELECTION | REQUIRES_VERSION_ROLLING;
        let unsupported = unsupported | !known;
        // All that is known and not supported, and what else this client asked for.
        let told = unsupported & (known | setup.flags);
        let refusal = if !setup.is_mining {
            Some((0, c::ERROR_CODE_SETUP_CONNECTION_UNSUPPORTED_PROTOCOL))
        } else if !(setup.versions.0..=setup.versions.1).contains(&VERSION) {
            Some((0, c::ERROR_CODE_SETUP_CONNECTION_PROTOCOL_VERSION_MISMATCH))
        } else if setup.flags & unsupported != 0 {
            Some((told, c::ERROR_CODE_SETUP_CONNECTION_UNSUPPORTED_FEATURE_FLAGS))
        } else {
            None
        };
        if let Some((flags, code)) = refusal {
            let Ok(error_code) = code.try_into() else { return Step::Close(CloseReason::Setup) };
            let error = c::SetupConnectionError { flags, error_code };
            put(out, c::MESSAGE_TYPE_SETUP_CONNECTION_ERROR, false, error);
            return Step::Close(CloseReason::Setup);
        }
        self.agent = printable(&setup.device);
        self.ways = Some(Ways {
            standard_only: setup.flags & REQUIRES_STANDARD_JOBS != 0,
            bears_reconnect: setup.vendor != FAILS_ON_RECONNECT,
        });
        let flags = if self.version_mask == 0 { REQUIRES_FIXED_VERSION } else { 0 };
        let success = c::SetupConnectionSuccess { used_version: VERSION, flags };
        put(out, c::MESSAGE_TYPE_SETUP_CONNECTION_SUCCESS, false, success);
        Step::Continue
    }
}

/// Refuses work of the client's own choosing.
pub(super) fn no_custom_work(channel_id: u32, request_id: u32, out: &mut Vec<u8>) {
    let code = m::ERROR_CODE_SET_CUSTOM_MINING_JOB_JD_NOT_SUPPORTED;
    let Ok(error_code) = code.try_into() else { return };
    let error = m::SetCustomMiningJobError { channel_id, request_id, error_code };
    put(
        out,
        m::MESSAGE_TYPE_SET_CUSTOM_MINING_JOB_ERROR,
        m::CHANNEL_BIT_SET_CUSTOM_MINING_JOB_ERROR,
        error,
    );
}

/// Says that there is none of the extensions wanted, and none required.
pub(super) fn no_extensions(request_id: [u8; 2], wanted: &[u8], out: &mut Vec<u8>) {
    let count = u16::try_from(wanted.len() / 2).unwrap_or(u16::MAX);
    put_header(
        out,
        message::EXTENSION_NEGOTIATION,
        message::REQUEST_EXTENSIONS_ERROR,
        6 + wanted.len(),
    );
    out.extend_from_slice(&request_id);
    out.extend_from_slice(&count.to_le_bytes());
    out.extend_from_slice(wanted);
    out.extend_from_slice(&0u16.to_le_bytes());
}

/// Asks the client to connect again: to where the operator published this port, or to where it is (no host, port 0).
pub(super) fn reconnect(to: Option<&(Arc<str>, u16)>, out: &mut Vec<u8>) {
    let (host, new_port) = to.map_or(("", 0), |(host, port)| (host.as_ref(), *port));
    let Ok(new_host) = host.try_into() else { return };
    let message = c::Reconnect { new_host, new_port };
    put(out, c::MESSAGE_TYPE_RECONNECT, c::CHANNEL_BIT_RECONNECT, message);
}
