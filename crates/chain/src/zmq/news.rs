//! What a node's notifications say, and what is missing between them: pure.
//!
//! | topic | body | says |
//! |---|---|---|
//! | `rawblock` | the block | its header: enough to build on it |
//! | `hashblock` | 32 bytes, as text has them | its hash: to be looked up |
//! | `sequence` | hash and a letter | `C` a block came, `D` one went; letters of transactions are passed over |
//!
//! Each message ends with a number of its topic, four bytes little-endian, that rises by one
//! (Bitcoin Core's `doc/zmq.md`).

use bitcoin::block::Header;
use bitcoin::consensus::deserialize;
use std::collections::HashMap;

/// What is subscribed to.
pub(super) const TOPICS: [&str; 3] = ["rawblock", "hashblock", "sequence"];

const HEADER_BYTES: usize = 80;

/// What a message says of the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// A block with this header is the tip now, if it is true.
    Header(Box<Header>),
    /// A block with this hash (internal byte order) is.
    Hash([u8; 32]),
    /// Something changed.
    Changed,
}

/// What the beginning of a body says; `None` for what is no news or cannot be read.
pub(super) fn read(topic: &[u8], kept: &[u8], bytes: u64) -> Option<News> {
    match topic {
        b"rawblock" => {
            let header = kept.get(..HEADER_BYTES).filter(|_| bytes > HEADER_BYTES as u64)?;
            deserialize(header).ok().map(|header| News::Header(Box::new(header)))
        }
        b"hashblock" => hash(kept).filter(|_| bytes == 32).map(News::Hash),
        b"sequence" => match (bytes, kept.get(32)) {
            (33, Some(b'C')) => hash(kept).map(News::Hash),
            (33, Some(b'D')) => Some(News::Changed),
            _ => None,
        },
        _ => None,
    }
}

/// Hashes come in the order in which they are written.
fn hash(kept: &[u8]) -> Option<[u8; 32]> {
    let mut hash: [u8; 32] = *kept.first_chunk()?;
    hash.reverse();
    Some(hash)
}

/// The numbers of one connection's messages.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    last: HashMap<&'static str, u32>,
}

impl Numbers {
    /// How many messages of the topic are missing before this one.
    pub(super) fn missing(&mut self, topic: &[u8], number: &[u8]) -> u32 {
        let known = TOPICS.into_iter().find(|known| known.as_bytes() == topic);
        let number = number.try_into().ok().map(u32::from_le_bytes);
        let (Some(topic), Some(number)) = (known, number) else { return 0 };
        match self.last.insert(topic, number) {
            // What was before the connection is nobody's loss.
            None => 0,
            Some(last) => number.wrapping_sub(last).wrapping_sub(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_topic_says_what_the_node_means_by_it() {
        let mut text = [0; 33];
        text[31] = 9;
        let mut hash = [0; 32];
        hash[0] = 9;
        assert_eq!(read(b"hashblock", &text[..32], 32), Some(News::Hash(hash)));
        text[32] = b'C';
        assert_eq!(read(b"sequence", &text, 33), Some(News::Hash(hash)));
        text[32] = b'D';
        assert_eq!(read(b"sequence", &text, 33), Some(News::Changed));
        let header = [2; 200];
        assert!(matches!(read(b"rawblock", &header, 200), Some(News::Header(_))));
        // A transaction in the memory pool, a header alone, another topic.
        assert_eq!(read(b"sequence", &[b'A'; 41], 41), None);
        assert_eq!(read(b"rawblock", &header[..80], 80), None);
        assert_eq!(read(b"hashtx", &text[..32], 32), None);
    }

    #[test]
    fn numbers_that_are_missing_are_counted_topic_by_topic_and_over_the_end_of_their_range() {
        let mut numbers = Numbers::default();
        let mut missing = |topic: &str, n: u32| numbers.missing(topic.as_bytes(), &n.to_le_bytes());
        assert_eq!(missing("rawblock", 70), 0, "the first that is heard");
        assert_eq!(missing("hashblock", 3), 0);
        assert_eq!(missing("rawblock", 71), 0);
        assert_eq!(missing("rawblock", 75), 3);
        assert_eq!(missing("hashblock", 4), 0);
        assert_eq!(missing("sequence", u32::MAX), 0);
        assert_eq!(missing("sequence", 0), 0);
        assert_eq!(missing("sequence", 2), 1);
        assert_eq!(numbers.missing(b"rawblock", b"abc"), 0, "no number");
    }

    proptest! {
        #[test]
        fn no_message_panics(topic in "[a-z]{0,12}", kept: Vec<u8>, bytes: u64, number: Vec<u8>) {
            for topic in TOPICS.into_iter().chain([topic.as_str()]) {
                let _ = read(topic.as_bytes(), &kept, bytes);
                let _ = Numbers::default().missing(topic.as_bytes(), &number);
            }
        }
    }
}
