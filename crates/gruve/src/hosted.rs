//! `gruve admin site`, `machine`, `hosting`, `ticket`: the operator's side of sites and of machines that
//! customers own. All work beside a running house.

use crate::house::files::Holding;
use crate::house::{HouseError, Parts, coins_back};
use crate::serve::read_config;
use clap::Subcommand;
use gruve_accounts::date_text;
use gruve_farm::{MachineState, NewInventory, SitePower, Speaker, TicketId};
use gruve_hosting::{Ended, HostingKind, OfferTerms, PayFrom, Scheme};
use gruve_store::transact;
use gruve_units::{
    Amount, Asset, Bps, ContractId, Hashrate, LaneId, SiteId, SystemClock, SystemEntropy,
};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// `gruve admin site …`
#[derive(Clone, Debug, Subcommand)]
pub enum SiteCommand {
    /// Lists sites, what is stated of their electricity, and how their agents stand.
    List,
    /// Makes the token of a site's agent and prints it, once. An earlier one is void from then on.
    Token {
        /// The site's name.
        #[arg(long)]
        site: String,
    },
    /// States a site's electricity.
    Power {
        /// The site's name.
        #[arg(long)]
        site: String,
        /// Grams of CO2 equivalent of a kilowatt-hour.
        #[arg(long)]
        co2: u32,
        /// What electricity is paid in.
        #[arg(long, default_value = "USD")]
        asset: Asset,
        /// What a kilowatt-hour costs, as 0.045.
        #[arg(long)]
        price: String,
        /// Where the figures come from.
        #[arg(long)]
        source: String,
    },
}

/// `gruve admin machine …`
#[derive(Clone, Debug, Subcommand)]
pub enum MachineCommand {
    /// Lists the inventory.
    List,
    /// Takes a machine into the inventory, in stock.
    Add(AddArgs),
    /// Brings a machine into another state.
    State {
        /// The maker's number.
        #[arg(long)]
        serial: String,
        /// stock, running, maintenance or returned.
        #[arg(long)]
        state: MachineState,
    },
    /// Shows what has become of a machine.
    History {
        /// The maker's number.
        #[arg(long)]
        serial: String,
    },
}

/// `gruve admin machine add`
#[derive(Clone, Debug, clap::Args)]
pub struct AddArgs {
    /// The site's name.
    #[arg(long)]
    site: String,
    /// The machine's name: it logs in as house.NAME.
    #[arg(long)]
    name: String,
    /// The lane it works on.
    #[arg(long)]
    lane: LaneId,
    /// The maker's number.
    #[arg(long)]
    serial: String,
    /// The maker's name for it.
    #[arg(long)]
    model: String,
    /// Where in the site.
    #[arg(long)]
    rack: String,
    /// What its maker promises, as `110 TH/s`.
    #[arg(long)]
    hashrate: Hashrate,
    /// What its maker says it draws.
    #[arg(long)]
    watts: u32,
}

/// `gruve admin hosting …`
#[derive(Clone, Debug, Subcommand)]
pub enum HostingCommand {
    /// Lists hosting contracts.
    List,
    /// Offers a machine to an account, which must accept.
    Offer(OfferArgs),
    /// Takes an offer back.
    Withdraw {
        /// The contract.
        contract: ContractId,
    },
    /// Ends a contract at an epoch's border; the machine is the house's from then on.
    End {
        /// The contract.
        contract: ContractId,
    },
}

/// `gruve admin hosting offer`
#[derive(Clone, Debug, clap::Args)]
pub struct OfferArgs {
    /// The maker's number.
    #[arg(long)]
    serial: String,
    /// The account's name.
    #[arg(long)]
    to: String,
    /// sold or leased.
    #[arg(long, default_value = "sold")]
    kind: HostingKind,
    /// pplns or solo.
    #[arg(long, default_value = "pplns")]
    scheme: Scheme,
    /// What bills are taken from: earnings or balance.
    #[arg(long, default_value = "earnings")]
    pay_from: PayFrom,
    /// What bills are in.
    #[arg(long)]
    asset: Asset,
    /// A kilowatt-hour, as 0.00000100.
    #[arg(long)]
    energy: String,
    /// A day of hosting, as 0.00001.
    #[arg(long)]
    fee: String,
    /// The promised part of the time in basis points, as 9800; 0 promises nothing.
    #[arg(long)]
    level: u16,
    /// What is paid at once, from the account's balance.
    #[arg(long, default_value = "0")]
    price: String,
    /// What that is paid in; what bills are in, if not given.
    #[arg(long)]
    price_asset: Option<Asset>,
}

/// `gruve admin ticket …`
#[derive(Clone, Debug, Subcommand)]
pub enum TicketCommand {
    /// Lists open tickets.
    List,
    /// Shows a ticket.
    Show {
        /// The ticket.
        ticket: TicketId,
    },
    /// Opens a ticket, which the machine's owner sees.
    Open {
        /// The maker's number.
        #[arg(long)]
        serial: String,
        /// What it is about.
        #[arg(long)]
        title: String,
        /// What there is to say.
        #[arg(long)]
        text: String,
    },
    /// Answers on a ticket.
    Say {
        /// The ticket.
        ticket: TicketId,
        /// The answer.
        text: String,
    },
    /// Closes a ticket.
    Close {
        /// The ticket.
        ticket: TicketId,
    },
}

/// One of them.
#[derive(Clone, Debug)]
pub enum Order {
    /// Sites.
    Site(SiteCommand),
    /// Machines.
    Machine(MachineCommand),
    /// Hosting contracts.
    Hosting(HostingCommand),
    /// Tickets.
    Ticket(TicketCommand),
}

/// Carries an order out.
///
/// # Errors
/// What was refused, and why.
pub async fn admin(config: PathBuf, order: Order) -> Result<ExitCode, String> {
    let config = read_config(&config)?;
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    let parts = Parts::open(&config, Holding::Beside, clock, entropy).await;
    let parts = parts.map_err(|e| e.to_string())?;
    match order {
        Order::Site(order) => site(&parts, order).await,
        Order::Machine(order) => machine(&parts, order).await,
        Order::Hosting(order) => hosting(&parts, order).await,
        Order::Ticket(order) => ticket(&parts, order).await,
    }?;
    parts.store.close().await;
    Ok(ExitCode::SUCCESS)
}

fn text(e: impl std::fmt::Display) -> String {
    e.to_string()
}

async fn site_id(parts: &Parts, name: &str) -> Result<SiteId, String> {
    let all = parts.farm.sites().await.map_err(text)?;
    let found = all.iter().find(|s| s.name == name).map(|s| s.id);
    found.ok_or_else(|| format!("there is no site {name:?}: write it into the configuration"))
}

async fn site(parts: &Parts, order: SiteCommand) -> Result<(), String> {
    match order {
        SiteCommand::List => {
            let powers = parts.farm.site_powers().await.map_err(text)?;
            for site in parts.farm.sites().await.map_err(text)? {
                print!("{}", site.name);
                if let Some(p) = powers.iter().find(|p| p.site == site.id) {
                    let price = Amount::new(p.price_asset, p.price_minor_per_kwh);
                    print!("  {} g CO2/kWh, {price}/kWh ({})", p.co2_g_per_kwh, p.source);
                }
                if let Some(a) = parts.farm.agent_of(site.id).await.map_err(text)? {
                    let seen = a.seen_at.map_or("never".to_owned(), |at| at.secs().to_string());
                    print!(
                        "  agent: {} samples, {} lost, {} refused, last at {seen}",
                        a.next, a.lost, a.refused
                    );
                }
                println!();
            }
        }
        SiteCommand::Token { site } => {
            let id = site_id(parts, &site).await?;
            let token = parts.farm.new_agent_token(id).await.map_err(text)?;
            println!("{token}");
            eprintln!("write it into the agent's token file; it is not shown again");
        }
        SiteCommand::Power { site, co2, asset, price, source } => {
            let power = SitePower {
                site: site_id(parts, &site).await?,
                name: site,
                co2_g_per_kwh: co2,
                price_asset: asset,
                price_minor_per_kwh: Amount::parse_decimal(asset, &price).map_err(text)?.minor,
                source,
            };
            parts.farm.state_power(&power).await.map_err(text)?;
        }
    }
    Ok(())
}

/// An empty answer could be taken for none.
fn say_if_none(is_none: bool, what: &str) {
    if is_none {
        println!("{what}");
    }
}

async fn machine(parts: &Parts, order: MachineCommand) -> Result<(), String> {
    match order {
        MachineCommand::List => {
            let all = parts.farm.inventory().await.map_err(text)?;
            say_if_none(all.is_empty(), "no machine is in the inventory");
            for m in all {
                println!(
                    "{}  {}  {} {}  {}  {}, {} W  {}",
                    m.serial,
                    m.model,
                    m.site_name,
                    m.rack,
                    m.name,
                    m.nameplate,
                    m.watts,
                    m.state.name()
                );
            }
        }
        MachineCommand::Add(add) => {
            let new = NewInventory {
                site: site_id(parts, &add.site).await?,
                name: add.name,
                lane: add.lane.clone(),
                serial: add.serial,
                model: add.model,
                rack: add.rack,
                nameplate: add.hashrate,
                watts: add.watts,
            };
            parts.farm.rule(&add.lane).map_err(text)?;
            let id = parts.farm.add_inventory(new).await.map_err(text)?;
            println!("{id} is in stock; `gruve admin machine state` puts it to work");
        }
        MachineCommand::State { serial, state } => {
            let m = parts.farm.inventory_by_serial(&serial).await.map_err(text)?;
            parts.farm.set_state(m.machine, state).await.map_err(text)?;
            println!("{serial}: {}", state.name());
        }
        MachineCommand::History { serial } => {
            let m = parts.farm.inventory_by_serial(&serial).await.map_err(text)?;
            for (at, event) in parts.farm.history(m.machine).await.map_err(text)? {
                println!("{}  {event}", date_text(at));
            }
        }
    }
    Ok(())
}

async fn hosting(parts: &Parts, order: HostingCommand) -> Result<(), String> {
    match order {
        HostingCommand::List => {
            let all = parts.hosting.all_contracts().await.map_err(text)?;
            say_if_none(all.is_empty(), "no machine is a customer's or offered to one");
            for c in all {
                let owed = Amount::new(c.terms.asset, c.arrears);
                let span = (c.from.map(|e| e.0), c.until.map(|e| e.0));
                println!(
                    "{}  machine {}  account {}  {} {}  epochs {span:?}  owes {owed}",
                    c.id,
                    c.machine,
                    c.account,
                    c.state.name(),
                    c.terms.kind.name()
                );
            }
        }
        HostingCommand::Offer(offer) => {
            let id = make_offer(parts, offer).await?;
            println!("{id} is offered");
        }
        HostingCommand::Withdraw { contract } => {
            parts.hosting.withdraw(contract, None).await.map_err(text)?;
            println!("{contract} is taken back");
        }
        HostingCommand::End { contract } => {
            let ended = end(parts, contract).await.map_err(text)?;
            println!("{contract} ends before epoch {}", ended.until);
            if let Some(back) = ended.back {
                println!("{back} of its price came back to its owner");
            }
        }
    }
    Ok(())
}

/// Ends a contract; what comes back of its price is what it was paid with.
async fn end(parts: &Parts, contract: ContractId) -> Result<Ended, HouseError> {
    transact!(parts.store, tx -> Result<Ended, HouseError> => {
        let ended = parts.hosting.end_in(tx, contract, None).await?;
        coins_back(tx, &parts.hosting, contract, ended, parts.clock.now()).await?;
        Ok(ended)
    })
}

async fn make_offer(parts: &Parts, o: OfferArgs) -> Result<ContractId, String> {
    let m = parts.farm.inventory_by_serial(&o.serial).await.map_err(text)?;
    let account = parts.accounts.account_by_name(&o.to).await.map_err(text)?;
    let account = account.ok_or_else(|| format!("there is no account {:?}", o.to))?;
    let lane = parts.market.lane(&m.lane).map_err(text)?;
    if o.pay_from == PayFrom::Earnings && !lane.assets().any(|a| a == o.asset) {
        return Err(format!(
            "lane {} does not earn {}: bills cannot be taken from that",
            m.lane, o.asset
        ));
    }
    let minor = |asset, price: &str| Amount::parse_decimal(asset, price).map_err(text);
    let terms = OfferTerms {
        kind: o.kind,
        scheme: o.scheme,
        pay_from: o.pay_from,
        asset: o.asset,
        energy_minor_per_kwh: minor(o.asset, &o.energy)?.minor,
        fee_minor_per_day: minor(o.asset, &o.fee)?.minor,
        level: Bps::new(o.level).ok_or("--level: write 0 to 10000")?,
        term_epochs: 0,
        minimum_payout_minor: 0,
        earnings_fee: Some(lane.outside_fee_bps),
    };
    let price = minor(o.price_asset.unwrap_or(o.asset), &o.price)?;
    parts.hosting.offer(m.machine, account, terms, price).await.map_err(text)
}

async fn ticket(parts: &Parts, order: TicketCommand) -> Result<(), String> {
    let (farm, by) = (&parts.farm, Speaker::Operator);
    match order {
        TicketCommand::List => {
            let all = farm.open_tickets().await.map_err(text)?;
            say_if_none(all.is_empty(), "no ticket is open");
            for t in all {
                println!("{}  machine {}  {}", t.id, t.machine, t.title);
            }
        }
        TicketCommand::Show { ticket } => {
            let (ticket, notes) = farm.ticket(ticket, by).await.map_err(text)?;
            println!("{}", ticket.title);
            for n in notes {
                println!("{}  {}: {}", date_text(n.at), n.author, n.text);
            }
        }
        TicketCommand::Open { serial, title, text: words } => {
            let m = farm.inventory_by_serial(&serial).await.map_err(text)?;
            let id = farm.open_ticket(m.machine, by, &title, &words).await.map_err(text)?;
            println!("{id} is open");
        }
        TicketCommand::Say { ticket, text: words } => {
            farm.say_on_ticket(ticket, by, &words).await.map_err(text)?;
        }
        TicketCommand::Close { ticket } => farm.close_ticket(ticket, by).await.map_err(text)?,
    }
    Ok(())
}
