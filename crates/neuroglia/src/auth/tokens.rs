//! Access tokens: a signed statement of who somebody is, valid for a while, checked without asking anyone.
//!
//! # Design notes
//! * **One algorithm.** The header of a token does not choose how it is checked: anything but HS256 is refused
//!   before a key is touched.
//! * **Time is the injected clock's.** `jsonwebtoken` would ask the machine, so the two time claims are judged
//!   here; everything else about the format is its work.
//! * **Two keys.** To change a key without logging everybody out, the new one becomes the key and the old one the
//!   previous key for as long as a token lives. The header names the key (`kid`) by a short digest; a token
//!   without a name is tried against both.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use neuroglia_core::clock::Clock;
use neuroglia_core::di::Provides;
use neuroglia_core::error::{Error, ErrorKind, Result};
use neuroglia_core::id::Ids;
use neuroglia_core::identity::Identity;
use neuroglia_core::settings::{Secret, Settings};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::authenticator::{Authentication, Authenticator, bearer};
use super::cryptography;

/// What tokens are signed with and what they say about where they are from.
///
/// As the section `jwt` of an application's settings its variables are `JWT_SECRET_KEY` and so on.
#[derive(Clone, Settings)]
pub struct TokenSettings {
    /// The key that signs access tokens: at least 32 bytes that nobody can guess.
    #[setting(min_bytes = 32)]
    pub secret_key: Secret<String>,
    /// The key that signed access tokens before, for as long as these shall be good.
    #[setting(min_bytes = 32)]
    pub previous_secret_key: Option<Secret<String>>,
    /// Who issues access tokens (`iss`).
    #[setting(default = "neuroglia")]
    pub issuer: String,
    /// Whom access tokens are for (`aud`).
    #[setting(default = "neuroglia")]
    pub audience: String,
    /// How long an access token is good.
    #[setting(default = "1h")]
    pub lifetime: Duration,
}

/// What a successful login answers (RFC 6749, section 5.1).
#[derive(Serialize, JsonSchema)]
pub struct AccessToken {
    /// The token, to be sent as `Authorization: Bearer …`.
    pub access_token: String,
    /// How to send it: always `Bearer`.
    pub token_type: &'static str,
    /// For how many seconds it is good.
    pub expires_in: u64,
}

/// Issues access tokens and verifies them.
///
/// ```
/// use std::time::Duration;
/// use neuroglia::auth::{Tokens, TokenSettings};
/// use neuroglia_core::{clock::Clock, id::Ids, identity::Identity, settings::Secret};
///
/// let settings = TokenSettings {
///     secret_key: Secret::new("9vGx2mJw0sRk7tQpYc4nLbZe6hUaDf3o".to_owned()),
///     previous_secret_key: None,
///     issuer: "pizzeria".to_owned(),
///     audience: "pizzeria".to_owned(),
///     lifetime: Duration::from_secs(3600),
/// };
/// let tokens = Tokens::new(&settings, Clock::system(), Ids::random());
///
/// let issued = tokens.issue(&Identity::known("u-1", "Luigi", ["chef"]))?;
/// assert!(tokens.verify(&issued.access_token)?.has_role("chef"));
/// # Ok::<(), neuroglia_core::error::Error>(())
/// ```
pub struct Tokens {
    signing_key: EncodingKey,
    header: Header,
    /// The keys that verify, each with its name; the one that signs is first.
    keys: Vec<(String, DecodingKey)>,
    validation: Validation,
    issuer: String,
    audience: String,
    lifetime: Duration,
    clock: Clock,
    ids: Ids,
}

/// What we sign.
#[derive(Serialize)]
struct IssuedClaims<'a> {
    sub: &'a str,
    name: &'a str,
    roles: &'a [String],
    iss: &'a str,
    aud: &'a str,
    iat: i64,
    nbf: i64,
    exp: i64,
    jti: String,
}

/// What we read; `iss` and `aud` are judged on the way.
#[derive(Deserialize)]
struct VerifiedClaims {
    sub: String,
    name: Option<String>,
    #[serde(default)]
    roles: Vec<String>,
    /// Seconds, which may have a fraction (RFC 7519, section 2, NumericDate).
    nbf: f64,
    exp: f64,
}

impl Tokens {
    /// How far the clocks of two machines may differ.
    pub const LEEWAY: Duration = Duration::from_secs(30);

    /// The longest token that is looked at.
    pub const BYTES_MAX: usize = 8 * 1024;

    /// Tokens by these settings.
    pub fn new(settings: &TokenSettings, clock: Clock, ids: Ids) -> Self {
        cryptography::install();
        let TokenSettings { secret_key, previous_secret_key, issuer, audience, lifetime } = settings.clone();
        let keys: Vec<_> = [Some(&secret_key), previous_secret_key.as_ref()]
            .into_iter()
            .flatten()
            .map(|key| key.expose().as_bytes())
            .map(|key| (cryptography::key_id(key), DecodingKey::from_secret(key)))
            .collect();
        let header = Header { kid: keys.first().map(|(id, _)| id.clone()), ..Header::new(Algorithm::HS256) };

        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[&issuer]);
        validation.set_audience(&[&audience]);
        validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
        validation.validate_exp = false;
        validation.validate_nbf = false;

        let signing_key = EncodingKey::from_secret(secret_key.expose().as_bytes());
        Self { signing_key, header, keys, validation, issuer, audience, lifetime, clock, ids }
    }

    /// A token for somebody who has proved who they are.
    ///
    /// # Errors
    /// [`ErrorKind::Unauthenticated`] when the identity is anonymous.
    pub fn issue(&self, identity: &Identity) -> Result<AccessToken> {
        let now = self.clock.now().unix_seconds();
        let expires_in = self.lifetime.as_secs();
        let claims = IssuedClaims {
            sub: identity.require()?,
            name: identity.name().unwrap_or_default(),
            roles: identity.roles(),
            iss: &self.issuer,
            aud: &self.audience,
            iat: now,
            nbf: now,
            exp: now.saturating_add_unsigned(expires_in),
            jti: self.ids.token(),
        };
        let access_token =
            jsonwebtoken::encode(&self.header, &claims, &self.signing_key).map_err(Error::internal)?;
        Ok(AccessToken { access_token, token_type: "Bearer", expires_in })
    }

    /// Whom a token speaks of.
    ///
    /// # Errors
    /// [`ErrorKind::Unauthenticated`] with the code `auth.token_expired` when it was good until its time was over,
    /// and with `auth.token_invalid` in every other case.
    pub fn verify(&self, token: &str) -> Result<Identity> {
        let claims = self.read(token).ok_or_else(invalid)?;
        let now = self.clock.now().unix_micros() as f64 / 1e6;
        let leeway = Self::LEEWAY.as_secs_f64();
        if now < claims.nbf - leeway {
            return Err(invalid());
        }
        if now >= claims.exp + leeway {
            return Err(expired());
        }
        let name = claims.name.unwrap_or_default();
        Ok(Identity::known(claims.sub, name, claims.roles))
    }

    /// The claims of a token that one of our keys has signed for us, whatever the time is.
    fn read(&self, token: &str) -> Option<VerifiedClaims> {
        if token.len() > Self::BYTES_MAX {
            return None;
        }
        let header = jsonwebtoken::decode_header(token).ok()?;
        // What must be understood (RFC 7515, section 4.1.11) is not understood.
        if header.alg != Algorithm::HS256 || header.crit.is_some() {
            return None;
        }
        self.keys
            .iter()
            .filter(|(id, _)| header.kid.as_ref().is_none_or(|named| named == id))
            .find_map(|(_, key)| jsonwebtoken::decode(token, key, &self.validation).ok())
            .map(|token| token.claims)
    }
}

impl Authenticator for Tokens {
    fn authenticate<'a>(&'a self, authorization: Option<&'a http::HeaderValue>) -> Authentication<'a> {
        Authentication::ready(match authorization {
            None => Ok(Identity::anonymous()),
            Some(value) => bearer(value).ok_or_else(invalid).and_then(|token| self.verify(token)),
        })
    }
}

impl Provides<dyn Authenticator> for Tokens {
    fn provide(self: Arc<Self>) -> Arc<dyn Authenticator> {
        self
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens")
            .field("issuer", &self.issuer)
            .field("audience", &self.audience)
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}

pub(super) fn invalid() -> Error {
    Error::new(ErrorKind::Unauthenticated, "auth.token_invalid", "the access token is not valid")
}

pub(super) fn expired() -> Error {
    Error::new(ErrorKind::Unauthenticated, "auth.token_expired", "the access token has expired")
}
