//! The room's statements.

macro_rules! machines {
    ($rest:literal) => {
        concat!(
            "SELECT id, site, owner, name, lane, nameplate, created_at, retired_at FROM farm_machines ",
            $rest
        )
    };
}

gruve_store::statements! {
    INSERT_SITE = "INSERT INTO farm_sites (id, name, created_at) VALUES ($1, $2, $3) \
        ON CONFLICT (name) DO NOTHING";
    SITE_BY_NAME = "SELECT id, name FROM farm_sites WHERE name = $1";
    SITE = "SELECT id, name FROM farm_sites WHERE id = $1";
    SITES = "SELECT id, name FROM farm_sites ORDER BY name";
    COUNT_SITES = "SELECT COUNT(*) AS n FROM farm_sites";
    INSERT_MACHINE = "INSERT INTO farm_machines (id, site, owner, name, lane, nameplate, created_at) \
        VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING";
    SET_NAMEPLATE = "UPDATE farm_machines SET nameplate = $2, retired_at = NULL WHERE id = $1";
    RETIRE = "UPDATE farm_machines SET retired_at = $2 WHERE id = $1 AND retired_at IS NULL";
    WORKED = "UPDATE farm_machines SET worked_at = $2 WHERE id = $1";
    FORGET_OUTSIDE = "DELETE FROM farm_machines WHERE id = (SELECT id FROM farm_machines \
        WHERE owner = $1 AND site IS NULL \
        ORDER BY COALESCE(worked_at, -1), created_at, id LIMIT 1)";
    MACHINE = machines!("WHERE id = $1");
    MACHINE_IN_SITE = machines!("WHERE site = $1 AND name = $2");
    MACHINE_OF_OWNER = machines!("WHERE owner = $1 AND name = $2 AND lane = $3 AND retired_at IS NULL");
    MACHINES_IN_SITES = machines!("WHERE site IS NOT NULL AND retired_at IS NULL ORDER BY site, name");
    MACHINES_OF_OWNER = machines!("WHERE owner = $1 ORDER BY name, lane");
    COUNT_IN_SITES = "SELECT COUNT(*) AS n FROM farm_machines WHERE site IS NOT NULL";
    COUNT_OUTSIDE_OF = "SELECT COUNT(*) AS n FROM farm_machines WHERE owner = $1 AND site IS NULL";
}

#[cfg(test)]
mod tests {
    use gruve_store::{Store, testing};

    async fn every_statement_prepares(store: Store) {
        store.migrate("farm", crate::MIGRATIONS).await.unwrap();
        testing::prepare_all(&store, super::STATEMENTS).await;
    }

    gruve_store::laws! { statements: [every_statement_prepares] }
}
