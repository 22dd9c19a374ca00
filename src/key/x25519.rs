//! X25519 (RFC 7748): by graviola, whose assembler for x86-64 is proved correct and takes half the time, where the
//! processor has what that needs; by curve25519-dalek elsewhere.

use zeroize::{Zeroize, Zeroizing};

use crate::key::KEY_LEN;

/// The public key of a secret one.
pub(super) fn public_key(secret: &[u8; KEY_LEN]) -> [u8; KEY_LEN] {
    #[cfg(target_arch = "x86_64")]
    if verified::is_supported() {
        return verified::public_key(secret);
    }
    portable::public_key(secret)
}

/// The point that belongs to a secret key and another's public one; `None` where that is of low order, and anybody could
/// find it.
pub(super) fn shared_point(
    secret: &[u8; KEY_LEN],
    public: &[u8; KEY_LEN],
) -> Option<Zeroizing<[u8; KEY_LEN]>> {
    #[cfg(target_arch = "x86_64")]
    if verified::is_supported() {
        return verified::shared_point(secret, public);
    }
    portable::shared_point(secret, public)
}

#[cfg(target_arch = "x86_64")]
mod verified {
    use graviola::key_agreement::x25519::{PublicKey, StaticPrivateKey};

    use super::{KEY_LEN, Zeroizing};

    /// What graviola asks for, or it panics.
    pub(super) fn is_supported() -> bool {
        is_x86_feature_detected!("adx")
            && is_x86_feature_detected!("aes")
            && is_x86_feature_detected!("avx")
            && is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("pclmulqdq")
    }

    pub(super) fn public_key(secret: &[u8; KEY_LEN]) -> [u8; KEY_LEN] {
        StaticPrivateKey::from_array(secret).public_key().as_bytes()
    }

    pub(super) fn shared_point(
        secret: &[u8; KEY_LEN],
        public: &[u8; KEY_LEN],
    ) -> Option<Zeroizing<[u8; KEY_LEN]>> {
        let point = StaticPrivateKey::from_array(secret).diffie_hellman(&PublicKey::from_array(public));
        point.ok().map(|point| Zeroizing::new(point.0))
    }
}

mod portable {
    use curve25519_dalek::montgomery::MontgomeryPoint;
    use curve25519_dalek::traits::IsIdentity;

    use super::{KEY_LEN, Zeroize, Zeroizing};

    pub(super) fn public_key(secret: &[u8; KEY_LEN]) -> [u8; KEY_LEN] {
        MontgomeryPoint::mul_base_clamped(*secret).to_bytes()
    }

    pub(super) fn shared_point(
        secret: &[u8; KEY_LEN],
        public: &[u8; KEY_LEN],
    ) -> Option<Zeroizing<[u8; KEY_LEN]>> {
        let mut point = MontgomeryPoint(*public).mul_clamped(*secret);
        // RFC 7748, section 6.1. A clamped number is a multiple of 8, which takes all points of low order to zero.
        let shared = (!point.is_identity()).then(|| Zeroizing::new(point.to_bytes()));
        point.zeroize();
        shared
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn edges_come_to_the_same_by_both() {
        if !verified::is_supported() {
            return;
        }
        // Zero, one, p - 1, p, p + 1 and 2^255 - 1, with the highest bit that is to be ignored and without.
        let mut edges = vec![[0; KEY_LEN], [0xff; KEY_LEN]];
        for low in [0xec, 0xed, 0xee] {
            let mut edge = [0xff; KEY_LEN];
            (edge[0], edge[KEY_LEN - 1]) = (low, 0x7f);
            edges.push(edge);
        }
        edges.push(std::array::from_fn(|at| u8::from(at == 0)));
        edges.push(std::array::from_fn(|at| u8::from(at == 0) * 9));
        for edge in edges.clone() {
            edges.push(std::array::from_fn(|at| edge[at] ^ if at == KEY_LEN - 1 { 0x80 } else { 0 }));
        }
        for secret in &edges {
            assert_eq!(verified::public_key(secret), portable::public_key(secret));
            for public in &edges {
                assert_eq!(verified::shared_point(secret, public), portable::shared_point(secret, public));
            }
        }
    }

    proptest! {
        #[test]
        #[cfg(target_arch = "x86_64")]
        fn any_keys_come_to_the_same_by_both(secret: [u8; KEY_LEN], public: [u8; KEY_LEN]) {
            if verified::is_supported() {
                prop_assert_eq!(verified::public_key(&secret), portable::public_key(&secret));
                prop_assert_eq!(verified::shared_point(&secret, &public), portable::shared_point(&secret, &public));
            }
        }

        #[test]
        fn both_sides_come_to_the_same(one: [u8; KEY_LEN], other: [u8; KEY_LEN]) {
            prop_assert_eq!(shared_point(&one, &public_key(&other)), shared_point(&other, &public_key(&one)));
        }
    }
}
