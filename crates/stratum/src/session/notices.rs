//! What we say and ask unasked: messages, farewells, pings, and what a miner without a name is.
//!
//! | we say | when |
//! |---|---|
//! | `client.show_message` | the operator speaks; we are about to close for a reason a person can mend |
//! | `client.reconnect` | a restart cannot keep the connection; never to another place than its own |
//! | `client.get_version` | once, after the first job, to a miner that did not say what it is |
//! | `mining.ping` | half the silence that would close the connection has passed |
//!
//! None of it before a subscription, and none between a request and its reply. Firmware that does not
//! know one of them passes over it.

use super::request::Answer;
use super::{CloseReason, Session};
use crate::protocol::Notice;
use crate::session::handshake::printable;
use gruve_units::Timestamp;
use std::io::Write as _;

/// The numbers of our own requests, beyond those that firmware gives to its handshake.
const VERSION_ID: u32 = 1001;
const PING_ID: u32 = 1002;

/// What a person at the machine reads before we close.
fn parting(reason: CloseReason) -> Option<&'static str> {
    match reason {
        CloseReason::Logins => Some("closed: too many refused logins; check the worker's name"),
        CloseReason::BadShares => Some("closed: half of the last 500 shares were bad"),
        CloseReason::Idle => Some("closed: nothing was heard for too long"),
        CloseReason::Handshake => Some("closed: no login in time"),
        // Nobody reads it.
        CloseReason::Http
        | CloseReason::BadLines
        | CloseReason::LongLine
        | CloseReason::SlowReader => None,
        CloseReason::Setup | CloseReason::Fault => None,
    }
}

impl Session {
    /// Says why we close, where somebody may read it.
    pub(super) fn part(&self, reason: CloseReason, out: &mut Vec<u8>) {
        if let Some(words) = parting(reason).filter(|_| self.subscribed) {
            show(words, out);
        }
    }

    /// Says what there is to say unasked.
    pub(super) fn notice(&self, notice: &Notice, out: &mut Vec<u8>) {
        match notice {
            _ if !self.subscribed => {}
            Notice::Message(text) => show(text, out),
            Notice::ComeBack { to: Some((host, port)), after_secs } => {
                let host = serde_json::to_string(host.as_ref()).unwrap_or_default();
                line(out, "client.reconnect", format_args!("[{host},{port},{after_secs}]"));
            }
            // Back to wherever it was: no place of ours could be as right.
            Notice::ComeBack { to: None, .. } => {
                line(out, "client.reconnect", format_args!("[]"));
            }
        }
    }

    /// Asks a miner that has work and no name what it is.
    pub(super) fn ask_version(&mut self, out: &mut Vec<u8>) {
        if self.told.is_some() && self.agent.is_empty() && !self.asked_version {
            self.asked_version = true;
            ask(out, VERSION_ID, "client.get_version");
        }
    }

    /// Asks a silent miner whether it is still there. Half of what may pass in silence has passed.
    pub(super) fn ping(&mut self, now: Timestamp, out: &mut Vec<u8>) {
        let is_due = now.since(self.last_line_at) > self.rules.idle_max / 2;
        if is_due && !self.pinged && self.told.is_some() {
            self.pinged = true;
            ask(out, PING_ID, "mining.ping");
        }
    }

    /// An answer to one of our requests; any other is passed over.
    pub(super) fn answered(&mut self, answer: &Answer<'_>) {
        if answer.id == VERSION_ID.to_string()
            && self.asked_version
            && self.agent.is_empty()
            && let Some(name) = answer.text()
        {
            self.call(&printable(&name));
        }
    }
}

fn ask(out: &mut Vec<u8>, id: u32, method: &str) {
    // Writing to a Vec cannot fail.
    let _ = writeln!(out, r#"{{"id":{id},"method":"{method}","params":[]}}"#);
}

fn line(out: &mut Vec<u8>, method: &str, params: std::fmt::Arguments<'_>) {
    let _ = writeln!(out, r#"{{"id":null,"method":"{method}","params":{params}}}"#);
}

fn show(text: &str, out: &mut Vec<u8>) {
    let text = serde_json::to_string(text).unwrap_or_default();
    line(out, "client.show_message", format_args!("[{text}]"));
}
