//! What the operating system is asked for: many sockets, a core of one's own, one clock for two
//! processes, the memory of another process.

use mio::net::TcpStream;
use rustix::net::{AddressFamily, SocketType};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;

/// Connections from one source address at most. Linux has 28,231 ports for them by default
/// (`ip_local_port_range`) and gives every second one first: 14,116. Beyond them it searches for each
/// among all that are taken, some milliseconds.
pub(crate) const CONNECTIONS_PER_SOURCE_MAX: usize = 12_000;

/// Raises the soft limit of open files to the hard one and gives it.
pub(crate) fn raise_file_limit() -> u64 {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Refused: then the old limit stands.
    let _ = setrlimit(Resource::Nofile, limit);
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// The loopback address that the `n`th connection comes from: 127.0.0.`first` for the first
/// [`CONNECTIONS_PER_SOURCE_MAX`], then the next and so on.
#[must_use]
pub(crate) fn source_of(first: u8, n: usize) -> Ipv4Addr {
    let last = usize::from(first) + n / CONNECTIONS_PER_SOURCE_MAX;
    Ipv4Addr::new(127, 0, 0, u8::try_from(last).unwrap_or(u8::MAX))
}

/// Begins to connect; from a loopback address of its own where the target is on loopback, so that
/// the ports of one address are not the limit.
pub(crate) fn connect(target: SocketAddr, first: u8, n: usize) -> io::Result<TcpStream> {
    if !cfg!(target_os = "linux") || !matches!(target.ip(), IpAddr::V4(ip) if ip.is_loopback()) {
        return TcpStream::connect(target);
    }
    let fd = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None)?;
    rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::CLOEXEC)?;
    rustix::io::ioctl_fionbio(&fd, true)?;
    // Closed at once, without the minute in which a used port rests: runs follow each other.
    rustix::net::sockopt::set_socket_linger(&fd, Some(std::time::Duration::ZERO))?;
    rustix::net::bind(&fd, &SocketAddr::from((source_of(first, n), 0)))?;
    match rustix::net::connect(&fd, &target) {
        Ok(()) | Err(rustix::io::Errno::INPROGRESS) => Ok(from_fd(fd)),
        Err(e) => Err(e.into()),
    }
}

fn from_fd(fd: OwnedFd) -> TcpStream {
    TcpStream::from_std(std::net::TcpStream::from(fd))
}

/// Holds this thread, and those that it starts from here on, to one core.
///
/// # Errors
/// When there is no such core, or the system knows no such thing.
#[cfg(target_os = "linux")]
pub(crate) fn pin_to_core(core: usize) -> io::Result<()> {
    use rustix::thread::{CpuSet, sched_setaffinity};
    if core >= CpuSet::MAX_CPU {
        return Err(io::Error::other(format!("there is no core {core}")));
    }
    let mut cores = CpuSet::new();
    cores.set(core);
    sched_setaffinity(None, &cores).map_err(Into::into)
}

/// Holds this thread, and those that it starts from here on, to one core.
///
/// # Errors
/// When there is no such core, or the system knows no such thing.
#[cfg(not(target_os = "linux"))]
pub(crate) fn pin_to_core(_: usize) -> io::Result<()> {
    Err(io::Error::other("a process can be held to a core on Linux only"))
}

/// Lets this thread run wherever there is time.
#[cfg(target_os = "linux")]
pub(crate) fn run_on_any_core() {
    use rustix::thread::{CpuSet, sched_setaffinity};
    let mut cores = CpuSet::new();
    (0..CpuSet::MAX_CPU).for_each(|core| cores.set(core));
    // Refused: then it stays where it is.
    let _ = sched_setaffinity(None, &cores);
}

/// Lets this thread run wherever there is time.
#[cfg(not(target_os = "linux"))]
pub(crate) fn run_on_any_core() {}

/// Gives this thread the lowest priority (on Linux; elsewhere the process, which is worse but true).
pub(crate) fn yield_to_others() {
    // Refused: then it competes.
    let _ = rustix::process::nice(19);
}

/// Nanoseconds of the machine's monotonic clock: the same in every process.
#[must_use]
pub(crate) fn now_ns() -> u64 {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let (s, ns) = (u64::try_from(t.tv_sec), u64::try_from(t.tv_nsec));
    s.unwrap_or(0) * 1_000_000_000 + ns.unwrap_or(0)
}

/// Processor time of this thread, nanoseconds.
pub(crate) fn thread_cpu_ns() -> u64 {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let (s, ns) = (u64::try_from(t.tv_sec), u64::try_from(t.tv_nsec));
    s.unwrap_or(0) * 1_000_000_000 + ns.unwrap_or(0)
}

/// Resident memory of a process, bytes (Linux).
///
/// # Errors
/// When there is no such process, or no `/proc`.
pub(crate) fn resident_bytes(pid: u32) -> io::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
    let kib = line.and_then(|l| l.split_whitespace().next()).and_then(|n| n.parse::<u64>().ok());
    kib.map(|n| n * 1024).ok_or_else(|| io::Error::other("no VmRSS in /proc"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_beyond_a_source_s_ports_come_from_the_next() {
        assert_eq!(source_of(2, 0), Ipv4Addr::new(127, 0, 0, 2));
        assert_eq!(source_of(2, CONNECTIONS_PER_SOURCE_MAX), Ipv4Addr::new(127, 0, 0, 3));
    }

    #[test]
    fn a_process_finds_its_own_memory() {
        assert!(resident_bytes(std::process::id()).unwrap() > 1 << 20);
        assert!(resident_bytes(u32::MAX).is_err());
    }
}
