//! A stand-in for a node that gives templates by V2's Template Distribution protocol, so that another pool can be measured
//! without one: one fixed template of twelve siblings (4,095 transactions), as Gruve's own gateway is measured with. Nobody's
//! solutions are blocks.
//!
//! `cargo run --release -p gruve-bench --example template_provider -- 127.0.0.1:8442`; docs/bench.md says what to do with it.

use binary_sv2::{B064K, B0255, GetSize, Seq0255, Serialize, U256, to_bytes};
use common_messages_sv2 as c;
use gruve_pow::sha256d;
use gruve_stratum::v2::{AuthorityKey, NoiseServer, NoiseTransport};
use gruve_units::{Clock as _, Duration, SystemClock, SystemEntropy, Target};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::Arc;
use template_distribution_sv2 as t;

const HEADER_BYTES: usize = 6;
const SIBLINGS: u8 = 12;
const HEIGHT: u32 = 800_001;
/// A difficulty that no run ever meets by chance.
const BITS: u32 = 0x1705_6ecf;
const TEMPLATE: u64 = 1;
/// Longer than a run.
const CERTIFICATE: Duration = Duration::from_secs(24 * 3_600);

fn main() -> ExitCode {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8442".to_owned());
    let listener = match TcpListener::bind(&address) {
        Ok(listener) => listener,
        Err(e) => {
            eprintln!("template_provider: cannot listen on {address}: {e}");
            return ExitCode::FAILURE;
        }
    };
    let key = AuthorityKey::generate(&SystemEntropy);
    println!("templates at {address}, authority key {}", key.public_text());
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    let noise = Arc::new(NoiseServer::new(key, CERTIFICATE, clock, entropy));
    for stream in listener.incoming().flatten() {
        let noise = Arc::clone(&noise);
        std::thread::spawn(move || {
            let peer = stream.peer_addr();
            let ended = serve(stream, noise);
            eprintln!("{peer:?} has gone: {ended:?}");
        });
    }
    ExitCode::SUCCESS
}

/// One pool's connection, until it ends.
fn serve(mut stream: TcpStream, noise: Arc<NoiseServer>) -> Result<(), String> {
    let mut transport = NoiseTransport::new(noise);
    let (mut raw, mut plain) = (vec![0; 16 << 10], Vec::new());
    loop {
        let count = stream.read(&mut raw).map_err(|e| e.to_string())?;
        if count == 0 {
            return Ok(());
        }
        let mut wire = Vec::new();
        transport.open(&raw[..count], &mut plain, &mut wire).map_err(|e| e.to_string())?;
        let said = answers(&mut plain)?;
        transport.seal(&said, &mut wire).map_err(|e| e.to_string())?;
        stream.write_all(&wire).map_err(|e| e.to_string())?;
    }
}

/// Takes whole messages off the front and gives what they are answered with.
fn answers(plain: &mut Vec<u8>) -> Result<Vec<u8>, String> {
    let mut said = Vec::new();
    while let Some([_, _, kind, a, b, c]) = plain.first_chunk::<HEADER_BYTES>().copied() {
        let end = HEADER_BYTES + (usize::from(a) | usize::from(b) << 8 | usize::from(c) << 16);
        if plain.len() < end {
            break;
        }
        plain.drain(..end);
        match kind {
            c::MESSAGE_TYPE_SETUP_CONNECTION => {
                let yes = c::SetupConnectionSuccess { used_version: 2, flags: 0 };
                put(&mut said, c::MESSAGE_TYPE_SETUP_CONNECTION_SUCCESS, yes)?;
            }
            // The pool has said how much its coinbase needs: it can be given a template.
            t::MESSAGE_TYPE_COINBASE_OUTPUT_CONSTRAINTS => template(&mut said)?,
            t::MESSAGE_TYPE_SUBMIT_SOLUTION => eprintln!("a solution, which is nobody's block"),
            _ => {}
        }
    }
    Ok(said)
}

fn put<T: Serialize + GetSize>(out: &mut Vec<u8>, kind: u8, message: T) -> Result<(), String> {
    let payload = to_bytes(message).map_err(|e| format!("{e:?}"))?;
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes();
    out.extend([0, 0, kind, length[0], length[1], length[2]]);
    out.extend(payload);
    Ok(())
}

/// The template, and the block that it stands on.
fn template(out: &mut Vec<u8>) -> Result<(), String> {
    let siblings: Vec<[u8; 32]> = (0..SIBLINGS).map(|n| sha256d(&[n])).collect();
    let merkle_path = Seq0255::new(siblings.iter().map(U256::from).collect());
    // The height, as BIP 34 wants it; one output without value, as a commitment to witnesses has it.
    let [a, b, c, _] = HEIGHT.to_le_bytes();
    let height = [3, a, b, c];
    let commitment = [&[0; 8][..], &[0x26, 0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed], &[7; 32]].concat();
    let (Ok(merkle_path), Ok(coinbase_prefix), Ok(coinbase_tx_outputs)) =
        (merkle_path, B0255::new(&height), B064K::new(&commitment))
    else {
        return Err("a template that cannot be said".to_owned());
    };
    let template = t::NewTemplate {
        template_id: TEMPLATE,
        future_template: true,
        version: 0x2000_0000,
        coinbase_tx_version: 2,
        coinbase_prefix,
        coinbase_tx_input_sequence: u32::MAX,
        coinbase_tx_value_remaining: 312_500_000,
        coinbase_tx_outputs_count: 1,
        coinbase_tx_outputs,
        coinbase_tx_locktime: 0,
        merkle_path,
    };
    put(out, t::MESSAGE_TYPE_NEW_TEMPLATE, template)?;
    let prev_hash = sha256d(b"the block before");
    let target = Target::from_compact(BITS).ok_or("no target")?;
    let mut target = target.to_be_bytes();
    target.reverse();
    let tip = t::SetNewPrevHash {
        template_id: TEMPLATE,
        prev_hash: (&prev_hash).into(),
        header_timestamp: u32::try_from(SystemClock.now().secs()).unwrap_or(u32::MAX),
        n_bits: BITS,
        target: (&target).into(),
    };
    put(out, t::MESSAGE_TYPE_SET_NEW_PREV_HASH, tip)
}
