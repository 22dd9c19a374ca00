//! X25519 (RFC 7748). On x86-64 processors with the needed instructions it uses graviola, whose assembly code is
//! formally verified and takes half the time; elsewhere curve25519-dalek.

/// The length of a public or secret key: 32 bytes (X25519, RFC 7748).
pub const KEY_LEN: usize = 32;

/// Computes the public key of a secret key.
pub(super) fn public_key(secret: &[u8; KEY_LEN]) -> [u8; KEY_LEN] {
    #[cfg(target_arch = "x86_64")]
    if verified::is_supported() {
        return verified::public_key(secret);
    }
    portable::public_key(secret)
}

/// Calls `take` with the shared point of a secret key and another side's public key, and wipes the point. Returns
/// `None` if the public key is of low order.
///
/// A secret key is "clamped" to a multiple of 8, so that a component of low order in a public key reveals nothing about
/// it. (`crypto_box` 0.9.1 loses this property when it reduces the number: a relay could learn three bits of the secret
/// key.)
pub(super) fn with_shared_point<T>(
    secret: &[u8; KEY_LEN],
    public: &[u8; KEY_LEN],
    take: impl FnOnce(&[u8; KEY_LEN]) -> T,
) -> Option<T> {
    #[cfg(target_arch = "x86_64")]
    if verified::is_supported() {
        return verified::with_shared_point(secret, public, take);
    }
    portable::with_shared_point(secret, public, take)
}

#[cfg(target_arch = "x86_64")]
mod verified {
    use graviola::key_agreement::x25519::{PublicKey, StaticPrivateKey};

    use super::KEY_LEN;

    /// Whether the processor has what graviola needs. Without that, graviola panics.
    pub(super) fn is_supported() -> bool {
        !cfg!(tox_relay_client_portable)
            && is_x86_feature_detected!("adx")
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

    pub(super) fn with_shared_point<T>(
        secret: &[u8; KEY_LEN],
        public: &[u8; KEY_LEN],
        take: impl FnOnce(&[u8; KEY_LEN]) -> T,
    ) -> Option<T> {
        let point = StaticPrivateKey::from_array(secret).diffie_hellman(&PublicKey::from_array(public));
        // Take it by reference, so that it is not copied; it wipes itself when dropped.
        point.as_ref().ok().map(|point| take(&point.0))
    }
}

mod portable {
    use curve25519_dalek::montgomery::MontgomeryPoint;
    use curve25519_dalek::traits::IsIdentity;
    use zeroize::Zeroizing;

    use super::KEY_LEN;

    pub(super) fn public_key(secret: &[u8; KEY_LEN]) -> [u8; KEY_LEN] {
        MontgomeryPoint::mul_base_clamped(*secret).to_bytes()
    }

    pub(super) fn with_shared_point<T>(
        secret: &[u8; KEY_LEN],
        public: &[u8; KEY_LEN],
        take: impl FnOnce(&[u8; KEY_LEN]) -> T,
    ) -> Option<T> {
        let point = Zeroizing::new(MontgomeryPoint(*public).mul_clamped(*secret));
        // The check of RFC 7748, section 6.1. Multiplying a point of low order by a multiple of 8 results in zero.
        (!point.is_identity()).then(|| take(point.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shared_point(secret: &[u8; KEY_LEN], public: &[u8; KEY_LEN]) -> Option<[u8; KEY_LEN]> {
        with_shared_point(secret, public, |point| *point)
    }

    fn portable_point(secret: &[u8; KEY_LEN], public: &[u8; KEY_LEN]) -> Option<[u8; KEY_LEN]> {
        portable::with_shared_point(secret, public, |point| *point)
    }

    #[test]
    fn both_implementations_agree_at_edge_cases() {
        // 0, 1, 9, p - 1, p, p + 1 and 2^255 - 1, with and without the highest bit, which X25519 ignores.
        let mut edges = vec![[0; KEY_LEN], [0xff; KEY_LEN]];
        for low in [0xec, 0xed, 0xee] {
            let mut edge = [0xff; KEY_LEN];
            (edge[0], edge[KEY_LEN - 1]) = (low, 0x7f);
            edges.push(edge);
        }
        edges.extend([1, 9].map(|low| std::array::from_fn(|at| if at == 0 { low } else { 0 })));
        for edge in edges.clone() {
            edges.push(std::array::from_fn(|at| edge[at] ^ if at == KEY_LEN - 1 { 0x80 } else { 0 }));
        }
        for secret in &edges {
            assert_eq!(public_key(secret), portable::public_key(secret));
            for public in &edges {
                assert_eq!(shared_point(secret, public), portable_point(secret, public));
            }
        }
    }

    proptest! {
        #[test]
        fn both_implementations_agree_for_any_keys(secret: [u8; KEY_LEN], public: [u8; KEY_LEN]) {
            prop_assert_eq!(public_key(&secret), portable::public_key(&secret));
            prop_assert_eq!(shared_point(&secret, &public), portable_point(&secret, &public));
        }

        #[test]
        fn both_sides_compute_the_same_point(one: [u8; KEY_LEN], other: [u8; KEY_LEN]) {
            prop_assert_eq!(shared_point(&one, &public_key(&other)), shared_point(&other, &public_key(&one)));
        }
    }
}
