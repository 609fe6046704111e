//! `gruve admin bank`: statements taken into the books, and a person's word on what waits.

use crate::house::files::Holding;
use crate::house::{Parts, import_file};
use crate::serve::read_config;
use gruve_treasury::{BankComparison, BankWord, PayInFor};
use gruve_units::{AccountId, BankEntryId, InvoiceId, PaymentId, SystemClock, SystemEntropy};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// What to take, or decide.
#[derive(Clone, Debug, clap::Args)]
pub struct Order {
    /// Statements to take.
    pub files: Vec<PathBuf>,
    /// Decide about this entry that waits.
    #[arg(long, value_name = "ENTRY")]
    pub entry: Option<BankEntryId>,
    /// It pays this invoice.
    #[arg(long, requires = "entry", group = "word")]
    pub invoice: Option<InvoiceId>,
    /// It goes to this account's balance.
    #[arg(long, requires = "entry", group = "word")]
    pub account: Option<AccountId>,
    /// It takes this payment back.
    #[arg(long, requires = "entry", group = "word")]
    pub takes_back: Option<PaymentId>,
    /// It was sent back at the bank.
    #[arg(long, requires = "entry", group = "word")]
    pub sent_back: bool,
    /// It is the bank's charges, or interest.
    #[arg(long, requires = "entry", group = "word")]
    pub charges: bool,
    /// It is the operator's own transfer, in or out.
    #[arg(long, requires = "entry", group = "word")]
    pub own: bool,
    /// It is under way in the books: a service's payout, or what was sent back.
    #[arg(long, requires = "entry", group = "word")]
    pub under_way: bool,
    /// It paid out this account's balance.
    #[arg(long, requires = "entry", group = "word", value_name = "ACCOUNT")]
    pub paid_out: Option<AccountId>,
    /// Nothing is to be done about it.
    #[arg(long, requires = "entry", group = "word")]
    pub dismiss: bool,
    /// Why, for whoever reads the books.
    #[arg(long, requires = "entry", default_value = "")]
    pub why: String,
}

impl Order {
    fn word(&self) -> Option<BankWord> {
        let belongs = self.invoice.map(PayInFor::Invoice).or(self.account.map(PayInFor::Account));
        let told = belongs.map(BankWord::Belongs).or(self.takes_back.map(BankWord::TakesBack));
        told.or(self.paid_out.map(BankWord::PaidOut))
            .or(self.sent_back.then_some(BankWord::SentBack))
            .or(self.charges.then_some(BankWord::Charges))
            .or(self.own.then_some(BankWord::Own))
            .or(self.under_way.then_some(BankWord::UnderWay))
            .or(self.dismiss.then_some(BankWord::Dismissed))
    }
}

/// Takes the files, carries the word out, and lists what waits.
///
/// # Errors
/// When the order is none, or the database cannot be used. A file that is not taken is told, and the others
/// are.
pub async fn bank(config: PathBuf, order: Order) -> Result<ExitCode, String> {
    let config = read_config(&config)?;
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    let parts = Parts::open(&config, Holding::Beside, clock, entropy).await;
    let Parts { treasury, store, .. } = parts.map_err(|e| e.to_string())?;
    let mut outcome = ExitCode::SUCCESS;
    for file in &order.files {
        match import_file(&treasury, file).await {
            Ok(done) if done.is_known => println!("{}: taken before", file.display()),
            Ok(done) => {
                println!(
                    "{}: {} paid their invoices, {} wait, {} taken before, {} passed over",
                    file.display(),
                    done.matched,
                    done.waiting,
                    done.known,
                    done.passed
                );
                for failed in &done.failed {
                    eprintln!("{}: not booked: {failed}; give the file again", file.display());
                    outcome = ExitCode::FAILURE;
                }
            }
            Err(why) => {
                eprintln!("{}: not taken: {why}", file.display());
                outcome = ExitCode::FAILURE;
            }
        }
    }
    if let Some(entry) = order.entry {
        let word = order.word().ok_or(
            "say what it is: --invoice, --account, --takes-back, --sent-back, --charges, --own, --under-way, \
             --paid-out or --dismiss",
        )?;
        let decided = treasury.decide_bank_entry(entry, &word, &order.why).await;
        decided.map_err(|e| e.to_string())?;
        println!("{entry} is decided");
    }
    let waiting = treasury.bank_entries_waiting().await.map_err(|e| e.to_string())?;
    if waiting.is_empty() {
        println!("no transfer waits for a person");
    }
    for e in waiting {
        let amount = e.amount.map_or_else(|| "no amount".to_owned(), |a| a.to_string());
        println!("{}  {}  {amount}  {}  {:?}: {}", e.id, e.booked_on, e.payer, e.text, e.reason);
    }
    let mut tx = store.read().await.map_err(|e| e.to_string())?;
    let compared = treasury.compare_banks(&mut tx).await;
    for c in compared.map_err(|e| e.to_string())? {
        println!("{}", told(&c));
        for gap in &c.gaps {
            println!("  {gap}");
        }
    }
    Ok(outcome)
}

/// A bank account and the books, as a line.
pub(crate) fn told(c: &BankComparison) -> String {
    let (bank, on, there) = (&c.bank, &c.on, c.there);
    let beside = if c.beside.minor == 0 {
        String::new()
    } else {
        format!(" and {} from before the first statement", c.beside)
    };
    let difference = match (c.difference.minor, c.is_explained()) {
        (0, _) => "they agree".to_owned(),
        (_, true) => {
            format!("{} of it wait for a person's word ({})", c.undecided, c.undecided_count)
        }
        (_, false) => format!("the difference is {}", c.difference),
    };
    format!("bank {bank}: {there} on {on}, the books have {}{beside}: {difference}", c.books)
}
