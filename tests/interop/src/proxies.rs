//! Real proxy servers on loopback.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::directory::Directory;
use crate::error::Error;
use crate::ports::free_ports;
use crate::process::{Process, Program};

/// The limit for the port to accept connections. Squid takes a second, the others some tens of milliseconds.
const START_LIMIT: Duration = Duration::from_secs(20);

/// The most starts, each with another port: the program ends at once if its port is in use.
const START_TRIES: u32 = 5;

/// The only user name that proxies with a login accept.
pub const USER: &str = "alice";
/// The password of [`USER`].
pub const PASSWORD: &str = "secret";
/// The same user and password as a file for `basic_ncsa_auth` (by `openssl passwd -apr1`).
const PASSWORD_FILE: &str = "alice:$apr1$testsalt$j7AAmGAhN8liB8qiU.irj1\n";

/// The directory's permissions. If squid is started as root, it reads the password file as another user.
const TRAVERSABLE: u32 = 0o711;

/// A proxy server, and whether it requires a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyKind {
    /// A small SOCKS5 server.
    Microsocks {
        /// With user name and password (RFC 1929).
        login: bool,
    },
    /// SOCKS4 and SOCKS5 on one port, without a login.
    Dante,
    /// A small HTTP proxy.
    Tinyproxy {
        /// With Basic credentials.
        login: bool,
    },
    /// An HTTP proxy that is common in companies.
    Squid {
        /// With Basic credentials.
        login: bool,
    },
}

/// A running proxy, in its own temporary directory. Dropping it ends the process and removes the directory, also during
/// a panic.
#[derive(Debug)]
pub struct RealProxy {
    // Fields are dropped in this order: the process ends before its directory is removed.
    process: Process,
    _directory: Directory,
    address: SocketAddr,
}

impl RealProxy {
    /// Starts a proxy on a free port of 127.0.0.1, and waits until it accepts connections.
    pub fn start(kind: ProxyKind) -> Result<Self, Error> {
        let mut tries = 1;
        loop {
            match Self::try_start(kind) {
                Err(Error::Ended { .. }) if tries < START_TRIES => tries += 1,
                outcome => return outcome,
            }
        }
    }

    /// The proxy's address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    fn try_start(kind: ProxyKind) -> Result<Self, Error> {
        let program = kind.program();
        let directory = Directory::new(program.name, TRAVERSABLE)
            .map_err(|source| Error::Io { what: "create a directory", source })?;
        // The second of the two ports is free for TCP.
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
        proxy.process.wait_until_listening(address, START_LIMIT)?;
        Ok(proxy)
    }
}

impl Drop for RealProxy {
    fn drop(&mut self) {
        // Squid's shared memory. Squid removes it only when it ends normally, which takes seconds.
        let prefix = squid_name(self.address.port());
        for entry in fs::read_dir("/dev/shm").into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(&prefix) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// The service name of squid, with which the names of its shared memory begin.
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

    /// The configuration file. Paths are relative to the program's working directory.
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
