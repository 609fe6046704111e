//! What a paid invoice means, as in the house itself.

use async_trait::async_trait;
use gruve_accounts::Accounts;
use gruve_farm::Farm;
use gruve_hosting::Hosting;
use gruve_market::Market;
use gruve_store::Tx;
use gruve_treasury::{Invoice, InvoiceSink, Purpose, SinkError};

/// Hands paid invoices to the market and to hosting, as the house does.
pub(super) struct Sink {
    pub(super) market: Market,
    pub(super) hosting: Hosting,
    pub(super) farm: Farm,
    pub(super) accounts: Accounts,
}

#[async_trait]
impl InvoiceSink for Sink {
    async fn paid(&self, tx: &mut Tx, invoice: &Invoice) -> Result<(), SinkError> {
        let Purpose::Contract(id) = invoice.purpose else { return Ok(()) };
        let rooms = gruve_web::SaleRooms {
            market: &self.market,
            hosting: &self.hosting,
            farm: &self.farm,
            accounts: &self.accounts,
        };
        let machine = gruve_web::machine_paid(tx, rooms, invoice, id).await;
        if machine.map_err(|e| SinkError::of(&e))?.is_some() {
            return Ok(());
        }
        let paid = self.market.invoice_paid(tx, id, invoice.created).await;
        paid.map(drop).map_err(|e| SinkError::of(&e))
    }
    async fn disputed(
        &self,
        _: &mut Tx,
        _: &Invoice,
        _: &gruve_treasury::Dispute<'_>,
    ) -> Result<(), SinkError> {
        panic!("no card service is asked here")
    }
    async fn expired(&self, tx: &mut Tx, invoice: &Invoice) -> Result<(), SinkError> {
        let Purpose::Contract(id) = invoice.purpose else { return Ok(()) };
        let machine = gruve_web::machine_expired(tx, &self.hosting, id).await;
        if machine.map_err(|e| SinkError::of(&e))? {
            return Ok(());
        }
        self.market.invoice_expired(tx, id).await.map_err(|e| SinkError::of(&e))
    }
}
