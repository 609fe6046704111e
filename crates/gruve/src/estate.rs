//! What a running `gruve` leaves to the program it becomes: sockets, and papers about them.
//!
//! A graceful restart (SIGUSR2) replaces the program within the same process, so that a service
//! manager sees nothing end, and open sockets stay open. What is to be kept is written into an
//! anonymous file in memory whose number the environment tells.
//!
//! | step | who |
//! |---|---|
//! | the new program checks the configuration, as a child; if it finds fault, nothing happens | old |
//! | miners' connections are set aside between two messages; work, books and files are closed | old |
//! | [`Estate::pass_on`]: marks the sockets as staying open and executes the new program | old |
//! | [`Estate::inherit`]: takes them, and no child of its own gets them any more | new |
//!
//! If the new program cannot be executed, the old one starts its house again with the same estate.
//! Bytes that arrive meanwhile wait in the kernel.

// One use of `unsafe` below, with its argument.
#![allow(unsafe_code)]

use rustix::io::{FdFlags, fcntl_setfd};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

/// The variable that tells the number of the will's file.
pub const VARIABLE: &str = "GRUVE_ESTATE";

/// The form of the will; another version's is not read, and its sockets close.
const FORM: u32 = 1;

/// Sockets and papers by name.
#[derive(Debug, Default)]
pub struct Estate {
    sockets: BTreeMap<String, OwnedFd>,
    papers: BTreeMap<String, Vec<u8>>,
}

/// What stands at the beginning of the file, on one line; the papers follow, one after the other.
#[derive(Serialize, Deserialize)]
struct Will {
    form: u32,
    sockets: BTreeMap<String, RawFd>,
    /// Lengths in bytes.
    papers: Vec<(String, usize)>,
}

impl Estate {
    /// Sets a socket aside.
    pub fn leave(&mut self, name: String, socket: impl Into<OwnedFd>) {
        self.sockets.insert(name, socket.into());
    }

    /// Sets a paper aside.
    pub fn write(&mut self, name: String, paper: Vec<u8>) {
        self.papers.insert(name, paper);
    }

    /// Takes a socket.
    pub fn take(&mut self, name: &str) -> Option<OwnedFd> {
        self.sockets.remove(name)
    }

    /// Takes a paper.
    pub fn read(&mut self, name: &str) -> Option<Vec<u8>> {
        self.papers.remove(name)
    }

    /// Sets a listening socket aside, under its address.
    pub fn leave_listener(&mut self, listener: TcpListener) {
        if let Ok(address) = listener.local_addr() {
            self.leave(door(address), listener);
        }
    }

    /// Takes the socket that listens where the configuration wants one.
    pub fn listener(&mut self, address: SocketAddr) -> Option<TcpListener> {
        self.take(&door(address)).map(TcpListener::from)
    }

    /// What the program before this one left, empty at an ordinary start; and why it could not be read, if so: nothing can
    /// be logged yet. Call it once, first.
    #[must_use]
    pub fn inherit() -> (Estate, Option<String>) {
        let number = std::env::var(VARIABLE).ok().and_then(|n| n.parse::<RawFd>().ok());
        let will = number.filter(|n| *n > 2).and_then(own).map(File::from);
        match will.map(Estate::read_will) {
            Some(Ok(estate)) => (estate, None),
            Some(Err(why)) => (Estate::default(), Some(why)),
            None => (Estate::default(), None),
        }
    }

    fn read_will(mut file: File) -> Result<Estate, String> {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(|e| e.to_string())?;
        let line = bytes.iter().position(|b| *b == b'\n').ok_or("it has no first line")?;
        let will: Will = serde_json::from_slice(&bytes[..line]).map_err(|e| e.to_string())?;
        let mut estate = Estate::default();
        // Taken whatever the form, so that what is not wanted closes.
        for (name, number) in will.sockets {
            if let Some(socket) = own(number) {
                estate.sockets.insert(name, socket);
            }
        }
        if will.form != FORM {
            return Err(format!("its form is {}, known is {FORM}", will.form));
        }
        let mut rest = &bytes[line + 1..];
        for (name, length) in will.papers {
            let (paper, after) = rest.split_at_checked(length).ok_or("it is cut short")?;
            estate.papers.insert(name, paper.to_vec());
            rest = after;
        }
        Ok(estate)
    }

    /// Becomes `program`, started with this process's own arguments. Comes back only when that
    /// failed, with the estate unchanged.
    #[must_use]
    pub fn pass_on(self, program: &Path) -> (std::io::Error, Estate) {
        let error = match self.write_will() {
            Ok(file) => {
                let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
                let number = file.as_raw_fd().to_string();
                Command::new(program).args(arguments).env(VARIABLE, number).exec()
            }
            Err(e) => e,
        };
        for socket in self.sockets.values() {
            // Best effort: at worst a child inherits it.
            let _ = fcntl_setfd(socket, FdFlags::CLOEXEC);
        }
        (error, self)
    }

    fn write_will(&self) -> std::io::Result<File> {
        let will = Will {
            form: FORM,
            sockets: self.sockets.iter().map(|(n, s)| (n.clone(), s.as_raw_fd())).collect(),
            papers: self.papers.iter().map(|(n, p)| (n.clone(), p.len())).collect(),
        };
        let flags = rustix::fs::MemfdFlags::empty();
        let mut file = File::from(rustix::fs::memfd_create("gruve-estate", flags)?);
        serde_json::to_writer(&mut file, &will)?;
        file.write_all(b"\n")?;
        for paper in self.papers.values() {
            file.write_all(paper)?;
        }
        file.rewind()?;
        for socket in self.sockets.values() {
            fcntl_setfd(socket.as_fd(), FdFlags::empty())?;
        }
        Ok(file)
    }
}

fn door(address: SocketAddr) -> String {
    format!("listening on {address}")
}

/// Takes an open file by its number; `None` when nothing is open there.
fn own(number: RawFd) -> Option<OwnedFd> {
    let is_open =
        number > 2 && std::fs::symlink_metadata(format!("/proc/self/fd/{number}")).is_ok();
    // SAFETY: the numbers come from the will that this process itself wrote before it became this
    // program; each is taken once, at the beginning of `main` before anything else opens files, so
    // nobody else owns it; and it is open, as was just seen.
    let socket = is_open.then(|| unsafe { OwnedFd::from_raw_fd(number) })?;
    fcntl_setfd(&socket, FdFlags::CLOEXEC).ok()?;
    Some(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_will_is_read_as_it_was_written() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut estate = Estate::default();
        estate.leave_listener(listener.try_clone().unwrap());
        estate.write("b".to_owned(), b"line\nand line".to_vec());
        estate.write("a".to_owned(), Vec::new());
        let file = estate.write_will().unwrap();
        // The reader takes numbers over; here they are this test's own, so the writer forgets them.
        let sockets = std::mem::take(&mut estate.sockets);
        sockets.into_values().for_each(|s| {
            use std::os::fd::IntoRawFd as _;
            let _ = s.into_raw_fd();
        });
        let mut read = Estate::read_will(file).unwrap();
        assert_eq!(read.read("b").unwrap(), b"line\nand line");
        assert_eq!(read.read("a").unwrap(), b"");
        assert_eq!(read.read("a"), None);
        let door = read.listener(address).unwrap();
        assert_eq!(door.local_addr().unwrap(), address);
        drop(listener);
    }

    #[test]
    fn a_listener_elsewhere_than_configured_is_not_used() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut other = listener.local_addr().unwrap();
        other.set_port(other.port() ^ 1);
        let mut estate = Estate::default();
        estate.leave_listener(listener);
        assert!(estate.listener(other).is_none());
    }
}
