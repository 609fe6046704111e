//! `gruve admin say`: a message on miners' displays, through the house that runs.

use crate::house::messages::{FOLDER, Message, SAID, SAY};
use crate::serve::read_config;
use gruve_units::{Entropy as _, LaneId, SystemEntropy};
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// How long the house may take.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// How often it is looked whether it has answered.
const LOOK: Duration = Duration::from_millis(50);

/// Says something to the machines of a lane (of all lanes, if none is named), or to those of one login.
///
/// # Errors
/// When there is no such lane, no house runs, or the data folder cannot be written to.
pub async fn say(
    config: PathBuf,
    lane: Option<LaneId>,
    to: Option<String>,
    text: String,
) -> Result<ExitCode, String> {
    let most = gruve_stratum::limits::MESSAGE_CHARS_MAX;
    if text.is_empty() || text.chars().count() > most {
        return Err(format!("write a message of 1 to {most} characters"));
    }
    let config = read_config(&config)?;
    let lanes: Vec<LaneId> = config.lanes.iter().map(|l| l.id.clone()).collect();
    if let Some(lane) = &lane
        && !lanes.contains(lane)
    {
        return Err(format!("there is no lane `{lane}`"));
    }
    let message = Message { to, text };
    for lane in lanes.into_iter().filter(|l| lane.as_ref().is_none_or(|only| only == l)) {
        let folder = config.house.data.join("stratum").join(lane.as_str()).join(FOLDER);
        let name = put(&folder, &message)
            .map_err(|e| format!("cannot write into {}: {e}", folder.display()))?;
        let count = answer(&name).await.ok_or_else(|| {
            // Nobody must find it later.
            let _ = std::fs::remove_file(&name);
            "no house took the message: is `gruve serve` running?".to_owned()
        })?;
        println!("lane {lane}: sent to {count} connections");
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes it beside and renames it, so that half of it is never read.
fn put(folder: &Path, message: &Message) -> io::Result<PathBuf> {
    std::fs::create_dir_all(folder)?;
    let mut name = [0; 8];
    SystemEntropy.fill(&mut name);
    let path = folder.join(format!("{:016x}", u64::from_be_bytes(name)));
    std::fs::write(&path, serde_json::to_vec(message)?)?;
    let name = path.with_extension(SAY);
    std::fs::rename(&path, &name)?;
    Ok(name)
}

async fn answer(name: &Path) -> Option<String> {
    let said = name.with_extension(SAID);
    let since = Instant::now();
    while since.elapsed() < ANSWER_MAX {
        if let Ok(count) = std::fs::read_to_string(&said)
            && !count.is_empty()
        {
            let _ = std::fs::remove_file(&said);
            return Some(count);
        }
        tokio::time::sleep(LOOK).await;
    }
    None
}
