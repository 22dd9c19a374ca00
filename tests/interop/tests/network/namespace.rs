//! Network namespaces, and the ends of a line in them.
//!
//! A namespace belongs to a thread and to what the thread starts. It has no name, so nothing has to be removed: the
//! kernel does that when nobody is in it any more, even after the whole test was killed.

use std::net::Ipv4Addr;
use std::panic::resume_unwind;
use std::process::Command;
use std::{fs, io, thread};

use nix::sched::{CloneFlags, unshare};
use tun_rs::{DeviceBuilder, SyncDevice};

/// The device's name; each namespace has only one, and `lo`.
const DEVICE: &str = "line";

/// Runs this in a new namespace, or not at all if none can be created.
pub fn inside<T: Send>(run: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let run = || {
            unshare(CloneFlags::CLONE_NEWNET)?;
            run()
        };
        scope.spawn(run).join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// The end of a line in this thread's namespace: what is sent to `other` can be read from the device, and what is
/// written to the device is received from `other`. Each socket holds at most so many bytes that wait to be sent or
/// confirmed.
pub fn end_of_line(address: Ipv4Addr, other: Ipv4Addr, send_buffer: usize) -> io::Result<SyncDevice> {
    let limits = format!("{send_buffer} {send_buffer} {send_buffer}"); // least, at first, most
    fs::write("/proc/sys/net/ipv4/tcp_wmem", limits)?;
    let device = DeviceBuilder::new().name(DEVICE).build_sync()?;
    device.set_nonblocking(true)?;
    ip(&format!("address add {address} peer {other} dev {DEVICE}"))?;
    ip(&format!("link set {DEVICE} up"))?;
    ip("link set lo up")?;
    Ok(device)
}

fn ip(arguments: &str) -> io::Result<()> {
    let output = Command::new("ip").args(arguments.split(' ')).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("ip {arguments}: {said}")))
}
