//! Network namespaces, and the TUN devices in them that are the ends of a line.
//!
//! A namespace belongs to a thread and to the threads and processes that it starts. It has no name, so the kernel
//! removes it when nothing uses it any more, even if the whole test was killed.

use std::net::Ipv4Addr;
use std::panic::resume_unwind;
use std::process::Command;
use std::{fs, io, thread};

use nix::sched::{CloneFlags, unshare};
use tun_rs::{DeviceBuilder, SyncDevice};

/// The device's name. Each namespace has only this device and `lo`.
const DEVICE: &str = "line";

/// Runs this on a thread in a new namespace. Returns an error if no namespace can be created.
pub fn in_new_namespace<T: Send>(run: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let run = || {
            unshare(CloneFlags::CLONE_NEWNET)?;
            run()
        };
        scope.spawn(run).join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// Creates the end of a line in this thread's namespace. Packets that programs send to `other` can be read from the
/// device, and packets that are written to the device arrive as if `other` had sent them. `send_buffer` is the most
/// bytes that each socket holds until they are acknowledged.
pub fn create_device(address: Ipv4Addr, other: Ipv4Addr, send_buffer: usize) -> io::Result<SyncDevice> {
    let limits = format!("{send_buffer} {send_buffer} {send_buffer}"); // minimum, default, maximum
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
    let message = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("ip {arguments}: {message}")))
}
