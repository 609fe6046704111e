//! ZMTP 3.0 (rfc.zeromq.org/spec/23), as much of it as a subscriber without credentials needs: the
//! greeting, the mechanism `NULL`, subscriptions, frames.
//!
//! Promises: no more than [`KEPT_BYTES`] of a frame are held, whatever length it says; nothing that a
//! publisher sends panics.
//!
//! What this module must not know: what the messages mean.

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// What is kept of a frame: a block's header is 80 bytes, every other body shorter. The rest of a
/// block is read and forgotten.
pub(super) const KEPT_BYTES: usize = 256;

/// The largest frame: a block of four million bytes with room to spare.
pub(super) const FRAME_BYTES_MAX: u64 = 32 << 20;

const GREETING_BYTES: usize = 64;
const MORE: u8 = 1;
const LONG: u8 = 2;
const COMMAND: u8 = 4;

/// Why a publisher was given up.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// The connection failed or ended.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// It does not speak the protocol.
    #[error("{0}")]
    Protocol(&'static str),
    /// It began something and did not go on.
    #[error("it fell silent within a message")]
    Stalled,
    /// More than any node has to say.
    #[error("it sends more than a node has to say")]
    Floods,
    /// Another way told of a block that it did not.
    #[error("it was silent about a block")]
    Missed,
    /// Nothing to connect to.
    #[error("{0}")]
    Nowhere(String),
}

/// What goes out first: signature, version 3.0, mechanism `NULL`, not as its server.
fn greeting() -> [u8; GREETING_BYTES] {
    let mut all = [0; GREETING_BYTES];
    all[0] = 0xff;
    all[9] = 0x7f;
    all[10] = 3;
    all[12..16].copy_from_slice(b"NULL");
    all
}

fn check_greeting(said: &[u8; GREETING_BYTES]) -> Result<(), Fault> {
    if said[0] != 0xff || said[9] & 1 == 0 {
        return Err(Fault::Protocol("it does not speak ZMTP"));
    }
    if said[10] < 3 {
        return Err(Fault::Protocol("it speaks ZMTP before 3.0"));
    }
    if said[12..32] != greeting()[12..32] {
        return Err(Fault::Protocol("it asks for credentials"));
    }
    Ok(())
}

/// A short frame.
fn frame(flags: u8, body: &[u8]) -> Vec<u8> {
    // Ours are names of topics and echoes of what was kept.
    let bytes = u8::try_from(body.len()).unwrap_or(u8::MAX);
    let mut all = vec![flags, bytes];
    all.extend(&body[..usize::from(bytes)]);
    all
}

fn ready() -> Vec<u8> {
    frame(COMMAND, b"\x05READY\x0bSocket-Type\x00\x00\x00\x03SUB")
}

/// Whether a READY's properties name a publisher.
fn is_publisher(mut properties: &[u8]) -> bool {
    while let Some((&name_len, rest)) = properties.split_first() {
        let Some((name, rest)) = rest.split_at_checked(usize::from(name_len)) else { break };
        let Some((len, rest)) = rest.split_first_chunk() else { break };
        let len = usize::try_from(u32::from_be_bytes(*len)).unwrap_or(usize::MAX);
        let Some((value, rest)) = rest.split_at_checked(len) else { break };
        if name.eq_ignore_ascii_case(b"Socket-Type") {
            return value == b"PUB" || value == b"XPUB";
        }
        properties = rest;
    }
    false
}

/// A frame's beginning; what is kept of its body stands in [`Frames::kept`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) is_last: bool,
    pub(super) is_command: bool,
    /// The body's whole length.
    pub(super) bytes: u64,
}

/// A connection to a publisher, frame by frame.
pub(super) struct Frames<S> {
    stream: S,
    kept: Vec<u8>,
    /// Bytes of the last frame that were not kept and are not read yet.
    rest: u64,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Frames<S> {
    /// Greets the publisher and subscribes.
    pub(super) async fn begin(stream: S, topics: &[&str]) -> Result<Frames<S>, Fault> {
        let mut frames = Frames { stream, kept: Vec::with_capacity(KEPT_BYTES), rest: 0 };
        frames.stream.write_all(&greeting()).await?;
        let mut said = [0; GREETING_BYTES];
        frames.stream.read_exact(&mut said).await?;
        check_greeting(&said)?;
        frames.stream.write_all(&ready()).await?;
        let head = frames.next().await?;
        let properties = frames.kept.strip_prefix(b"\x05READY").filter(|_| head.is_command);
        if !properties.is_some_and(is_publisher) {
            return Err(Fault::Protocol("it is no publisher"));
        }
        for topic in topics {
            // A subscription in the form of 3.0: one byte and what topics begin with.
            let wish = frame(0, &[b"\x01", topic.as_bytes()].concat());
            frames.stream.write_all(&wish).await?;
        }
        frames.stream.flush().await?;
        Ok(frames)
    }

    /// The first [`KEPT_BYTES`] of the last frame, or all of it.
    pub(super) fn kept(&self) -> &[u8] {
        &self.kept
    }

    /// The next frame, as soon as what is kept of it is here. Dropped before it is done, the connection
    /// is of no use any more.
    pub(super) async fn next(&mut self) -> Result<Head, Fault> {
        self.skip().await?;
        let flags = self.stream.read_u8().await?;
        if flags & !(MORE | LONG | COMMAND) != 0 || flags & (MORE | COMMAND) == MORE | COMMAND {
            return Err(Fault::Protocol("it sends no frames of ZMTP"));
        }
        let bytes = if flags & LONG == 0 {
            u64::from(self.stream.read_u8().await?)
        } else {
            self.stream.read_u64().await?
        };
        if bytes > FRAME_BYTES_MAX {
            return Err(Fault::Protocol("it sends more than a block"));
        }
        let kept = usize::try_from(bytes).map_or(KEPT_BYTES, |bytes| bytes.min(KEPT_BYTES));
        self.kept.resize(kept, 0);
        self.stream.read_exact(&mut self.kept).await?;
        self.rest = bytes - kept as u64;
        Ok(Head { is_last: flags & MORE == 0, is_command: flags & COMMAND != 0, bytes })
    }

    async fn skip(&mut self) -> Result<(), Fault> {
        let mut rest = (&mut self.stream).take(std::mem::take(&mut self.rest));
        let mut sink = [0; 4096];
        while rest.limit() > 0 {
            if rest.read(&mut sink).await? == 0 {
                return Err(Fault::Io(std::io::ErrorKind::UnexpectedEof.into()));
            }
        }
        Ok(())
    }

    /// Answers a command: only a heartbeat wants an answer.
    pub(super) async fn obey(&mut self) -> Result<(), Fault> {
        if let Some(context) = self.kept.strip_prefix(b"\x04PING").and_then(|ping| ping.get(2..)) {
            let pong = frame(COMMAND, &[b"\x04PONG", &context[..context.len().min(16)]].concat());
            self.stream.write_all(&pong).await?;
            self.stream.flush().await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::duplex;

    /// What a publisher of libzmq says before anything else.
    fn publisher() -> Vec<u8> {
        let mut said = greeting();
        said[8] = 1; // libzmq's signature holds the length of an empty identity
        said[11] = 1; // it speaks 3.1
        [
            &said[..],
            &frame(COMMAND, b"\x05READY\x0bSocket-Type\x00\x00\x00\x03PUB\x08Identity\0\0\0\0"),
        ]
        .concat()
    }

    async fn after(said: &[u8]) -> Result<Frames<tokio::io::DuplexStream>, Fault> {
        let (here, mut there) = duplex(1 << 16);
        there.write_all(said).await.unwrap();
        // It says no more, and what we send is taken.
        there.shutdown().await.unwrap();
        let begun = Frames::begin(here, &["hashblock"]).await;
        drop(there);
        begun
    }

    #[tokio::test]
    async fn a_frame_of_any_length_is_told_by_its_beginning_and_the_next_one_is_found() {
        let long = vec![7; 1_000_000];
        let mut said = publisher();
        said.extend(frame(MORE, b"rawblock"));
        said.extend([LONG | MORE]);
        said.extend((long.len() as u64).to_be_bytes());
        said.extend(&long[..]);
        said.extend(frame(0, &5_u32.to_le_bytes()));
        let (here, mut there) = duplex(1 << 12);
        let sending = tokio::spawn(async move {
            there.write_all(&said).await.unwrap();
            there
        });
        let mut frames = Frames::begin(here, &[]).await.unwrap();
        let topic = frames.next().await.unwrap();
        assert_eq!((topic.is_last, frames.kept()), (false, &b"rawblock"[..]));
        let body = frames.next().await.unwrap();
        assert_eq!((body.bytes, frames.kept()), (1_000_000, &long[..KEPT_BYTES]));
        let number = frames.next().await.unwrap();
        assert_eq!((number.is_last, frames.kept()), (true, &5_u32.to_le_bytes()[..]));
        drop(sending.await.unwrap());
        assert!(matches!(frames.next().await, Err(Fault::Io(_))), "the end");
    }

    #[tokio::test]
    async fn who_is_no_publisher_of_this_protocol_is_told_apart() {
        assert!(after(&publisher()).await.is_ok());
        let mut old = publisher();
        old[10] = 1;
        let mut curve = publisher();
        curve[12..17].copy_from_slice(b"CURVE");
        let mut subscriber = publisher();
        let at = subscriber.windows(3).position(|w| w == b"PUB").unwrap();
        subscriber[at..at + 3].copy_from_slice(b"SUB");
        let web = [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], &[b' '; 64]].concat();
        for bad in [old, curve, subscriber, web] {
            assert!(matches!(after(&bad).await, Err(Fault::Protocol(_))));
        }
        assert!(matches!(after(&publisher()[..40]).await, Err(Fault::Io(_))), "cut short");
    }

    #[tokio::test]
    async fn a_frame_longer_than_any_block_or_of_unknown_kind_is_refused() {
        for bad in
            [&[LONG, 0x7f, 0xff, 0, 0, 0, 0, 0, 0][..], &[0x80, 1, 0], &[MORE | COMMAND, 1, 0]]
        {
            let mut frames = after(&[&publisher(), bad].concat()).await.unwrap();
            assert!(matches!(frames.next().await, Err(Fault::Protocol(_))), "{bad:?}");
        }
    }

    #[tokio::test]
    async fn a_heartbeat_is_answered_with_its_context() {
        let (here, mut there) = duplex(1 << 12);
        let ping = frame(COMMAND, b"\x04PING\x00\x0acontext");
        there.write_all(&[publisher(), ping].concat()).await.unwrap();
        let mut frames = Frames::begin(here, &[]).await.unwrap();
        assert!(frames.next().await.unwrap().is_command);
        frames.obey().await.unwrap();
        drop(frames);
        let mut said = Vec::new();
        there.read_to_end(&mut said).await.unwrap();
        assert!(said.ends_with(&frame(COMMAND, b"\x04PONGcontext")));
    }
}
