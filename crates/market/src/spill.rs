//! What a close has to know again of each contract and no table says: in a file without a name instead of in memory.
//!
//! Records of one size, written one after the other and read in that order, as often as is wanted. What ends the process
//! ends the file; a transaction that is tried again begins with an empty one. Of the file a buffer is held.
//!
//! Must not know: what is in a record.

use crate::{Market, MarketError, Result};
use gruve_proof::publish;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read as _, Seek as _, Write as _};

/// Records of `N` bytes.
pub(crate) struct Spill<'a, const N: usize> {
    market: &'a Market,
    /// From the first record on.
    file: Option<BufWriter<File>>,
    records: u64,
}

fn not_kept(e: &io::Error) -> MarketError {
    MarketError::NotPublished(format!("a file for an epoch's close: {e}"))
}

impl<'a, const N: usize> Spill<'a, N> {
    /// An empty one, where the house keeps what it publishes.
    pub(crate) const fn of(market: &'a Market) -> Self {
        Spill { market, file: None, records: 0 }
    }

    fn create(&self) -> Result<File> {
        match self.market.record_sink() {
            Some(sink) => sink.scratch().map_err(MarketError::NotPublished),
            None => publish::scratch(&std::env::temp_dir()).map_err(|e| not_kept(&e)),
        }
    }

    /// Adds a record.
    pub(crate) fn push(&mut self, record: &[u8; N]) -> Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let new = BufWriter::new(self.create()?);
                self.file.insert(new)
            }
        };
        file.write_all(record).map_err(|e| not_kept(&e))?;
        self.records += 1;
        Ok(())
    }

    /// From the first one on.
    pub(crate) fn read(&mut self) -> Result<Reading<'_, N>> {
        let left = self.records;
        let Some(file) = &mut self.file else { return Ok(Reading { file: None, left }) };
        file.flush().and_then(|()| file.get_mut().rewind()).map_err(|e| not_kept(&e))?;
        Ok(Reading { file: Some(BufReader::new(file.get_ref())), left })
    }
}

/// Records as they are read.
pub(crate) struct Reading<'a, const N: usize> {
    file: Option<BufReader<&'a File>>,
    left: u64,
}

impl<const N: usize> Reading<'_, N> {
    /// The next one; `None` after the last.
    pub(crate) fn next(&mut self) -> Result<Option<[u8; N]>> {
        let Some(file) = self.file.as_mut().filter(|_| self.left > 0) else { return Ok(None) };
        let mut record = [0; N];
        file.read_exact(&mut record).map_err(|e| not_kept(&e))?;
        self.left -= 1;
        Ok(Some(record))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::World;
    use gruve_store::{Store, laws};

    async fn records_come_back_as_often_as_they_are_read(store: Store) {
        let w = World::new(store).await;
        let mut spill = Spill::<8>::of(&w.market);
        assert_eq!(spill.read().unwrap().next().unwrap(), None);
        let record = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
        for n in 0..5_000 {
            spill.push(&record(n)).unwrap();
        }
        let mut begun = spill.read().unwrap();
        assert_eq!(begun.next().unwrap(), Some(record(0)));
        for _ in 0..2 {
            let mut reading = spill.read().unwrap();
            for n in 0..5_000 {
                assert_eq!(reading.next().unwrap(), Some(record(n)));
            }
            assert_eq!(reading.next().unwrap(), None);
        }
    }

    laws! { spill: [records_come_back_as_often_as_they_are_read] }
}
