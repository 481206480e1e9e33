//! The keys that an issuer publishes (RFC 7517), of which those are kept that can verify.

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

/// How a token may be signed.
pub(super) const ALGORITHMS: [Algorithm; 3] = [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];

/// How many keys of a set are looked at.
const KEYS_MAX: usize = 50;

/// A key with what it is for.
pub(super) struct Key {
    id: Option<String>,
    algorithm: Algorithm,
    key: DecodingKey,
}

impl Key {
    /// Whether it may have signed a token that says this of its key.
    pub(super) fn fits(&self, id: Option<&str>, algorithm: Algorithm) -> bool {
        self.algorithm == algorithm && id.is_none_or(|id| self.id.as_deref() == Some(id))
    }

    pub(super) fn decoding(&self) -> &DecodingKey {
        &self.key
    }
}

/// The keys of a published set; none when it is no set. What cannot verify is passed over.
pub(super) fn read(document: &Value) -> Option<Vec<Key>> {
    let keys = document.get("keys")?.as_array()?;
    Some(keys.iter().take(KEYS_MAX).filter_map(key).collect())
}

fn key(value: &Value) -> Option<Key> {
    let jwk = Jwk::deserialize(value).ok()?;
    if !matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature)) {
        return None;
    }
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => Algorithm::RS256,
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => Algorithm::ES256,
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => Algorithm::EdDSA,
        // A symmetric key that is published is everybody's.
        _ => return None,
    };
    if jwk.common.key_algorithm.is_some_and(|own| own != KeyAlgorithm::from(algorithm)) {
        return None;
    }
    let key = DecodingKey::from_jwk(&jwk).ok()?;
    Some(Key { id: jwk.common.key_id, algorithm, key })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_can_verify_is_a_key() {
        let rsa = json!({"kty": "RSA", "n": "AQAB", "e": "AQAB"});
        let with = |name: &str, value: &str| {
            let mut key = rsa.clone();
            key[name] = json!(value);
            key
        };
        let table = [
            (rsa.clone(), true),
            (with("use", "sig"), true),
            (with("alg", "RS256"), true),
            (with("use", "enc"), false),
            (with("alg", "PS256"), false),
            (with("alg", "RSA-OAEP"), false),
            (json!({"kty": "EC", "crv": "P-256", "x": "AQAB", "y": "AQAB"}), true),
            (json!({"kty": "EC", "crv": "P-384", "x": "AQAB", "y": "AQAB"}), false),
            (json!({"kty": "OKP", "crv": "Ed25519", "x": "AQAB"}), true),
            (json!({"kty": "oct", "k": "AQAB"}), false),
            (json!({"kty": "oct", "k": "AQAB", "alg": "HS256"}), false),
            (json!({"kty": "Kyber"}), false),
            (json!("key"), false),
        ];
        for (jwk, expected) in table {
            let read = read(&json!({ "keys": [jwk] })).expect("a set");
            assert_eq!(!read.is_empty(), expected, "{jwk}");
        }
        assert!(read(&json!({})).is_none() && read(&json!({"keys": 7})).is_none());
    }

    #[test]
    fn a_key_is_used_for_its_own_algorithm_and_by_its_own_name() {
        let set = json!({"keys": [{"kty": "RSA", "kid": "a", "n": "AQAB", "e": "AQAB"}]});
        let key = &read(&set).expect("a set")[0];
        assert!(key.fits(Some("a"), Algorithm::RS256) && key.fits(None, Algorithm::RS256));
        assert!(!key.fits(Some("b"), Algorithm::RS256) && !key.fits(Some("a"), Algorithm::ES256));
    }
}
