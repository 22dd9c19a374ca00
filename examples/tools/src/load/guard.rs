//! What is refused before anything is connected: relays of others, and more connections than the system allows.

use std::net::IpAddr;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tox_relay_client::{Address, Proxy};

/// Descriptors other than those of connections: the poller's, those of files and of the terminal.
const OTHERS: u64 = 32;

/// Whether the address is of this machine or of a private network. A host name is not: nobody knows where it leads. Nor
/// are link-local addresses: in a data centre, the provider's own services have them.
pub fn is_private(address: &Address) -> bool {
    address.socket_addr().is_some_and(|address| is_private_ip(address.ip()))
}

/// The same of a proxy's address. What is behind the proxy is the relay's address.
pub fn is_private_proxy(proxy: &Proxy) -> bool {
    is_private_ip(proxy.address().ip())
}

fn is_private_ip(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local(),
    }
}

/// Whether the relay is certainly on this machine.
pub fn is_loopback(address: &Address) -> bool {
    address.socket_addr().is_some_and(|address| address.ip().is_loopback())
}

/// The descriptors that so many connections need.
pub fn descriptors(connections: usize) -> u64 {
    connections as u64 + OTHERS
}

/// The most connections that [`allow`] can allow.
pub fn most_connections() -> u64 {
    getrlimit(Resource::Nofile).maximum.map_or(u64::MAX, |most| most.saturating_sub(OTHERS))
}

/// Raises the soft limit of descriptors to what is needed, if the hard limit allows it.
///
/// # Errors
///
/// What to do about a hard limit that is too low.
pub fn allow(descriptors: u64) -> Result<(), String> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= descriptors) {
        return Ok(());
    }
    let raised = Rlimit { current: Some(descriptors), maximum: limit.maximum };
    setrlimit(Resource::Nofile, raised).map_err(|_| {
        let current = limit.maximum.or(limit.current).unwrap_or_default();
        format!(
            "so many connections need {descriptors} file descriptors, and {current} are allowed at most: run \
             `ulimit -n {descriptors}` first, which only root may, or ask for fewer connections"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_this_machine_and_of_private_networks_are_private() {
        for (address, expected) in [
            ("127.0.0.1:1", true),
            ("127.9.9.9:1", true),
            ("10.1.2.3:1", true),
            ("172.16.0.1:1", true),
            ("172.31.255.255:1", true),
            ("192.168.7.7:1", true),
            ("[::1]:1", true),
            ("[fd00::1]:1", true),
            ("[::ffff:192.168.1.1]:1", true),
            ("0.0.0.0:1", false),
            ("[::]:1", false),
            ("8.8.8.8:1", false),
            ("192.0.2.1:1", false),
            ("172.32.0.1:1", false),
            ("100.64.0.1:1", false),
            ("169.254.1.1:1", false),
            ("255.255.255.255:1", false),
            ("[fe80::1]:1", false),
            ("[ff02::1]:1", false),
            ("[64:ff9b::8.8.8.8]:1", false),
            ("[2001:db8::1]:1", false),
            ("[::ffff:8.8.8.8]:1", false),
            ("localhost:1", false),
            ("relay.example:1", false),
        ] {
            assert_eq!(is_private(&address.parse().unwrap()), expected, "{address}");
        }
    }

    #[test]
    fn a_proxy_of_others_is_not_private() {
        for (url, expected) in [
            ("socks5://127.0.0.1:1080", true),
            ("http://192.168.1.1:3128", true),
            ("socks5h://[::1]:9050", true),
            ("socks5://8.8.8.8:1080", false),
            ("socks5://0.0.0.0:1080", false),
            ("http://[::ffff:8.8.8.8]:3128", false),
            ("socks4://169.254.1.1:1080", false),
        ] {
            assert_eq!(is_private_proxy(&url.parse().unwrap()), expected, "{url}");
        }
    }

    #[test]
    fn a_limit_that_is_high_enough_is_not_changed() {
        let before = getrlimit(Resource::Nofile);
        allow(1).unwrap();
        assert_eq!(getrlimit(Resource::Nofile), before);
    }
}
