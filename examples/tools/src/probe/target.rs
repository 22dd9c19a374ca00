//! What is probed: relays, each at one address.

use std::collections::HashSet;

use tox_relay_client::{Address, PublicKey};

use crate::probe::list::{Families, Listed};
use crate::probe::resolve::Found;

/// A relay at one of its addresses, which is probed by itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// Where it is probed: a host name if the proxy looks it up, or if it has no address.
    pub address: Address,
    pub key: PublicKey,
    /// What it is called in the list, or the name of its host.
    pub name: Option<String>,
    /// What is looked up before each round; `None` if there is nothing to look up here.
    host: Option<Host>,
    /// Why the host name has no address.
    pub unresolved: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
struct Host {
    /// The name and the port.
    address: Address,
    families: Families,
}

/// One target for each address, once. `found`: what the names are; `None` if a proxy looks them up.
///
/// A name has a target for each family in which it has an address, or one if it has none.
pub fn targets(relays: Vec<Listed>, families: Families, found: Option<&Found>) -> Vec<Target> {
    let (mut targets, mut known) = (Vec::new(), HashSet::new());
    for Listed { addresses, key, name } in relays {
        for (address, meant) in addresses {
            for target in at(&address, key, name.as_deref(), families.and(meant), found) {
                if known.insert((target.address.clone(), key)) {
                    targets.push(target);
                }
            }
        }
    }
    targets
}

fn at(
    address: &Address,
    key: PublicKey,
    name: Option<&str>,
    families: Families,
    found: Option<&Found>,
) -> Vec<Target> {
    let target = |host| Target {
        address: address.clone(),
        key,
        name: name.map(str::to_owned),
        host,
        unresolved: None,
    };
    let is_meant = match address.socket_addr() {
        Some(address) => families.has(address.ip()),
        None => families != Families::NONE,
    };
    if !is_meant {
        return Vec::new();
    }
    let (Some(host), Some(found)) = (address.host_name(), found) else { return vec![target(None)] };
    let resolved = |families| {
        let name = name.unwrap_or(host).to_owned();
        let host = Host { address: address.clone(), families };
        let mut target = Target { name: Some(name), ..target(Some(host)) };
        target.resolve(found);
        target
    };
    let each = [Families::IPV4, Families::IPV6].map(|family| families.and(family));
    let mut all: Vec<Target> = each.into_iter().map(resolved).collect();
    all.retain(|target| target.unresolved.is_none());
    if all.is_empty() {
        all.push(resolved(families));
    }
    all
}

impl Target {
    /// The host name to look up, if there is one.
    pub fn host(&self) -> Option<&str> {
        self.host.as_ref()?.address.host_name()
    }

    /// The families in which the host name is looked up, if there is one.
    pub fn families(&self) -> Option<Families> {
        self.host.as_ref().map(|host| host.families)
    }

    /// Takes the first address of the host name, which may be another one than before.
    pub fn resolve(&mut self, found: &Found) {
        let Some(Host { address: host, families }) = &self.host else { return };
        let answer = host.host_name().and_then(|name| found.get(name));
        let first = match answer {
            Some(Ok(addresses)) => addresses
                .iter()
                .find(|ip| families.has(**ip))
                .ok_or_else(|| format!("the host name has no {families} address")),
            Some(Err(error)) => Err(format!("the host name cannot be resolved: {error}")),
            None => Err("the host name was not looked up".to_owned()),
        };
        let first = first.and_then(|ip| {
            Address::try_from((*ip, host.port())).map_err(|error| format!("the host name is {ip}: {error}"))
        });
        (self.address, self.unresolved) = match first {
            Ok(address) => (address, None),
            Err(error) => (host.clone(), Some(error)),
        };
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::time::{Duration, Instant};

    use super::*;

    const BOTH: Families = Families { ipv4: true, ipv6: true };

    fn relay(addresses: &[&str]) -> Vec<Listed> {
        let addresses = addresses.iter().map(|address| (address.parse().unwrap(), BOTH)).collect();
        vec![Listed { addresses, key: [9; 32].into(), name: None }]
    }

    fn look(addresses: &[&str], families: Families, found: Option<&Found>) -> Vec<String> {
        let targets = targets(relay(addresses), families, found);
        targets.iter().map(|target| target.address.to_string()).collect()
    }

    fn found(answer: Result<&[&str], &str>) -> Found {
        let parsed = answer.map(|ips| ips.iter().map(|ip| ip.parse().unwrap()).collect());
        Found::from([("relay.example".to_owned(), parsed.map_err(str::to_owned))])
    }

    #[test]
    fn an_address_is_probed_once() {
        let all = ["192.0.2.1:1", "192.0.2.1:2", "192.0.2.1:1", "relay.example:1"];
        let found = found(Ok(&["192.0.2.1"]));
        assert_eq!(look(&all, BOTH, Some(&found)), ["192.0.2.1:1", "192.0.2.1:2"]);
    }

    #[test]
    fn a_list_with_many_ports_was_compared_for_minutes() {
        let addresses = (0..100_000_u32).map(|number| {
            let [_, high, middle, low] = number.to_be_bytes();
            (Address::try_from((IpAddr::from([127, 0, high, middle]), 1 + u16::from(low))).unwrap(), BOTH)
        });
        let relay = Listed { addresses: addresses.collect(), key: [9; 32].into(), name: None };
        let began = Instant::now();
        assert_eq!(targets(vec![relay], BOTH, None).len(), 100_000);
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    }

    #[test]
    fn a_family_that_is_not_meant_is_left_out() {
        let all = ["192.0.2.1:1", "[2001:db8::7]:1", "relay.example:2"];
        let found = found(Ok(&["192.0.2.2", "2001:db8::8", "192.0.2.3"]));
        let look = |families| look(&all, families, Some(&found));
        assert_eq!(look(Families::IPV4), ["192.0.2.1:1", "192.0.2.2:2"]);
        assert_eq!(look(Families::IPV6), ["[2001:db8::7]:1", "[2001:db8::8]:2"]);
        assert_eq!(look(BOTH).len(), 4);
        assert!(look(Families::NONE).is_empty());
    }

    #[test]
    fn through_a_proxy_a_name_stays_a_name() {
        assert_eq!(look(&["relay.example:1"], Families::IPV4, None), ["relay.example:1"]);
    }

    #[test]
    fn a_name_that_moves_or_is_lost_while_watching_is_noticed() {
        let relay = relay(&["relay.example:1"]);
        let [target] = &mut targets(relay, BOTH, Some(&found(Ok(&["192.0.2.1"]))))[..] else { panic!() };
        for (answer, address, unresolved) in [
            (Ok(&["192.0.2.2"][..]), "192.0.2.2:1", None),
            (Err("lost"), "relay.example:1", Some("the host name cannot be resolved: lost")),
            (Ok(&["2001:db8::7"]), "relay.example:1", Some("the host name has no IPv4 address")),
            (Ok(&["192.0.2.1"]), "192.0.2.1:1", None),
        ] {
            target.resolve(&found(answer));
            assert_eq!((&*target.address.to_string(), target.unresolved.as_deref()), (address, unresolved));
        }
    }

    #[test]
    fn a_name_without_an_address_is_one_target_that_waits_for_one() {
        let [target] = &mut targets(relay(&["relay.example:1"]), BOTH, Some(&found(Err("none"))))[..] else {
            panic!()
        };
        assert!(target.unresolved.is_some());
        target.resolve(&found(Ok(&["2001:db8::7"])));
        assert_eq!((target.address.to_string(), &target.unresolved), ("[2001:db8::7]:1".to_owned(), &None));
    }
}
