//! The types of the crate `socks` that an [`Address`] can be created from.

pub use ::socks::{TargetAddr, ToTargetAddr};

use crate::address::{Address, AddressError, Kind};

impl TryFrom<TargetAddr> for Address {
    type Error = AddressError;

    fn try_from(target: TargetAddr) -> Result<Self, AddressError> {
        match target {
            TargetAddr::Ip(address) => address.try_into(),
            TargetAddr::Domain(name, port) => (name, port).try_into(),
        }
    }
}

impl From<Address> for TargetAddr {
    fn from(address: Address) -> Self {
        match address.0 {
            Kind::Ip(address) => Self::Ip(address),
            Kind::Name(name, port) => Self::Domain(name.into(), port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_socks_is_checked_as_strictly_as_a_text() {
        let from = |name: &str| Address::try_from(TargetAddr::Domain(name.into(), 1));
        assert_eq!(from("a b"), Err(AddressError::Character(' ')));
        assert_eq!(from("127.0.0.1"), "127.0.0.1:1".parse());
        for text in ["198.51.100.7:33445", "[2001:db8::7]:443", "[fe80::7%2]:65535", "relay.example:33445"] {
            let address: Address = text.parse().unwrap();
            assert_eq!(Address::try_from(TargetAddr::from(address.clone())), Ok(address));
        }
    }
}
