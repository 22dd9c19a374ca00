//! The addresses at which relays are probed.

use std::net::{SocketAddr, ToSocketAddrs};

use tox_relay_client::Address;

use crate::probe::list::{Families, Listed, Target};

/// One target for each address, once. If `direct`, the system looks names up, as the library does not; otherwise the
/// proxy does, and nothing is asked here: that would show the resolver which relays are meant.
pub fn targets(relays: Vec<Listed>, families: Families, direct: bool) -> Vec<Target> {
    let mut targets: Vec<Target> = Vec::new();
    for Listed { addresses, key, name } in relays {
        for (address, meant) in addresses {
            let both = Families { ipv4: families.ipv4 && meant.ipv4, ipv6: families.ipv6 && meant.ipv6 };
            let host = address.host_name().map(str::to_owned);
            for address in look_up(address, both, direct) {
                let found = host.clone().filter(|_| address.host_name().is_none());
                let name = name.clone().or(found);
                if !targets.iter().any(|target| target.address == address && target.key == key) {
                    targets.push(Target { address, key, name });
                }
            }
        }
    }
    targets
}

/// The first address of each family; the name itself if it has none. (Then the probe says that it has none.)
fn look_up(address: Address, families: Families, direct: bool) -> Vec<Address> {
    let is_meant = |address: &SocketAddr| if address.is_ipv4() { families.ipv4 } else { families.ipv6 };
    let Some(name) = address.host_name() else {
        return if address.socket_addr().as_ref().is_none_or(is_meant) { vec![address] } else { Vec::new() };
    };
    if !direct {
        return vec![address];
    }
    let found: Vec<SocketAddr> = (name, address.port())
        .to_socket_addrs()
        .map(|all| all.filter(is_meant).collect())
        .unwrap_or_default();
    let first = |ipv4| found.iter().find(move |address| address.is_ipv4() == ipv4);
    let addresses: Vec<Address> = [first(true), first(false)]
        .into_iter()
        .flatten()
        .filter_map(|found| (*found).try_into().ok())
        .collect();
    if addresses.is_empty() { vec![address] } else { addresses }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(addresses: &[&str], families: Families, direct: bool) -> Vec<String> {
        let both = Families { ipv4: true, ipv6: true };
        let addresses = addresses.iter().map(|address| (address.parse().unwrap(), both)).collect();
        let relay = Listed { addresses, key: [9; 32].into(), name: None };
        targets(vec![relay], families, direct).iter().map(|target| target.address.to_string()).collect()
    }

    #[test]
    fn an_address_is_probed_once() {
        let both = Families { ipv4: true, ipv6: true };
        assert_eq!(
            look(&["192.0.2.1:1", "192.0.2.1:2", "192.0.2.1:1"], both, true),
            ["192.0.2.1:1", "192.0.2.1:2"]
        );
    }

    #[test]
    fn a_family_that_is_not_meant_is_left_out() {
        let all = ["192.0.2.1:1", "[2001:db8::7]:1", "localhost:1"];
        let only = |ipv4| Families { ipv4, ipv6: !ipv4 };
        assert_eq!(look(&all, only(true), true), ["192.0.2.1:1", "127.0.0.1:1"]);
        assert_eq!(look(&all, only(false), true)[0], "[2001:db8::7]:1");
    }

    #[test]
    fn through_a_proxy_a_name_stays_a_name() {
        assert_eq!(look(&["localhost:1"], Families { ipv4: true, ipv6: false }, false), ["localhost:1"]);
    }
}
