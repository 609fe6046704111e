//! The operator's messages to miners: put into a folder by `gruve admin say`, shown by the house that
//! runs.
//!
//! | file | by | holds |
//! |---|---|---|
//! | `NAME.say` | the command | a [`Message`] as JSON |
//! | `NAME.said` | the house | to how many machines it was sent |
//!
//! A file that is no message is thrown away. Nothing is kept: who is not connected does not hear it.

use super::answers::Gateways;
use gruve_units::LaneId;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::watch;

/// Where messages lie, within the lane's folder.
pub const FOLDER: &str = "messages";

/// What a message's file is called at its end, and its answer's.
pub const SAY: &str = "say";
/// See [`SAY`].
pub const SAID: &str = "said";

/// How often the folder is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// Messages taken at one look: more wait for the next.
const AT_ONCE: usize = 16;

/// The longest file read: a message of 200 characters, however escaped.
const FILE_BYTES_MAX: u64 = 4096;

/// What is said, and to whom.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// The login whose machines are meant; all if none.
    pub to: Option<String>,
    /// What they show.
    pub text: String,
}

/// Passes messages on until the house stops.
pub(super) async fn pass_on(
    lane: LaneId,
    folder: PathBuf,
    gateways: Gateways,
    mut stopped: watch::Receiver<bool>,
) -> Result<(), String> {
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = stopped.wait_for(|s| *s) => return Ok(()),
        }
        let (lane, folder, gateways) = (lane.clone(), folder.clone(), gateways.clone());
        // Only a panic or the runtime's end keeps it from ending.
        let _ = tokio::task::spawn_blocking(move || look(&lane, &folder, &gateways)).await;
    }
}

/// Without a folder there is no message.
fn look(lane: &LaneId, folder: &Path, gateways: &Gateways) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let paths = entries.flatten().map(|e| e.path());
    for path in paths.filter(|p| p.extension().is_some_and(|e| e == SAY)).take(AT_ONCE) {
        let message = read(&path);
        if let Err(error) = std::fs::remove_file(&path) {
            // It would be said again and again.
            tracing::warn!(%lane, %error, path = %path.display(), "a message cannot be taken");
            continue;
        }
        let Some(Message { to, text }) = message else {
            tracing::warn!(%lane, path = %path.display(), "this is no message");
            continue;
        };
        let count = gateways.tell(lane, to.as_deref(), &text);
        tracing::info!(%lane, to, text, count, "said to miners");
        if let Err(error) = std::fs::write(path.with_extension(SAID), count.to_string()) {
            tracing::warn!(%lane, %error, "cannot answer who sent the message");
        }
    }
}

fn read(path: &Path) -> Option<Message> {
    let length = std::fs::metadata(path).ok()?.len();
    let bytes = (length <= FILE_BYTES_MAX).then(|| std::fs::read(path).ok()).flatten()?;
    serde_json::from_slice(&bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_taken_once_and_answered_and_what_is_none_is_thrown_away() {
        let dir = tempfile::tempdir().unwrap();
        let lane: LaneId = "btc".parse().unwrap();
        let gateways = Gateways::default();
        look(&lane, &dir.path().join("not there"), &gateways);
        let file = |name: &str| dir.path().join(name);
        let message = Message { to: None, text: "hello".to_owned() };
        std::fs::write(file("a.say"), serde_json::to_vec(&message).unwrap()).unwrap();
        std::fs::write(file("b.say"), "hello").unwrap();
        std::fs::write(file("c.say"), vec![b' '; 5_000]).unwrap();
        std::fs::write(file("d.new"), "half written").unwrap();
        look(&lane, dir.path(), &gateways);
        look(&lane, dir.path(), &gateways);
        let mut left: Vec<_> = std::fs::read_dir(dir.path())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, ["a.said", "d.new"]);
        assert_eq!(std::fs::read_to_string(file("a.said")).unwrap(), "0", "nobody is connected");
    }
}
