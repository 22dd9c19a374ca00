//! The proxies that users have in front of them, on loopback.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::directory::Directory;
use crate::error::Error;
use crate::ports::free_ports;
use crate::process::{Process, Program};

/// For the port to answer. Squid takes a second, the others some tens of milliseconds.
const START_LIMIT: Duration = Duration::from_secs(20);

/// How often another port is tried when the program ends at once, as it does when its port is taken.
const START_TRIES: u32 = 5;

/// Who may use a proxy that wants a login, and nobody else.
pub const USER: &str = "alice";
/// The password of [`USER`].
pub const PASSWORD: &str = "secret";
/// The same two as `basic_ncsa_auth` reads them (`openssl passwd -apr1`).
const PASSWORD_FILE: &str = "alice:$apr1$testsalt$j7AAmGAhN8liB8qiU.irj1\n";

/// Started as root, squid reads the passwords as a user of its own.
const OPEN_TO_SQUID: u32 = 0o711;

/// A kind of proxy, and whether it wants to know who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyKind {
    /// SOCKS5, small.
    Microsocks {
        /// With user name and password (RFC 1929).
        login: bool,
    },
    /// SOCKS4 and SOCKS5 on one port, without a login.
    Dante,
    /// HTTP, small.
    Tinyproxy {
        /// With Basic credentials.
        login: bool,
    },
    /// HTTP, the one that companies run.
    Squid {
        /// With Basic credentials.
        login: bool,
    },
}

/// A running proxy, in a temporary directory of its own. Dropped, it takes the process and the directory along, in a
/// panic too.
#[derive(Debug)]
pub struct RealProxy {
    // Dropped in this order.
    process: Process,
    _directory: Directory,
    address: SocketAddr,
}

impl RealProxy {
    /// Starts a proxy on a free port of 127.0.0.1, and waits until it answers.
    pub fn start(kind: ProxyKind) -> Result<Self, Error> {
        let mut tries = 1;
        loop {
            match Self::try_start(kind) {
                Err(Error::Ended { .. }) if tries < START_TRIES => tries += 1,
                outcome => return outcome,
            }
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    fn try_start(kind: ProxyKind) -> Result<Self, Error> {
        let program = kind.program();
        let directory = Directory::new(program.name, OPEN_TO_SQUID)
            .map_err(|source| Error::Io { what: "make a directory", source })?;
        // TCP is free on the second port of the two.
        let port = free_ports(Ipv4Addr::LOCALHOST.into())? + 1;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        for (name, content) in [("conf", kind.config(port)), ("passwords", PASSWORD_FILE.to_owned())] {
            fs::write(directory.path().join(name), content)
                .map_err(|source| Error::Io { what: "write a configuration", source })?;
        }
        let arguments = kind.arguments(port);
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let (process, _) = Process::start(program, &arguments, directory.path(), |_| None::<()>)?;
        let mut proxy = Self { process, _directory: directory, address };
        proxy.process.wait_until_it_listens(address, START_LIMIT)?;
        Ok(proxy)
    }
}

impl Drop for RealProxy {
    fn drop(&mut self) {
        // What squid would remove by itself, if it were given the seconds that it takes to end.
        let prefix = squid_name(self.address.port());
        for entry in fs::read_dir("/dev/shm").into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(&prefix) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// Squid's name, under which it keeps its shared memory.
fn squid_name(port: u16) -> String {
    format!("test{port}x")
}

impl ProxyKind {
    fn program(self) -> Program {
        let (name, package) = match self {
            Self::Microsocks { .. } => ("microsocks", "microsocks"),
            Self::Dante => ("danted", "dante-server"),
            Self::Tinyproxy { .. } => ("tinyproxy", "tinyproxy"),
            Self::Squid { .. } => ("squid", "squid"),
        };
        Program { name, package }
    }

    fn arguments(self, port: u16) -> Vec<String> {
        let line = match self {
            Self::Microsocks { login: false } => format!("-i 127.0.0.1 -p {port}"),
            Self::Microsocks { login: true } => {
                format!("-i 127.0.0.1 -p {port} -u {USER} -P {PASSWORD}")
            }
            Self::Dante => "-f conf -p pid".to_owned(),
            Self::Tinyproxy { .. } => "-d -c conf".to_owned(),
            Self::Squid { .. } => format!("-N -n {} -f conf", squid_name(port)),
        };
        line.split(' ').map(str::to_owned).collect()
    }

    /// Paths are relative to the directory that the program is started in.
    fn config(self, port: u16) -> String {
        match self {
            Self::Microsocks { .. } => String::new(),
            Self::Dante => format!(
                "logoutput: stderr\n\
                 internal: 127.0.0.1 port = {port}\n\
                 external: lo\n\
                 clientmethod: none\n\
                 socksmethod: none\n\
                 user.unprivileged: nobody\n\
                 client pass {{ from: 127.0.0.0/8 to: 0.0.0.0/0 }}\n\
                 socks pass {{ from: 127.0.0.0/8 to: 0.0.0.0/0 }}\n"
            ),
            Self::Tinyproxy { login } => {
                let login = if login { format!("BasicAuth {USER} {PASSWORD}\n") } else { String::new() };
                format!("Port {port}\nListen 127.0.0.1\nTimeout 60\nAllow 127.0.0.1\nMaxClients 100\n{login}")
            }
            Self::Squid { login } => {
                let access = match login {
                    true => {
                        "auth_param basic program /usr/lib/squid/basic_ncsa_auth passwords\n\
                         auth_param basic children 1 startup=1\n\
                         acl known proxy_auth REQUIRED\n\
                         http_access allow known\n\
                         http_access deny all\n"
                    }
                    false => "http_access allow all\n",
                };
                format!(
                    "http_port 127.0.0.1:{port}\n\
                     {access}\
                     pid_filename none\n\
                     cache deny all\n\
                     access_log none\n\
                     cache_log stdio:/dev/null\n\
                     coredump_dir .\n\
                     shutdown_lifetime 0 seconds\n\
                     visible_hostname localhost\n\
                     pinger_enable off\n\
                     netdb_filename none\n"
                )
            }
        }
    }
}
