//! `gruve admin staff`: who works here. The first owner is made with it, because only who may read the
//! data folder can be trusted before there is one. Works beside a running house.

use crate::house::Parts;
use crate::house::files::Holding;
use crate::serve::read_config;
use crate::typed;
use clap::Subcommand;
use gruve_accounts::{Accounts, NewAccount, Role, date_text};
use gruve_units::{SystemClock, SystemEntropy};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// `gruve admin staff …`
#[derive(Clone, Debug, Subcommand)]
pub enum StaffCommand {
    /// Lists who has which role.
    List,
    /// Opens an account with a role; the password is read from standard input, one line.
    Add {
        /// The account's name.
        #[arg(long)]
        name: String,
        /// Where its holder can be reached.
        #[arg(long)]
        email: String,
        /// owner, finance, technician, support or auditor (who reads only).
        #[arg(long)]
        role: Role,
    },
    /// Gives an account that is there a role; it is signed out everywhere.
    Role {
        /// The account's name.
        #[arg(long)]
        name: String,
        /// owner, finance, technician, support or auditor.
        #[arg(long)]
        role: Role,
    },
    /// Takes an account's role away; it is signed out everywhere.
    Remove {
        /// The account's name.
        #[arg(long)]
        name: String,
    },
    /// Confirms an account's e-mail address in place of the message to it: where mail does not arrive.
    Confirm {
        /// The account's name.
        #[arg(long)]
        name: String,
    },
    /// Takes an account's second factor off, codes and passkeys: where it is lost. Make sure who asks first.
    FactorOff {
        /// The account's name.
        #[arg(long)]
        name: String,
    },
    /// Recomputes the security log's chain of hashes and prints its last line's number and hash.
    Log,
}

/// Carries an order out.
///
/// # Errors
/// What was refused, and why.
pub async fn staff(config: PathBuf, order: StaffCommand) -> Result<ExitCode, String> {
    let config = read_config(&config)?;
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    let parts = Parts::open(&config, Holding::Beside, clock, entropy).await;
    let parts = parts.map_err(|e| e.to_string())?;
    let done = carry_out(&parts.accounts, order).await;
    parts.store.close().await;
    done
}

async fn carry_out(accounts: &Accounts, order: StaffCommand) -> Result<ExitCode, String> {
    let text = |e: gruve_accounts::AccountsError| e.to_string();
    match order {
        StaffCommand::List => {
            for s in accounts.staff().await.map_err(text)? {
                println!("{}  {}  since {}", s.name, s.role, date_text(s.since));
            }
        }
        StaffCommand::Add { name, email, role } => {
            let password = typed::password()?;
            accounts
                .sign_up(NewAccount { name: name.clone(), email, password })
                .await
                .map_err(text)?;
            accounts.set_role(None, &name, Some(role)).await.map_err(text)?;
            println!("{name} is {role}");
            if accounts.mail_rules().is_some_and(|m| m.confirm_sign_up) {
                println!(
                    "a message asks {name} to confirm the address; where mail does not arrive:"
                );
                println!("gruve admin staff confirm --name {name}");
            }
        }
        StaffCommand::Role { name, role } => {
            accounts.set_role(None, &name, Some(role)).await.map_err(text)?;
            println!("{name} is {role}, and signed out everywhere");
        }
        StaffCommand::Remove { name } => {
            accounts.set_role(None, &name, None).await.map_err(text)?;
            println!("{name} has no role any more, and is signed out everywhere");
        }
        StaffCommand::Confirm { name } => {
            accounts.confirm_by_hand(&name).await.map_err(text)?;
            println!("the address of {name} counts as confirmed");
        }
        StaffCommand::FactorOff { name } => {
            accounts.drop_factors(&name).await.map_err(text)?;
            println!("{name} signs in with the password alone now, and is signed out everywhere");
        }
        StaffCommand::Log => return log(accounts).await,
    }
    Ok(ExitCode::SUCCESS)
}

async fn log(accounts: &Accounts) -> Result<ExitCode, String> {
    let report = accounts.verify_log().await.map_err(|e| e.to_string())?;
    let ends = report.ends;
    println!("lines {} to {}: {} read", ends.cut_seq + 1, ends.seq, report.lines);
    println!("last hash {}", hex::encode(ends.hash));
    match report.fault {
        None => {
            println!("the chain holds; {} lines with their particulars", report.bound);
            Ok(ExitCode::SUCCESS)
        }
        Some(fault) => Err(format!("the security log does not hold: {fault}")),
    }
}
