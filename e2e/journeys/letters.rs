//! A mail server that keeps what it is given: how a test reads its customers' mail.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

#[derive(Clone, Default)]
pub struct Letters(Arc<Mutex<Vec<Letter>>>);

struct Letter {
    to: String,
    body: String,
}

impl Letters {
    /// Takes mail at a port of the loopback address for as long as the test's program runs.
    pub fn taken_at(port: u16) -> Letters {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let letters = Letters::default();
        let all = letters.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let letters = letters.clone();
                // A client that goes away in the middle sends again.
                thread::spawn(move || letters.hear(&stream.unwrap()));
            }
        });
        all
    }

    /// The newest link to a page of the house that somebody was sent.
    pub fn link(&self, to: &str, page: &str) -> Option<String> {
        let at = format!("{page}?ticket=");
        let all = self.0.lock().unwrap();
        let words = all.iter().rev().filter(|l| l.to == to).flat_map(|l| l.body.split_whitespace());
        words.filter(|w| w.contains(&at)).map(str::to_owned).next()
    }

    /// Whether somebody was written these words, wherever their lines were broken.
    pub fn says(&self, to: &str, words: &str) -> bool {
        let all = self.0.lock().unwrap();
        let whole = |l: &Letter| l.body.split_whitespace().collect::<Vec<_>>().join(" ");
        all.iter().any(|l| l.to == to && whole(l).contains(words))
    }

    fn hear(&self, stream: &TcpStream) -> Option<()> {
        let mut answer = stream;
        let mut lines = BufReader::new(stream).lines();
        answer.write_all(b"220 letters\r\n").ok()?;
        let (mut to, mut text, mut in_text) = (String::new(), String::new(), false);
        loop {
            let line = lines.next()?.ok()?;
            let said = if in_text {
                if line != "." {
                    text.push_str(line.strip_prefix('.').unwrap_or(&line));
                    text.push('\n');
                    continue;
                }
                in_text = false;
                let body = body_of(&std::mem::take(&mut text));
                self.0.lock().unwrap().push(Letter { to: to.clone(), body });
                "250 taken"
            } else if let Some(whom) = line.strip_prefix("RCPT TO:<") {
                to = whom.split('>').next()?.to_owned();
                "250 ok"
            } else if line == "DATA" {
                in_text = true;
                "354 go on"
            } else if line == "QUIT" {
                answer.write_all(b"221 bye\r\n").ok()?;
                return None;
            } else {
                "250 ok"
            };
            answer.write_all(format!("{said}\r\n").as_bytes()).ok()?;
        }
    }
}

/// A message's text as it was before it was written for the wire.
fn body_of(message: &str) -> String {
    let (head, body) = message.split_once("\n\n").unwrap_or_default();
    let head = head.to_ascii_lowercase();
    if head.contains("content-transfer-encoding: base64") {
        let bytes = BASE64.decode(body.split_whitespace().collect::<String>()).unwrap();
        return String::from_utf8(bytes).unwrap();
    }
    if !head.contains("content-transfer-encoding: quoted-printable") {
        return body.to_owned();
    }
    let whole = body.replace("=\n", "");
    let mut parts = whole.split('=');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(&part[..2], 16).unwrap());
        bytes.extend(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).unwrap()
}
