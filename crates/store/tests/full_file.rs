//! What a full disk leaves behind.
#![allow(clippy::unwrap_used, missing_docs)]

use gruve_store::testing::{TestDir, run_raw, sqlite};
use gruve_store::{Store, StoreError, params};

async fn fill(store: &Store) -> Result<(), StoreError> {
    let mut tx = store.begin().await?;
    for _ in 0..1_000 {
        tx.execute("INSERT INTO filler (bytes) VALUES ($1)", &params![vec![7u8; 100_000]]).await?;
    }
    tx.commit().await
}

#[tokio::test]
async fn a_full_file_fails_one_transaction_and_not_those_after_it() {
    let dir = TestDir::new();
    let store = sqlite(dir.path()).await;
    run_raw(&store, "CREATE TABLE filler (bytes BLOB NOT NULL) STRICT").await.unwrap();
    // Refuses to grow as a full disk does. It belongs to the connection, as the failure must.
    run_raw(&store, "PRAGMA max_page_count = 100").await.unwrap();
    assert!(fill(&store).await.is_err());
    let mut tx = store.begin().await.unwrap();
    tx.execute("INSERT INTO filler (bytes) VALUES ($1)", &params![vec![1u8]]).await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = store.read().await.unwrap();
    let row = tx.fetch_one("SELECT COUNT(*) AS n FROM filler", &[]).await.unwrap();
    assert_eq!(row.get::<i64>("n").unwrap(), 1, "nothing of the failed transaction stands");
}
