//! The demo's folder and ports.

use super::settings::{DemoLane, LANES};
use crate::cli::DemoArgs;
use crate::house::files::{Folder, Holding, LOCK_FILE, write_secret};
use gruve_treasury::Seed;
use gruve_units::{Entropy, SystemEntropy};
use std::path::{Path, PathBuf};

/// The file that says that a folder is the demo's, and so may be emptied by `--fresh`.
const MARKER: &str = "gruve-demo";

/// The ports used beside the dashboards', and by whom.
fn ports() -> Vec<(u16, String)> {
    let machines = LANES.iter().map(|lane| (lane.stratum_port, format!("{} machines", lane.asset)));
    let nodes = LANES.iter().flat_map(DemoLane::chains);
    machines.chain(nodes.map(|c| (c.node_port, format!("the {} node", c.asset)))).collect()
}

/// The demo's folder, held by this process alone.
pub struct DemoFolder {
    /// Where it is.
    pub path: PathBuf,
    /// The password of the nodes' RPC, kept so that a second start reaches the same wallets.
    pub rpc_password: String,
    _held: Folder,
}

impl DemoFolder {
    /// The secret of the house's wallets, made before the house's first start: the node of an Ethash
    /// chain makes the blocks, and is told whom to pay when it starts.
    ///
    /// # Errors
    /// When it cannot be read or made.
    pub fn wallet_seed(&self) -> Result<Seed, String> {
        let house = Folder::open(&self.path.join("house"), Holding::Beside);
        let house = house.map_err(|e| e.to_string())?;
        Seed::open_or_create(&house.join("wallet.seed"), &SystemEntropy).map_err(|e| e.to_string())
    }
}

/// Makes the folder, or goes on with the one that is there.
///
/// # Errors
/// When it cannot be made, or is not the demo's own.
pub fn prepare(args: &DemoArgs) -> Result<DemoFolder, String> {
    let path = &args.data;
    let marker = path.join(MARKER);
    let failed = |p: &Path, e: std::io::Error| format!("{}: {e}", p.display());
    if is_occupied(path) && !marker.exists() {
        return Err(format!(
            "{} holds something that no demo made; choose another folder with --data",
            path.display()
        ));
    }
    // A demo that runs in it would mine on into deleted files.
    let mut held = Folder::open(path, Holding::Alone).map_err(|e| e.to_string())?;
    if args.fresh && is_occupied(path) {
        std::fs::remove_dir_all(path).map_err(|e| failed(path, e))?;
        held = Folder::open(path, Holding::Alone).map_err(|e| e.to_string())?;
    }
    let rpc_password = match std::fs::read_to_string(&marker) {
        Ok(text) if text.trim().len() == 32 => text.trim().to_owned(),
        _ => {
            let mut bytes = [0; 16];
            SystemEntropy.fill(&mut bytes);
            let text = hex::encode(bytes);
            write_secret(&marker, &text).map_err(|e| failed(&marker, e))?;
            text
        }
    };
    let path = path.canonicalize().map_err(|e| failed(path, e))?;
    Ok(DemoFolder { path, rpc_password, _held: held })
}

/// Whether a folder holds more than the lock.
fn is_occupied(path: &Path) -> bool {
    let more = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.map_or(true, |entry| entry.file_name() != LOCK_FILE)
    };
    path.read_dir().is_ok_and(|mut entries| entries.any(more))
}

/// Looks whether the demo's ports are free.
///
/// # Errors
/// Which are not, and how to choose others.
pub fn ports_are_free(args: &DemoArgs) -> Result<(), String> {
    let all = ports();
    let last = all.iter().map(|(offset, _)| *offset).max().unwrap_or(0);
    if args.ports.checked_add(last).is_none() {
        return Err(format!("--ports {}: choose at most {}", args.ports, u16::MAX - last));
    }
    let count = last + 1;
    let taken: Vec<_> = std::iter::once((0, "dashboards".to_owned()))
        .chain(all)
        .map(|(offset, name)| (args.ports + offset, name))
        .filter(|(port, _)| std::net::TcpListener::bind(("127.0.0.1", *port)).is_err())
        .map(|(port, name)| format!("{port} ({name})"))
        .collect();
    if taken.is_empty() {
        return Ok(());
    }
    Err(format!(
        "taken on 127.0.0.1: {}; choose {count} free neighbouring ports with --ports FIRST",
        taken.join(", ")
    ))
}
