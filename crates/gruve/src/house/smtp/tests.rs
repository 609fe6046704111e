use super::*;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Barrier, mpsc};

/// What the test's mail server answers.
#[derive(Clone, Default)]
pub(crate) struct Manners {
    /// To who the sender is, instead of yes.
    pub(crate) refusal: Option<&'static str>,
    /// A letter is taken once so many wait to be, each on a connection of its own.
    pub(crate) together: Option<std::sync::Arc<Barrier>>,
    /// Ends a connection, without a word, after so many letters on it.
    pub(crate) letters: Option<u32>,
}

/// What came in: on which connection, and what.
pub(crate) type Came = (usize, String);

/// A mail server; where it is, and what comes in.
pub(crate) async fn server(manners: Manners) -> (u16, mpsc::UnboundedReceiver<Came>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, came) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        for number in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(talk(stream, number, manners.clone(), tell.clone()));
        }
    });
    (port, came)
}

async fn talk(
    stream: TcpStream,
    number: usize,
    manners: Manners,
    tell: mpsc::UnboundedSender<Came>,
) {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    let (mut text, mut in_data, mut letters) = (String::new(), false, 0);
    let mut answer = "220 sink".to_owned();
    loop {
        if write.write_all(format!("{answer}\r\n").as_bytes()).await.is_err() {
            return;
        }
        if manners.letters.is_some_and(|most| letters >= most) {
            return;
        }
        loop {
            let Ok(Some(line)) = lines.next_line().await else { return };
            if in_data && line != "." {
                text.push_str(&line);
                text.push('\n');
                continue;
            }
            let said = if in_data {
                if let Some(together) = &manners.together {
                    together.wait().await;
                }
                (in_data, letters) = (false, letters + 1);
                let _listening = tell.send((number, std::mem::take(&mut text)));
                "250 taken"
            } else if line.starts_with("MAIL") {
                manners.refusal.unwrap_or("250 ok")
            } else if line == "DATA" {
                in_data = true;
                "354 go on"
            } else if line == "QUIT" {
                return;
            } else {
                "250 ok"
            };
            said.clone_into(&mut answer);
            break;
        }
    }
}

pub(crate) fn config(port: u16) -> MailConfig {
    MailConfig {
        host: "127.0.0.1".into(),
        port: Some(port),
        security: MailSecurity::None,
        from: "Gruve <gruve@example.org>".into(),
        user: None,
        password_file: None,
        connections: 4,
        letters_per_second: 20,
        confirm_sign_up: true,
    }
}

fn letter() -> Mail {
    Mail {
        to: "anna@example.org".into(),
        subject: "Gruve: confirm".into(),
        body: "Open https://gruve.test/confirm?ticket=abc\n".into(),
    }
}

async fn sent(refusal: Option<&'static str>) -> Result<(), MailError> {
    let (port, _) = server(Manners { refusal, ..Manners::default() }).await;
    Smtp::new(&config(port)).unwrap().send(&letter()).await
}

#[tokio::test]
async fn a_message_reaches_the_server_whole() {
    let (port, mut came) = server(Manners::default()).await;
    Smtp::new(&config(port)).unwrap().send(&letter()).await.unwrap();
    let (_, text) = came.recv().await.unwrap();
    for part in [
        "From: Gruve <gruve@example.org>",
        "To: anna@example.org",
        "Subject: Gruve: confirm",
        "https://gruve.test/confirm?ticket=abc",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[tokio::test]
async fn a_server_that_says_later_is_asked_later_and_one_that_says_never_is_not() {
    assert!(matches!(sent(Some("451 busy")).await.unwrap_err(), MailError::Later(_)));
    assert!(matches!(sent(Some("550 no")).await.unwrap_err(), MailError::Never(_)));
}

#[tokio::test]
async fn letters_share_a_connection_until_it_has_had_its_number() {
    let (port, mut came) = server(Manners::default()).await;
    let smtp = Smtp::new(&config(port)).unwrap();
    let most = usize::try_from(LETTERS_A_CONNECTION).unwrap();
    for n in 0..=most {
        smtp.send(&letter()).await.unwrap();
        let (connection, _) = came.recv().await.unwrap();
        assert_eq!(connection, n / most, "{n}");
    }
    // What rests is ended, and the next letter has a new one.
    smtp.hang_up().await;
    smtp.send(&letter()).await.unwrap();
    assert_eq!(came.recv().await.unwrap().0, 2);
}

#[tokio::test]
async fn a_connection_that_the_server_has_ended_costs_one_try_and_no_letter() {
    let (port, mut came) = server(Manners { letters: Some(1), ..Manners::default() }).await;
    let smtp = Smtp::new(&config(port)).unwrap();
    smtp.send(&letter()).await.unwrap();
    assert_eq!(came.recv().await.unwrap().0, 0);
    // It is not said a second time by itself: nobody knows what a server has that fell silent.
    assert!(matches!(smtp.send(&letter()).await, Err(MailError::Later(_))));
    smtp.send(&letter()).await.unwrap();
    assert_eq!(came.recv().await.unwrap().0, 1, "on a new one");
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_or_lets_nobody_in_is_asked_later() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let nobody = Smtp::new(&config(taken)).unwrap();
    assert!(matches!(nobody.send(&letter()).await, Err(MailError::Later(_))));
    // A password that is wrong today: no letter is given up for it.
    let (port, _) = server(Manners::default()).await;
    let mut smtp = Smtp::new(&config(port)).unwrap();
    smtp.credentials = Some(Credentials::new("gruve".into(), "wrong".into()));
    assert!(matches!(smtp.send(&letter()).await, Err(MailError::Later(_))));
}
