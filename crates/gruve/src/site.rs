//! What needs no house: `gruve agent`, which runs at a site, and `gruve certificate`.

use gruve_hosting::Signed;
use gruve_units::SystemClock;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// `gruve certificate`
#[derive(Clone, Debug, clap::Args)]
pub struct CertificateArgs {
    /// The certificate as it was downloaded.
    file: PathBuf,
    /// The operator's public key, in hex, from a place that you trust.
    #[arg(long, value_name = "HEX")]
    operator_key: String,
}

/// Says whether a certificate is the operator's, and what it certifies.
///
/// # Errors
/// When it cannot be read.
pub fn certificate(args: &CertificateArgs) -> Result<ExitCode, String> {
    let file = read_small(&args.file).map_err(|e| format!("{}: {e}", args.file.display()))?;
    let signed: Signed =
        serde_json::from_str(&file).map_err(|e| format!("{}: {e}", args.file.display()))?;
    let mut key = [0; 32];
    hex::decode_to_slice(args.operator_key.trim(), &mut key)
        .map_err(|_| "--operator-key: write 64 hex digits".to_owned())?;
    let c = match signed.check(&key) {
        Ok(c) => c,
        Err(e) => {
            eprintln!("gruve: {e}");
            return Ok(ExitCode::FAILURE);
        }
    };
    println!("certificate {} of {} {} is signed by this operator", c.number, c.model, c.serial);
    println!("  {} to account {}, from epoch {} of lane {}", c.kind, c.owner, c.from_epoch, c.lane);
    println!("  contract {}, terms {}", c.contract, c.terms);
    Ok(ExitCode::SUCCESS)
}

/// A certificate has some 1,000 bytes.
fn read_small(path: &Path) -> std::io::Result<String> {
    use std::io::Read as _;
    let mut text = String::new();
    std::fs::File::open(path)?.take(1 << 16).read_to_string(&mut text)?;
    Ok(text)
}

/// Runs the agent of a site.
///
/// # Errors
/// When its configuration, token or spool cannot be used.
pub async fn agent(path: &Path) -> Result<ExitCode, String> {
    let file = crate::serve::read_bounded(path).map_err(|e| {
        let init = "\ndocs/hosting.md has an example; --config names a file elsewhere";
        let hint = if e.kind() == std::io::ErrorKind::NotFound { init } else { "" };
        format!("{}: {e}{hint}", path.display())
    })?;
    let base = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let config = gruve_agent::AgentConfig::parse(&file, base)
        .map_err(|e| format!("{}: {e}", path.display()))?;
    println!("asking {} machines every {} s", config.machines.len(), config.every_s);
    let over = crate::signals::stop_asked();
    gruve_agent::run(config, Arc::new(SystemClock), over).await.map_err(|e| e.to_string())?;
    Ok(ExitCode::SUCCESS)
}
