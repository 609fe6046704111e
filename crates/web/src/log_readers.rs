//! Who reads the lanes' share logs and how far each is, as the operator is told of it: a log is not trimmed before all have
//! read it, so one who keeps failing has it grow until the disk is full.

use crate::exposition::{Exposition, FamilyKind};
use crate::money::{span_text, time_text};
use crate::words::{t, text};
use gruve_units::{LaneId, Timestamp};

/// Who reads a lane's share log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogReaderKind {
    /// Who closes epochs.
    Accountant,
    /// Who counts what each machine of the inventory proves.
    CountByMachine,
    /// Who signs acceptance roots.
    AcceptanceRoots,
}

impl LogReaderKind {
    /// All of them.
    pub const ALL: [LogReaderKind; 3] =
        [LogReaderKind::Accountant, LogReaderKind::CountByMachine, LogReaderKind::AcceptanceRoots];

    /// The stable word, in metrics and behind the lane in alerts.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            LogReaderKind::Accountant => "accountant",
            LogReaderKind::CountByMachine => "count_by_machine",
            LogReaderKind::AcceptanceRoots => "acceptance_roots",
        }
    }

    /// What it does not do while it does not read, and what to do: the message that it logs says what it fails of.
    fn advice(self) -> &'static str {
        match self {
            LogReaderKind::Accountant => t(
                "Meanwhile no epoch of the lane is closed. What fails stands in the house's log behind “the accountant tries again”; most often the database or the folder of the public record cannot be written. It goes on by itself once that is mended.",
            ),
            LogReaderKind::CountByMachine => t(
                "Meanwhile machines' owners do not see what is proven. What fails stands in the house's log behind “cannot count what machines prove”; most often the database cannot be written. It goes on by itself once that is mended.",
            ),
            LogReaderKind::AcceptanceRoots => t(
                "Meanwhile no root of accepted shares is signed. What fails stands in the house's log behind “no acceptance root was signed”; most often the folder of the public record or the data folder cannot be written. It goes on by itself once that is mended.",
            ),
        }
    }
}

/// How far one of them is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveLogReader {
    /// Whose log.
    pub lane: LaneId,
    /// Who.
    pub who: LogReaderKind,
    /// What of the log stands behind its place.
    pub unread_bytes: u64,
    /// Since when it is behind: what it has not read yet is as old as that. What the accountant leaves unread where all is
    /// well is not counted. `None` where it has read all.
    pub behind_since: Option<Timestamp>,
}

impl LiveLogReader {
    /// What an alert is about: the lane, and who reads.
    pub(crate) fn subject(&self) -> String {
        subject(&self.lane, self.who)
    }

    /// How long it is behind, in whole seconds.
    pub(crate) fn behind_secs(&self, now: Timestamp) -> u64 {
        self.behind_since.map_or(0, |since| now.since(since).as_secs())
    }

    /// How far it is behind and what to do, in the spoken language.
    pub(crate) fn text(&self, now: Timestamp) -> String {
        let Some(since) = self.behind_since else { return String::new() };
        let figures = text!(
            "{mib} MiB of the share log of lane {lane} are unread, the oldest for {behind} (since {time}); the log is not trimmed until they are read, and grows.",
            mib = self.unread_bytes.div_ceil(1 << 20),
            lane = self.lane,
            behind = span_text(now.since(since)),
            time = time_text(since)
        );
        format!("{figures} {}", self.who.advice())
    }
}

/// What an alert of a reader is about.
pub(crate) fn subject(lane: &LaneId, who: LogReaderKind) -> String {
    format!("{lane} {}", who.name())
}

/// How far they are, for whoever reads metrics.
pub(crate) fn write(out: &mut Exposition, readers: &[LiveLogReader], now: Timestamp) {
    let mut family = |name: &str, help: &str, of: &dyn Fn(&LiveLogReader) -> u64| {
        out.family(name, FamilyKind::Gauge, help);
        for reader in readers {
            let labels = [("lane", reader.lane.as_str()), ("reader", reader.who.name())];
            out.sample(name, &labels, of(reader));
        }
    };
    let help = "Bytes of the share log behind the place of who reads it, when last looked.";
    family("gruve_share_log_unread_bytes", help, &|r| r.unread_bytes);
    let help =
        "Age of the oldest of them; what the accountant leaves where all is well is not counted.";
    family("gruve_share_log_unread_seconds", help, &|r| r.behind_secs(now));
}
