//! `gruve admin audit`: recomputes what the house believes from what it wrote down.

mod accepted;
mod in_block;
mod methods;

use crate::house::Parts;
use crate::house::files::Holding;
use crate::serve::read_config;
use accepted::{AcceptedReport, Counted};
use gruve_store::{Engine, StoreError, Tx};
use gruve_units::{Amount, Asset, LaneId, SystemClock, SystemEntropy};
use methods::MethodReport;
use serde::Serialize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// What an audit says.
#[derive(Debug, Serialize)]
struct Report {
    sound: bool,
    journal_entries: u64,
    journal_postings: u64,
    journal_head: String,
    lanes: Vec<LaneReport>,
    /// The wallets of coins that are taken and mined nowhere.
    pay_in_chains: Vec<WalletReport>,
    contracts: ContractReport,
    hosting: HostingReport,
    accepted: Option<AcceptedReport>,
    /// Money at banks and services, held against what they say.
    methods: Vec<MethodReport>,
    findings: Vec<String>,
    /// What no node and no service could be asked for.
    not_compared: Vec<String>,
}

#[derive(Debug, Serialize)]
struct LaneReport {
    lane: LaneId,
    closed_epochs: u64,
    shares: u64,
    open_shares: u64,
    /// Sums of units, an epoch and asset each, that were recomputed.
    unit_sums: u64,
    /// One for each asset it earns.
    wallets: Vec<WalletReport>,
}

/// Leases and metered contracts.
#[derive(Debug, Serialize)]
struct ContractReport {
    statements: u64,
    lines: u64,
    without: u64,
}

/// Hosted machines.
#[derive(Debug, Serialize)]
struct HostingReport {
    contracts: u64,
    bills: u64,
    certificates: u64,
    /// Blocks that paid owners themselves, held against the chain and what was published.
    own_blocks: u64,
}

#[derive(Debug, Serialize)]
struct WalletReport {
    asset: Asset,
    wallet_minor: i64,
    books_minor: i64,
}

impl WalletReport {
    fn told(&self) -> String {
        let [wallet, books] =
            [self.wallet_minor, self.books_minor].map(|minor| Amount::new(self.asset, minor));
        let is = if wallet == books { "as the books have it" } else { "and not as the books" };
        format!("wallet {wallet}, {is}: {books}")
    }
}

/// Audits a data folder; success only when everything holds.
///
/// # Errors
/// When the folder, the database or a file cannot be read.
pub async fn audit(
    config: PathBuf,
    accepted: Vec<PathBuf>,
    json: bool,
) -> Result<ExitCode, String> {
    let config = read_config(&config)?;
    let parts =
        Parts::open(&config, Holding::Alone, Arc::new(SystemClock), Arc::new(SystemEntropy))
            .await
            .map_err(|e| e.to_string())?;
    let mut tx = parts.store.read().await.map_err(|e| e.to_string())?;
    if let Some(damage) = damage_of(&mut tx).await.map_err(|e| e.to_string())? {
        return Err(format!("the database file is damaged, restore it from a backup: {damage}"));
    }
    let books = gruve_ledger::audit(&mut tx).await.map_err(|e| e.to_string())?;
    let mut findings: Vec<String> = books.findings.iter().map(|f| format!("books: {f}")).collect();
    findings.extend(parts.market.audit_tables(&mut tx).await.map_err(|e| e.to_string())?);
    let contracts = parts.market.audit_contracts(&mut tx).await.map_err(|e| e.to_string())?;
    findings.extend(contracts.findings);
    let reconciliation = parts.market.reconciliation(&mut tx).await.map_err(|e| e.to_string())?;
    for asset in &reconciliation.assets {
        findings.extend(asset.differences.iter().map(|d| format!("{}: {d}", asset.asset)));
    }
    let hosting = parts.hosting.audit(&mut tx).await.map_err(|e| e.to_string())?;
    findings.extend(hosting.findings);
    let conversions = parts.treasury.audit_conversions(&mut tx).await;
    findings.extend(conversions.map_err(|e| e.to_string())?);
    let (mut lanes, mut counted) = (Vec::new(), Counted::default());
    let (mut not_compared, mut own_blocks) = (Vec::new(), 0);
    let mut money = methods::audit(&parts.treasury, &mut tx).await?;
    let mut in_blocks = Vec::new();
    for lane in &config.lanes {
        let log = parts.share_log(&lane.id).map_err(|e| e.to_string())?;
        let audit = parts.market.audit_log(&lane.id, &log).await.map_err(|e| e.to_string())?;
        findings.extend(audit.findings.iter().map(|f| format!("lane {}: {f}", lane.id)));
        let mut wallets = Vec::new();
        for asset in std::iter::once(lane.asset).chain(lane.aux.iter().map(|aux| aux.asset)) {
            wallets.push(audit_wallet(&parts, &mut tx, asset, &mut findings).await?);
        }
        in_blocks.push(in_block::audit(&parts, &config, lane, &mut tx).await?);
        lanes.push(LaneReport {
            lane: lane.id.clone(),
            closed_epochs: audit.epochs,
            shares: audit.shares,
            open_shares: audit.open_shares,
            unit_sums: audit.unit_sums,
            wallets,
        });
        if !accepted.is_empty() {
            let stats = parts.market.lane_stats().await.map_err(|e| e.to_string())?;
            let closed = stats.iter().find(|s| s.lane == lane.id).and_then(|s| s.last_closed);
            counted.read(&log, closed).map_err(|e| format!("lane {}: {e}", lane.id))?;
        }
    }
    let mut pay_in_chains = Vec::new();
    for chain in &config.pay_in_chains {
        pay_in_chains.push(audit_wallet(&parts, &mut tx, chain.asset, &mut findings).await?);
    }
    // Others may take long to answer: nothing of the database is held for them.
    drop(tx);
    methods::ask_services(&parts.treasury, &mut money).await?;
    findings.extend(money.findings);
    not_compared.extend(money.not_compared);
    for (lane, mut audited) in config.lanes.iter().zip(in_blocks) {
        for asset in std::iter::once(lane.asset).chain(lane.aux.iter().map(|aux| aux.asset)) {
            compare_with_node(&parts, asset, &mut findings, &mut not_compared).await;
        }
        in_block::ask_node(&parts, lane, &mut audited).await?;
        own_blocks += audited.blocks;
        findings.extend(audited.findings);
        let why = audited
            .not_compared
            .map(|why| format!("blocks of {} that paid owners: {why}", lane.id));
        not_compared.extend(why);
    }
    for chain in &config.pay_in_chains {
        compare_with_node(&parts, chain.asset, &mut findings, &mut not_compared).await;
    }
    let accepted = if accepted.is_empty() {
        None
    } else {
        let report = counted.check(&accepted)?;
        if report.missing + report.repeated > 0 {
            findings.push(format!(
                "acknowledged shares: {} missing, {} counted more than once",
                report.missing, report.repeated
            ));
        }
        Some(report)
    };
    let report = Report {
        sound: findings.is_empty(),
        journal_entries: books.entries,
        journal_postings: books.postings,
        journal_head: hex::encode(books.head),
        lanes,
        pay_in_chains,
        contracts: ContractReport {
            statements: contracts.statements,
            lines: contracts.lines,
            without: contracts.without,
        },
        hosting: HostingReport {
            contracts: hosting.contracts,
            bills: hosting.bills,
            certificates: hosting.certificates,
            own_blocks,
        },
        accepted,
        methods: money.methods,
        findings,
        not_compared,
    };
    print(&report, json)?;
    Ok(if report.sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A wallet against the books.
async fn audit_wallet(
    parts: &Parts,
    tx: &mut Tx,
    asset: Asset,
    findings: &mut Vec<String>,
) -> Result<WalletReport, String> {
    let wallet = parts.treasury.reconcile(tx, asset).await.map_err(|e| e.to_string())?;
    if wallet.difference.minor != 0 {
        findings.push(format!("{asset}: wallet less books is {}", wallet.difference));
    }
    let books = wallet.books_hot.checked_add(wallet.books_maturing);
    Ok(WalletReport {
        asset,
        wallet_minor: wallet.on_chain.minor,
        books_minor: books.map_err(|e| e.to_string())?.minor,
    })
}

/// The wallet, at the node: what the addresses of an account chain have, or the coins of another.
async fn compare_with_node(
    parts: &Parts,
    asset: Asset,
    findings: &mut Vec<String>,
    not_compared: &mut Vec<String>,
) {
    let treasury = &parts.treasury;
    let said = if treasury.is_account_chain(asset) {
        treasury.compare_with_node(asset).await.map(|compared| {
            let differences = compared.differences.iter();
            (differences.map(ToString::to_string).collect::<Vec<_>>(), None)
        })
    } else {
        treasury.compare_coins_with_node(asset).await.map(|compared| {
            let differences = compared.differences.iter();
            (differences.map(ToString::to_string).collect(), compared.left_out)
        })
    };
    match said {
        Ok((differences, left_out)) => {
            findings.extend(differences.iter().map(|d| format!("{asset}: {d}")));
            not_compared.extend(left_out.map(|what| format!("{asset}: {what}")));
        }
        Err(e) => not_compared.push(format!("{asset}: {e}")),
    }
}

/// What SQLite finds wrong with its file. A server looks after its own.
async fn damage_of(tx: &mut Tx) -> Result<Option<String>, StoreError> {
    if tx.engine() != Engine::Sqlite {
        return Ok(None);
    }
    let row = tx.fetch_one("PRAGMA integrity_check(1)", &[]).await?;
    let said: String = row.get("integrity_check")?;
    Ok((said != "ok").then_some(said))
}

fn print(report: &Report, json: bool) -> Result<(), String> {
    if json {
        println!("{}", serde_json::to_string_pretty(report).map_err(|e| e.to_string())?);
        return Ok(());
    }
    println!("journal: {} entries, {} postings", report.journal_entries, report.journal_postings);
    println!("journal head: {}", report.journal_head);
    for lane in &report.lanes {
        println!(
            "lane {}: {} epochs, {} shares and {} sums of units recomputed, {} shares in open epochs",
            lane.lane, lane.closed_epochs, lane.shares, lane.unit_sums, lane.open_shares
        );
        for w in &lane.wallets {
            println!("  {}", w.told());
        }
    }
    for w in &report.pay_in_chains {
        println!("paid in {}: {}", w.asset, w.told());
    }
    let c = &report.contracts;
    println!(
        "contracts: {} statements with {} lines recomputed from their terms, {} contracts without one",
        c.statements, c.lines, c.without
    );
    let h = &report.hosting;
    println!(
        "machines: {} contracts, {} bills and {} certificates recomputed, {} blocks that paid owners looked up",
        h.contracts, h.bills, h.certificates, h.own_blocks
    );
    if let Some(a) = &report.accepted {
        println!(
            "acknowledged shares: {} told, {} in exactly one epoch, {} in an open epoch, {} missing, {} repeated",
            a.lines, a.in_exactly_one_epoch, a.waiting_for_their_epoch, a.missing, a.repeated
        );
    }
    for m in &report.methods {
        println!("{}", m.said);
    }
    for why in &report.not_compared {
        println!("not compared: {why}");
    }
    for finding in &report.findings {
        println!("WRONG: {finding}");
    }
    println!("{}", if report.sound { "everything holds" } else { "something does not hold" });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use gruve_store::Store;
    use gruve_store::testing::{TestDir, sqlite};
    use std::os::unix::fs::FileExt as _;

    async fn damage(store: &Store) -> Option<String> {
        damage_of(&mut store.read().await.unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn a_damaged_page_of_the_database_is_found() {
        let dir = TestDir::new();
        let store = sqlite(dir.path()).await;
        store.migrate("ledger", gruve_ledger::MIGRATIONS).await.unwrap();
        assert_eq!(damage(&store).await, None);
        store.close().await;

        let file =
            std::fs::OpenOptions::new().write(true).open(dir.path().join("test.db")).unwrap();
        let last_page = file.metadata().unwrap().len() - 4_096;
        file.write_all_at(&[0xff; 4_096], last_page).unwrap();
        let store = sqlite(dir.path()).await;
        assert!(damage(&store).await.is_some());
        store.close().await;
    }
}
