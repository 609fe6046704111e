//! `gruve demo`: the whole line on one machine, from hash to coins.
//!
//! Nothing here has a short cut into the platform: the chains are nodes behind RPC, the machines
//! connect by Stratum, the customer uses the public API, and the last word on the wallet is the
//! chain's own.

mod api;
mod chains;
mod customer;
mod farm;
mod folder;
mod progress;
mod purse;
mod scan;
mod settings;
mod summary;

pub use api::{Api, ApiError, Rpc};

use crate::cli::DemoArgs;
use crate::config::Config;
use crate::house::House;
use crate::house::files::write_secret;
use customer::Notes;
use gruve_units::SystemEntropy;
use progress::Progress;
use purse::{Purse, Speech};
use settings::LANES;
use std::process::ExitCode;
use std::time::Duration;

/// The house's parts have some seconds to end.
const STOPPING: &str = "\nStopping. The same command goes on from here.";

/// Runs the demo.
///
/// # Errors
/// When something cannot be started or the customer's way is blocked; the text says what to do.
pub async fn run(args: DemoArgs) -> Result<ExitCode, String> {
    let mut stop = std::pin::pin!(crate::signals::stop_asked());
    let say = Progress::new(args.json);
    folder::ports_are_free(&args)?;
    let folder = folder::prepare(&args)?;
    let base = format!("http://127.0.0.1:{}", args.ports);
    say.line(&format!("Gruve demo · everything below runs on this machine · dashboards on {base}"));
    say.line(&format!("kept in {} (--fresh begins anew)\n", folder.path.display()));

    let chains = chains::start_chains(&args, &folder, &say)?;
    let toml = settings::house_toml(&args, &folder.rpc_password);
    let file = folder.path.join("gruve.toml");
    write_secret(&file, &toml).map_err(|e| format!("{}: {e}", file.display()))?;
    let config = Config::parse(&toml, &folder.path)
        .map_err(|faults| faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))?;
    let mut house = House::start(config, &mut crate::estate::Estate::default())
        .await
        .map_err(|e| e.to_string())?;
    say.say("house", format!("open, as `gruve serve --config {}` would be", file.display()));
    let miners = farm::start_miners(&args, &house.parts().machine_password, &say)?;

    let api = Api::new(base);
    let scans = summary::Scans::open(&folder, house.parts())?;
    let outcome = tokio::select! {
        outcome = whole_line(&api, &args, &folder, scans, &say) => outcome.map(Some),
        why = house.failed() => Err(why),
        () = &mut stop => Ok(None),
    };
    let reconciles = match outcome {
        Ok(Some(summary)) => {
            summary.print(&args, &say)?;
            if !args.once {
                say.line("\nStill mining. Look around on the dashboards; Ctrl-C stops.");
                tokio::select! {
                    () = &mut stop => say.line(STOPPING),
                    why = house.failed() => return Err(why),
                }
            }
            summary.reconciles
        }
        Ok(None) => {
            say.line(STOPPING);
            true
        }
        Err(why) => {
            say.line(&format!("\nThe demo stops: {why}"));
            false
        }
    };
    for miner in miners {
        miner.stop().await;
    }
    house.stop().await;
    for chain in chains {
        chain.stop().await;
    }
    Ok(if reconciles { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn whole_line(
    api: &Api,
    args: &DemoArgs,
    folder: &folder::DemoFolder,
    mut scans: summary::Scans,
    say: &Progress,
) -> Result<summary::Summary, String> {
    let notes = Notes::open(&folder.path.join("customer.json"), &SystemEntropy);
    let notes = notes.map_err(|e| e.to_string())?;
    let customer = customer::enter(api, &notes, say).await.map_err(|e| e.to_string())?;
    say.say(
        "customer",
        format!("sign in as {:?} with the password {:?}", notes.name, notes.password),
    );
    let watching = farm::tell_blocks(api, say);
    let journeys = async {
        let way = |lane: &'static settings::DemoLane| {
            let wallet = |chain: settings::DemoChain| {
                let node = format!("http://127.0.0.1:{}", args.ports + chain.node_port);
                let node = Rpc::new(node, settings::RPC_USER, &folder.rpc_password);
                let speech = if lane.is_ethash() { Speech::Accounts } else { Speech::Coins };
                Purse::new(chain.asset, node, speech)
            };
            let wallets: Vec<_> = lane.chains().map(wallet).collect();
            let (customer, notes) = (customer.clone(), &notes);
            async move {
                customer::journey(&customer, notes, &wallets, lane.id, say)
                    .await
                    .map_err(|e| format!("lane {}: {e}", lane.id))
            }
        };
        futures_util::future::try_join_all(LANES.iter().map(way)).await
    };
    let journeys = tokio::select! {
        ways = journeys => ways?,
        () = watching => return Err("nobody watches the blocks any more".to_owned()),
    };
    let assets = scans.reconcile(api, Duration::from_secs(60)).await?;
    Ok(summary::Summary::new(journeys, assets, say.elapsed()))
}
