//! Files below `data/`: read once from their beginning, hashed meanwhile, never further than the log says.

use super::source::Source;
use super::{VerifyError, lie};
use crate::publish::data_path;
use crate::summary::FileRef;
use crate::{Hash, WireError};
use sha2::{Digest as _, Sha256};
use std::io::{self, Read};

/// A file that is read once from its beginning, hashed meanwhile.
pub(super) struct Hashed<R> {
    inner: R,
    hash: Sha256,
    left: u64,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(to.len());
        let n = self.inner.read(&mut to[..most]).map_err(broken_off)?;
        self.left -= n as u64;
        self.hash.update(&to[..n]);
        Ok(n)
    }
}

/// A line that broke off says the same as a reader that wanted more than there is ([`io::ErrorKind::UnexpectedEof`]). The latter is a
/// fault of the file, and so a lie.
fn broken_off(e: io::Error) -> io::Error {
    match e.kind() {
        io::ErrorKind::UnexpectedEof => io::Error::new(io::ErrorKind::ConnectionAborted, e),
        _ => e,
    }
}

pub(super) fn open_data(
    source: &dyn Source,
    file: FileRef,
    missing: &'static str,
) -> Result<io::BufReader<Hashed<Box<dyn Read + Send>>>, VerifyError> {
    let path = data_path(&file.hash);
    let opened = source.open(&path);
    match opened.map_err(|source| VerifyError::Unreadable { path: path.clone(), source })? {
        Some(inner) => {
            let hashed = Hashed { inner, hash: Sha256::new(), left: file.bytes };
            Ok(io::BufReader::with_capacity(1 << 16, hashed))
        }
        None => lie(missing, path, "the file is not there"),
    }
}

/// Whether a file that was read to its end is the one of that hash.
pub(super) fn is_file(
    reader: io::BufReader<Hashed<Box<dyn Read + Send>>>,
    file: FileRef,
) -> Result<(), VerifyError> {
    let mut hashed = reader.into_inner();
    let path = data_path(&file.hash);
    let mut more = [0];
    let extra = hashed.inner.read(&mut more);
    let extra = extra.map_err(|source| VerifyError::Unreadable { path: path.clone(), source })?;
    let hash: Hash = hashed.hash.finalize().into();
    if extra > 0 || hashed.left > 0 || hash != file.hash {
        return lie("file-altered", path, "its bytes are not those of its hash");
    }
    Ok(())
}

/// A fault of the bytes is a lie, a fault of the disk is not.
pub(super) fn malformed<T>(name: &'static str, path: &str, e: WireError) -> Result<T, VerifyError> {
    match e {
        WireError::Io(source) => Err(VerifyError::Unreadable { path: path.to_owned(), source }),
        e => lie(name, path, e),
    }
}

macro_rules! read {
    ($name:literal, $path:expr, $what:expr) => {
        match $what {
            Ok(value) => value,
            Err(e) => return super::data::malformed($name, $path, e),
        }
    };
}

pub(super) use read;
