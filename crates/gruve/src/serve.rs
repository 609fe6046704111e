//! `gruve serve` and `gruve config`.

use crate::config::{Config, SAMPLE};
use crate::house::{self, House};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Reads a configuration file.
///
/// # Errors
/// One text with every fault, each on its line with its place.
pub fn read_config(path: &Path) -> Result<Config, String> {
    let text = std::fs::read_to_string(path).map_err(|e| {
        format!("{}: {e}\n`gruve config init` writes a commented one", path.display())
    })?;
    let base = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let config = Config::parse(&text, base).map_err(|faults| {
        let lines: Vec<_> = faults.iter().map(|f| format!("  {f}")).collect();
        format!("{} cannot be used:\n{}", path.display(), lines.join("\n"))
    })?;
    house::parts::check(&config)
        .map_err(|fault| format!("{} cannot be used:\n  {fault}", path.display()))?;
    Ok(config)
}

/// Writes the commented sample.
///
/// # Errors
/// When the file is there already (and `force` is not given) or cannot be written.
pub fn init_config(path: &Path, force: bool) -> Result<ExitCode, String> {
    if path.exists() && !force {
        return Err(format!("{} is there already; --force replaces it", path.display()));
    }
    std::fs::write(path, SAMPLE).map_err(|e| format!("{}: {e}", path.display()))?;
    println!("wrote {}; set your node's address and password in it, then", path.display());
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
    println!(
        "{}: {} lanes, {} plans, {} sites; nothing wrong",
        path.display(),
        config.lanes.len(),
        config.plans.len(),
        config.sites.len()
    );
    Ok(ExitCode::SUCCESS)
}

/// Runs the platform until it is asked to stop.
///
/// # Errors
/// When it cannot start, or a part of it stops for good.
pub async fn run(path: PathBuf) -> Result<ExitCode, String> {
    let config = read_config(&path)?;
    let mut house = House::start(config).await.map_err(|e| e.to_string())?;
    println!("dashboards on http://{}", house.http());
    for (lane, address) in house.stratum() {
        println!("machines of lane {lane} connect to stratum+tcp://{address}");
    }
    let failed = tokio::select! {
        () = crate::signals::stop_asked() => None,
        why = house.failed() => Some(why),
    };
    house.stop().await;
    failed.map_or(Ok(ExitCode::SUCCESS), Err)
}
