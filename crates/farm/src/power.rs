//! What the operator states of the sites' electricity.

use crate::statements::{SET_SITE_POWER, SITE_POWER};
use crate::{Farm, FarmError, Result, sql};
use gruve_store::{Row, Tx, params, transact};
use gruve_units::{Asset, SiteId};
use serde::Serialize;

/// What the operator states of a site's electricity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SitePower {
    /// The site.
    pub site: SiteId,
    /// Its name.
    pub name: String,
    /// Grams of CO₂ equivalent of a kilowatt-hour there.
    pub co2_g_per_kwh: u32,
    /// What the operator pays in.
    pub price_asset: Asset,
    /// What the operator pays for a kilowatt-hour, in minor units.
    pub price_minor_per_kwh: i64,
    /// Where the figures come from, in the operator's words.
    pub source: String,
}

impl Farm {
    /// States a site's electricity.
    ///
    /// # Errors
    /// [`FarmError::NoSite`], [`FarmError::BadText`], [`FarmError::BadPower`].
    pub async fn state_power(&self, power: &SitePower) -> Result<()> {
        let source = power.source.trim();
        if source.is_empty() || source.chars().count() > 200 || source.chars().any(char::is_control)
        {
            return Err(FarmError::BadText { max: 200 });
        }
        if power.co2_g_per_kwh > 5_000 || power.price_minor_per_kwh < 0 {
            return Err(FarmError::BadPower);
        }
        transact!(self.store, tx -> Result<()> => {
            if tx.fetch_optional(sql::SITE, &params![power.site]).await?.is_none() {
                return Err(FarmError::NoSite);
            }
            let given = params![
                power.site, power.co2_g_per_kwh, power.price_asset, power.price_minor_per_kwh, source
            ];
            tx.execute(SET_SITE_POWER, &given).await?;
            Ok(())
        })
    }

    /// What is stated of the sites' electricity, by name.
    ///
    /// # Errors
    /// The database's.
    pub async fn site_powers(&self) -> Result<Vec<SitePower>> {
        let mut tx = self.store.read().await?;
        self.site_powers_in(&mut tx).await
    }

    /// [`Farm::site_powers`] within the caller's transaction.
    ///
    /// # Errors
    /// The database's.
    pub async fn site_powers_in(&self, tx: &mut Tx) -> Result<Vec<SitePower>> {
        let rows = tx.fetch_all(SITE_POWER, &[]).await?;
        let one = |r: &Row| {
            Ok(SitePower {
                site: r.get("site")?,
                name: r.get("name")?,
                co2_g_per_kwh: r.get("co2_g_per_kwh")?,
                price_asset: r.get("price_asset")?,
                price_minor_per_kwh: r.get("price_minor_per_kwh")?,
                source: r.get("source")?,
            })
        };
        rows.iter().map(one).collect()
    }
}
