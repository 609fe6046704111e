//! `gruve serve` and `gruve config`.

use crate::config::{Config, Fault, SAMPLE};
use crate::estate::Estate;
use crate::house::files::{folder_of, write_secret};
use crate::house::{self, House};
use crate::signals::{self, Wish};
use crate::supervisor::{self, Said};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// How long the new program may take to check the configuration.
const CHECK_MAX: Duration = Duration::from_secs(20);

/// Bytes of a configuration file at most: the 50,000 machines it may name take some 8 million.
const CONFIG_BYTES_MAX: u64 = 16 << 20;

/// Reads a configuration file.
///
/// # Errors
/// One text with every fault, each on its line with its place.
pub fn read_config(path: &Path) -> Result<Config, String> {
    let text = read_bounded(path).map_err(|e| {
        let init = "\n`gruve config init` writes a commented one; --config names one elsewhere";
        let hint = if e.kind() == std::io::ErrorKind::NotFound { init } else { "" };
        format!("{}: {e}{hint}", path.display())
    })?;
    let config = Config::parse(&text, folder_of(path)).map_err(|faults| told(path, &faults))?;
    house::check(&config).map_err(|faults| told(path, &faults))?;
    Ok(config)
}

/// Every fault on a line, under the name of the file.
fn told(path: &Path, faults: &[Fault]) -> String {
    let lines: Vec<_> = faults.iter().map(|f| format!("  {f}")).collect();
    format!("{} cannot be used:\n{}", path.display(), lines.join("\n"))
}

/// A file's text, which must not be longer than any configuration is.
pub(crate) fn read_bounded(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(CONFIG_BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > CONFIG_BYTES_MAX {
        let what = format!("longer than {CONFIG_BYTES_MAX} bytes, which no configuration is");
        return Err(std::io::Error::other(what));
    }
    Ok(text)
}

/// Writes the commented sample.
///
/// # Errors
/// When the file is there already (and `force` is not given) or cannot be written.
pub fn init_config(path: &Path, force: bool) -> Result<ExitCode, String> {
    if path.exists() && !force {
        return Err(format!("{} is there already; --force replaces it", path.display()));
    }
    // Passwords will be written into it.
    write_secret(path, SAMPLE).map_err(|e| format!("{}: {e}", path.display()))?;
    println!("wrote {}", path.display());
    println!(
        "set in it: your name, the name of your log, your nodes' addresses and passwords; then"
    );
    println!("  gruve config check --config {}", path.display());
    println!("  gruve serve --config {}", path.display());
    Ok(ExitCode::SUCCESS)
}

/// Says what is wrong with a file, or that nothing is.
///
/// # Errors
/// When something is wrong.
pub fn check_config(path: &Path) -> Result<ExitCode, String> {
    let config = read_config(path)?;
    let (lanes, plans, sites) = (config.lanes.len(), config.plans.len(), config.sites.len());
    let missing = config.clone().missing_files();
    if !missing.is_empty() {
        return Err(told(path, &missing));
    }
    for note in config.notes() {
        println!("note: {note}");
    }
    println!("{}: lanes: {lanes}, plans: {plans}, sites: {sites}; nothing wrong", path.display());
    Ok(ExitCode::SUCCESS)
}

/// Runs the platform until it is asked to stop. Asked to restart (SIGUSR2), it becomes the program
/// that now stands where it was started from, with the configuration as it is then, and keeps its
/// sockets.
///
/// # Errors
/// When it cannot start, or a part of it stops for good.
pub async fn run(path: PathBuf, mut estate: Estate) -> Result<ExitCode, String> {
    // Asked now: when the file has been replaced its name would no longer be told.
    let program = std::env::current_exe().map_err(|e| format!("where this program stands: {e}"))?;
    let mut asked = signals::Asked::new().map_err(|e| format!("signals: {e}"))?;
    loop {
        let config = read_config(&path)?;
        let mut house = House::start(config, &mut estate).await.map_err(|e| e.to_string())?;
        // What was left for a port or lane that is no more.
        drop(std::mem::take(&mut estate));
        tell_doors(&house);
        supervisor::tell(Said::Ready);
        loop {
            let failed = tokio::select! {
                wish = asked.next() => match wish {
                    Wish::Stop => None,
                    Wish::Restart if is_startable(&program, &path).await => break,
                    Wish::Restart => continue,
                },
                why = house.failed() => Some(why),
            };
            supervisor::tell(Said::Stopping);
            house.stop().await;
            return failed.map_or(Ok(ExitCode::SUCCESS), Err);
        }
        tracing::info!(program = %program.display(), "restarting with open sockets");
        supervisor::tell(Said::Restarting);
        let (error, kept) = house.hand_over().await.pass_on(&program);
        tracing::error!(%error, "the new program does not start; the old one goes on");
        estate = kept;
    }
}

/// Says where to connect.
fn tell_doors(house: &House) {
    println!("dashboards on http://{}", house.http());
    if let Some(metrics) = house.metrics() {
        println!("metrics on http://{metrics}/metrics");
    }
    for (lane, address) in house.stratum() {
        println!("machines of lane {lane} connect to stratum+tcp://{address}");
    }
    for (lane, address) in house.pays_to() {
        println!("nodes of lane {lane} must pay their blocks to {address}");
    }
    for (lane, address, key) in house.stratum_v2() {
        println!("machines of lane {lane} connect by V2 to stratum2+tcp://{address}/{key}");
    }
    for (lane, address, fingerprint) in house.stratum_tls() {
        println!(
            "  lane {lane} encrypted: stratum+ssl://{address}, certificate SHA-256 {fingerprint}"
        );
    }
}

/// Whether the program that stands there now would start with the configuration as it is now.
async fn is_startable(program: &Path, config: &Path) -> bool {
    let check = tokio::process::Command::new(program)
        .args(["config", "check", "--config"])
        .arg(config)
        // It has no part in what an earlier program left to this one.
        .env_remove(crate::estate::VARIABLE)
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true)
        .output();
    let why = match tokio::time::timeout(CHECK_MAX, check).await {
        Ok(Ok(out)) if out.status.success() => return true,
        Ok(Ok(out)) => String::from_utf8_lossy(&out.stderr).into_owned(),
        Ok(Err(e)) => e.to_string(),
        Err(_) => format!("no answer in {} s", CHECK_MAX.as_secs()),
    };
    tracing::error!(why, "not restarting: the new program or the configuration cannot be used");
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_configuration_without_end_is_refused() {
        let refused = read_config(Path::new("/dev/zero")).unwrap_err();
        assert!(refused.contains("longer than"), "{refused}");
    }

    #[test]
    fn the_sample_is_readable_by_its_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("gruve.toml");
        init_config(&path, false).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), SAMPLE);
    }
}
