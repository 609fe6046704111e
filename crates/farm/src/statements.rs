//! The statements of inventory, owners, tickets and telemetry.

macro_rules! inventory {
    ($rest:literal) => {
        concat!(
            "SELECT i.machine, m.site, s.name AS site_name, m.name, m.lane, i.serial, i.model, i.rack, \
             m.nameplate, i.watts, i.state, i.changed_at FROM farm_inventory i \
             JOIN farm_machines m ON m.id = i.machine JOIN farm_sites s ON s.id = m.site ",
            $rest
        )
    };
}

macro_rules! tickets {
    ($rest:literal) => {
        concat!("SELECT id, machine, owner, title, opened_at, closed_at FROM farm_tickets ", $rest)
    };
}

gruve_store::statements! {
    INSERT_INVENTORY = "INSERT INTO farm_inventory (machine, serial, model, rack, watts, state, changed_at) \
        VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING";
    INVENTORY = inventory!("WHERE i.machine = $1");
    INVENTORY_BY_SERIAL = inventory!("WHERE i.serial = $1");
    MAP = "SELECT m.id, s.name AS site_name, i.rack, m.name, m.lane, m.nameplate, i.state \
        FROM farm_machines m JOIN farm_sites s ON s.id = m.site \
        LEFT JOIN farm_inventory i ON i.machine = m.id WHERE m.retired_at IS NULL \
        ORDER BY s.name, i.rack, m.name";
    INVENTORY_ALL = inventory!("ORDER BY s.name, i.rack, m.name");
    INVENTORY_AFTER = inventory!("WHERE i.machine > $1 ORDER BY i.machine LIMIT $2");
    IN_STOCK = inventory!("WHERE i.state = 'stock' AND m.lane = $1 AND i.model = $2 AND i.machine > $3 \
        ORDER BY i.machine LIMIT $4");
    SET_STATE = "UPDATE farm_inventory SET state = $2, changed_at = $3 WHERE machine = $1";
    STATE_OF = "SELECT state FROM farm_inventory WHERE machine = $1";
    COUNT_HISTORY = "SELECT COUNT(*) AS n FROM farm_history WHERE machine = $1";
    ADD_HISTORY = "INSERT INTO farm_history (machine, n, at, event) VALUES ($1, $2, $3, $4)";
    HISTORY = "SELECT at, event FROM farm_history WHERE machine = $1 ORDER BY n";

    OWNERS = "SELECT machine, from_epoch, owner FROM farm_owners ORDER BY machine, n";
    OWNERS_OF = "SELECT from_epoch, owner, at FROM farm_owners WHERE machine = $1 ORDER BY n";
    LAST_OWNER = "SELECT owner FROM farm_owners WHERE machine = $1 AND from_epoch <= $2 \
        ORDER BY from_epoch DESC, n DESC LIMIT 1";
    TAKE_BACK_OWNER = "DELETE FROM farm_owners WHERE machine = $1 AND n = $2 AND from_epoch = $3";
    INSERT_OWNER = "INSERT INTO farm_owners (machine, n, from_epoch, owner, at) VALUES ($1, $2, $3, $4, $5)";

    INSERT_TICKET = "INSERT INTO farm_tickets (id, machine, owner, title, opened_at) \
        VALUES ($1, $2, $3, $4, $5)";
    CLOSE_TICKET = "UPDATE farm_tickets SET closed_at = $2 WHERE id = $1 AND closed_at IS NULL";
    TICKET = tickets!("WHERE id = $1");
    TICKETS = tickets!("WHERE machine = $1 ORDER BY opened_at DESC, id DESC LIMIT $2");
    OPEN_TICKETS = tickets!("WHERE closed_at IS NULL ORDER BY opened_at, id");
    TICKETS_BEFORE = tickets!("WHERE machine = $1 AND id < $2 ORDER BY id DESC LIMIT $3");
    TICKETS_OF_OWNER_BEFORE =
        tickets!("WHERE machine = $1 AND owner = $2 AND id < $3 ORDER BY id DESC LIMIT $4");
    OPEN_TICKETS_AFTER = tickets!("WHERE closed_at IS NULL AND id > $1 ORDER BY id LIMIT $2");
    TICKETS_OPEN_OF = "SELECT COUNT(*) AS n FROM farm_tickets WHERE machine = $1 AND closed_at IS NULL";
    ADD_NOTE = "INSERT INTO farm_ticket_notes (ticket, n, at, author, text) VALUES ($1, $2, $3, $4, $5)";
    NOTES = "SELECT at, author, text FROM farm_ticket_notes WHERE ticket = $1 ORDER BY n";

    SET_AGENT = "INSERT INTO farm_agents (site, token_hash, next_sample, lost, refused) \
        VALUES ($1, $2, 0, 0, 0) ON CONFLICT (site) DO UPDATE SET token_hash = excluded.token_hash";
    AGENT = "SELECT site, next_sample, lost, refused, seen_at FROM farm_agents WHERE token_hash = $1";
    AGENT_OF = "SELECT site, next_sample, lost, refused, seen_at FROM farm_agents WHERE site = $1";
    SEEN_AGENT = "UPDATE farm_agents SET next_sample = $2, lost = $3, refused = $4, seen_at = $5 \
        WHERE site = $1";
    SET_SITE_POWER = "INSERT INTO farm_site_power (site, co2_g_per_kwh, price_asset, price_minor_per_kwh, source) \
        VALUES ($1, $2, $3, $4, $5) ON CONFLICT (site) DO UPDATE SET \
        co2_g_per_kwh = excluded.co2_g_per_kwh, price_asset = excluded.price_asset, \
        price_minor_per_kwh = excluded.price_minor_per_kwh, source = excluded.source";
    SITE_POWER = "SELECT p.site, s.name, p.co2_g_per_kwh, p.price_asset, p.price_minor_per_kwh, p.source \
        FROM farm_site_power p JOIN farm_sites s ON s.id = p.site ORDER BY s.name";
    READING = "SELECT at, hashrate, watts, temperature_c, fans_rpm, uptime_s, restarts, fault \
        FROM farm_readings WHERE machine = $1";
    NEWEST_READING = "SELECT MAX(at) AS at FROM farm_readings";
    SET_READING = "INSERT INTO farm_readings (machine, at, hashrate, watts, temperature_c, fans_rpm, uptime_s, \
        restarts, fault) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (machine) DO UPDATE SET \
        at = excluded.at, hashrate = excluded.hashrate, watts = excluded.watts, \
        temperature_c = excluded.temperature_c, fans_rpm = excluded.fans_rpm, uptime_s = excluded.uptime_s, \
        restarts = excluded.restarts, fault = excluded.fault";
    ENERGY_IN = "SELECT epoch, owner, energy_uj, billed_uj, power_us, claimed, claimed_us, down_us \
        FROM farm_energy WHERE machine = $1 AND epoch = $2";
    ENERGY_OF = "SELECT epoch, owner, energy_uj, billed_uj, power_us, claimed, claimed_us, down_us \
        FROM farm_energy WHERE machine = $1 AND epoch >= $2 AND epoch < $3 ORDER BY epoch LIMIT $4";
    INSERT_ENERGY = "INSERT INTO farm_energy (machine, epoch, lane, site, owner, energy_uj, billed_uj, power_us, \
        claimed, claimed_us, down_us) VALUES ($1, $2, $3, $4, $5, $6, 0, $7, $8, $9, $10)";
    ADD_ENERGY = "UPDATE farm_energy SET energy_uj = $3, power_us = $4, claimed = $5, claimed_us = $6, \
        down_us = $7 WHERE machine = $1 AND epoch = $2";
    UNBILLED = "SELECT CAST(COALESCE(SUM(energy_uj - billed_uj), 0) AS BIGINT) AS uj FROM farm_energy \
        WHERE machine = $1 AND epoch >= $2 AND epoch < $3";
    FIRST_UNBILLED = "SELECT MIN(epoch) AS epoch FROM farm_energy \
        WHERE machine = $1 AND epoch >= $2 AND billed_uj < energy_uj";
    SET_BILLED = "UPDATE farm_energy SET billed_uj = energy_uj \
        WHERE machine = $1 AND epoch >= $2 AND epoch < $3 AND billed_uj < energy_uj";
    LANE_ENERGY = "SELECT epoch, machine, site, energy_uj, power_us FROM farm_energy \
        WHERE lane = $1 AND epoch >= $2 AND epoch < $3 AND owner = 'house' AND power_us > 0 \
        ORDER BY epoch, machine LIMIT $4";

    PROVEN_LANE = "SELECT segment, place, sealed FROM farm_proven_lanes WHERE lane = $1";
    SET_PROVEN_LANE = "INSERT INTO farm_proven_lanes (lane, segment, place, sealed) VALUES ($1, $2, $3, $4) \
        ON CONFLICT (lane) DO UPDATE SET segment = excluded.segment, place = excluded.place, \
        sealed = excluded.sealed";
    PROVEN_IN = "SELECT epoch, owner, shares, work, squares, largest FROM farm_proven \
        WHERE machine = $1 AND epoch = $2";
    PROVEN_OF = "SELECT epoch, owner, shares, work, squares, largest FROM farm_proven \
        WHERE machine = $1 AND epoch >= $2 AND epoch < $3 ORDER BY epoch LIMIT $4";
    PROVEN_BY = "SELECT epoch, owner, shares, work, squares, largest FROM farm_proven \
        WHERE lane = $1 AND epoch = $2 AND owner = $3 LIMIT $4";
    PROVEN_LANES = "SELECT lane, sealed FROM farm_proven_lanes WHERE sealed IS NOT NULL ORDER BY lane";
    SET_PROVEN = "INSERT INTO farm_proven (machine, epoch, lane, owner, shares, work, squares, largest) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (machine, epoch) DO UPDATE SET \
        shares = excluded.shares, work = excluded.work, squares = excluded.squares, largest = excluded.largest";
    LANE_PROVEN = "SELECT epoch, machine, work FROM farm_proven \
        WHERE lane = $1 AND epoch >= $2 AND epoch < $3 AND owner = 'house' ORDER BY epoch, machine LIMIT $4";
    LANE_EPOCHS = "SELECT DISTINCT epoch FROM farm_proven WHERE lane = $1 AND epoch >= $2 AND epoch < $3 \
        ORDER BY epoch";
    LUCK = "SELECT expected, found, tail FROM farm_luck WHERE lane = $1 AND miner = $2";
    LUCK_OF = "SELECT miner, expected, found, tail FROM farm_luck WHERE lane = $1 ORDER BY miner";
    /// Of owners: together they are all that was done.
    LUCK_OF_OWNERS = "SELECT expected, found FROM farm_luck WHERE lane = $1 AND miner LIKE 'o:%'";
    SET_LUCK = "INSERT INTO farm_luck (lane, miner, expected, found, tail) VALUES ($1, $2, $3, $4, $5) \
        ON CONFLICT (lane, miner) DO UPDATE SET expected = excluded.expected, found = excluded.found, \
        tail = excluded.tail";
}

#[cfg(test)]
mod tests {
    use gruve_store::{Store, testing};

    async fn every_statement_prepares(store: Store) {
        store.migrate("farm", crate::MIGRATIONS).await.unwrap();
        store.migrate("farm_luck", crate::LUCK_MIGRATIONS).await.unwrap();
        testing::prepare_all(&store, super::STATEMENTS).await;
    }

    gruve_store::laws! { hosted_statements: [every_statement_prepares] }
}
