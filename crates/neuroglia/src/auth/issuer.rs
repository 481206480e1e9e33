//! Access tokens of an outside issuer: an OpenID provider, or anybody who publishes keys and signs JWTs with them.
//!
//! # Design notes
//! * **The token chooses nothing.** What it names (`alg`, `kid`) is looked up among what the issuer publishes, and must
//!   be one of three algorithms; a key is used only for the algorithm that it is for. A symmetric key in the published
//!   set is no key: everybody knows it.
//! * **Time is the injected clock's**, as for our own tokens, and with the same allowance.
//! * **A subject is the issuer's.** Somebody with the subject `7` there is nobody with the id `7` here, so that the
//!   issuer's name is a part of the identity's.
//! * **What the issuer cannot be asked is no answer.** A token by a key that we do not know is invalid when the issuer has
//!   just said that it does not know the key either, and otherwise nobody can say: that is 503 and not 401.

mod claims;
mod iss;
mod key_ring;
mod key_set;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use http::HeaderValue;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use neuroglia_core::clock::Clock;
use neuroglia_core::di::Provides;
use neuroglia_core::documents::Documents;
use neuroglia_core::error::Result;
use neuroglia_core::health::{Details, Indicator};
use neuroglia_core::identity::Identity;
use neuroglia_core::settings::{Problems, Settings};
use serde::Deserialize;
use url::Url;

use super::authenticator::{Authentication, Authenticator, bearer};
use super::cryptography;
use super::tokens::{Tokens, expired, invalid};
use claims::Claims;
use key_ring::{KeyRing, KeySource};
use key_set::ALGORITHMS;

pub use iss::IssuerUrl;

/// Whose access tokens are accepted beside our own.
///
/// As the section `auth` of an application's settings its variables are `AUTH_ISSUER` and so on; as an `Option` of one
/// it is there when any of them is set.
#[derive(Debug, Clone, Settings)]
#[setting(check = has_a_certificate)]
pub struct IssuerSettings {
    /// The outside issuer of access tokens (`iss`), at whose URL it says where its keys are.
    #[setting(example = "https://id.example/realms/pizza", check = an_issuer)]
    pub issuer: IssuerUrl,
    /// Whom its access tokens must be for (`aud`).
    #[setting(example = "marios-pizzeria")]
    pub audience: String,
    /// Where its keys are, if it does not say so itself.
    #[setting(example = "https://id.example/realms/pizza/keys", check = a_place_of_keys)]
    pub jwks_url: Option<Url>,
    /// The file of the authority (PEM) that certifies the issuer and the place of its keys; the public authorities when
    /// not set.
    #[setting(example = "/etc/ssl/private-authority.pem")]
    pub cacertfile: Option<PathBuf>,
    /// The claim with somebody's roles; points lead into it, as in `realm_access.roles`.
    #[setting(default = "roles")]
    pub roles_claim: String,
}

fn an_issuer(issuer: &IssuerUrl) -> Result<(), String> {
    let url = issuer.url();
    published(url)?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err("an issuer is a URL without ? and #".to_owned());
    }
    Ok(())
}

fn a_place_of_keys(url: &Option<Url>) -> Result<(), String> {
    url.as_ref().map_or(Ok(()), published)
}

fn has_a_certificate(settings: &IssuerSettings, problems: &mut Problems) {
    let asked = settings.jwks_url.as_ref().unwrap_or_else(|| settings.issuer.url());
    if settings.cacertfile.is_some() && asked.scheme() != "https" {
        problems.add("cacertfile", "says whose certificate an issuer has: use https://, which asks for one");
    }
}

/// Whether something public can be read at this URL.
fn published(url: &Url) -> Result<(), String> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err("what is published is read by https: or http:".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("what is published needs no password".to_owned());
    }
    Ok(())
}

/// Verifies the access tokens of an outside issuer.
///
/// Clones share the keys.
#[derive(Clone)]
pub struct IssuerTokens(Arc<Inner>);

struct Inner {
    settings: IssuerSettings,
    /// What a token is held to, for each algorithm; `jsonwebtoken` takes those of one family at once.
    validations: [Validation; ALGORITHMS.len()],
    keys: KeyRing,
    clock: Clock,
}

impl IssuerTokens {
    /// The most bytes of a subject with the issuer's name: what a user's id may have in OpenID Connect.
    pub const SUBJECT_BYTES_MAX: usize = 255;

    /// Tokens of this issuer. Nothing is fetched before there is a token, or somebody asks how it is.
    pub fn new(settings: IssuerSettings, documents: Arc<dyn Documents>, clock: Clock) -> Self {
        cryptography::install();
        let validations = ALGORITHMS.map(|algorithm| {
            let mut validation = Validation::new(algorithm);
            validation.set_issuer(&[settings.issuer.as_str()]);
            validation.set_audience(&[&settings.audience]);
            validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
            validation.validate_exp = false;
            validation.validate_nbf = false;
            validation
        });
        let issuer = settings.issuer.as_str().to_owned();
        let source = KeySource { issuer, jwks_url: settings.jwks_url.clone() };
        Self(Arc::new(Inner { settings, validations, keys: KeyRing::new(source, documents), clock }))
    }

    /// Whose they are.
    pub fn issuer(&self) -> &str {
        self.0.settings.issuer.as_str()
    }

    /// Whom a token speaks of.
    ///
    /// # Errors
    /// [`ErrorKind::Unauthenticated`](neuroglia_core::error::ErrorKind::Unauthenticated) with the code
    /// `auth.token_expired` when it was good until its time was over, and with `auth.token_invalid` when it is not good;
    /// [`ErrorKind::Unavailable`](neuroglia_core::error::ErrorKind::Unavailable) when the issuer cannot be asked for the
    /// key that it names.
    pub async fn verify(&self, token: &str) -> Result<Identity> {
        let Inner { settings, validations, keys, clock } = &*self.0;
        if token.len() > Tokens::BYTES_MAX {
            return Err(invalid());
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| invalid())?;
        let is_access_token = header.typ.as_deref().is_none_or(is_access_token);
        // What must be understood (RFC 7515, section 4.1.11) is not understood.
        if header.crit.is_some() || !is_access_token {
            return Err(invalid());
        }
        let validation = validations.iter().find(|validation| validation.algorithms == [header.alg]);
        let validation = validation.ok_or_else(invalid)?;
        let read = |found: Vec<DecodingKey>| {
            found.iter().find_map(|key| jsonwebtoken::decode::<Claims>(token, key, validation).ok())
        };
        let mut token_data = read(keys.find(header.kid.as_deref(), header.alg).await?);
        // A token that names no key may be by one that is new.
        if token_data.is_none() && header.kid.is_none() && keys.renew().await? {
            token_data = read(keys.find(None, header.alg).await?);
        }
        let claims = token_data.ok_or_else(invalid)?.claims;
        let now = clock.now().unix_micros() as f64 / 1e6;
        let leeway = Tokens::LEEWAY.as_secs_f64();
        if claims.nbf.is_some_and(|nbf| now < nbf - leeway) {
            return Err(invalid());
        }
        if now >= claims.exp + leeway {
            return Err(expired());
        }
        claims.identity(settings.issuer.as_str(), &settings.roles_claim).ok_or_else(invalid)
    }
}

/// A JWT of no particular kind, or one that says that it is an access token (RFC 9068, section 2.1).
fn is_access_token(kind: &str) -> bool {
    let kind = kind.to_ascii_lowercase();
    matches!(kind.strip_prefix("application/").unwrap_or(&kind), "jwt" | "at+jwt")
}

impl fmt::Debug for IssuerTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuerTokens").field("settings", &self.0.settings).finish_non_exhaustive()
    }
}

#[async_trait]
impl Indicator for IssuerTokens {
    fn name(&self) -> &str {
        "issuer"
    }

    fn kind(&self) -> &str {
        "jwks"
    }

    fn required(&self) -> bool {
        false
    }

    async fn check(&self) -> Result<Details> {
        Ok(Details::new().with("keys", self.0.keys.count().await?))
    }
}

impl Provides<dyn Indicator> for IssuerTokens {
    fn provide(self: Arc<Self>) -> Arc<dyn Indicator> {
        self
    }
}

/// Accepts the tokens of an outside issuer beside our own: each is verified by whom it says it is from.
#[derive(Debug)]
pub struct TokensByIssuer {
    own: Arc<Tokens>,
    outside: Arc<IssuerTokens>,
}

impl TokensByIssuer {
    /// Both.
    pub fn new(own: Arc<Tokens>, outside: Arc<IssuerTokens>) -> Self {
        Self { own, outside }
    }
}

impl Authenticator for TokensByIssuer {
    fn authenticate<'a>(&'a self, authorization: Option<&'a HeaderValue>) -> Authentication<'a> {
        match authorization.and_then(bearer) {
            Some(token) if claims_to_be_from(token, self.outside.issuer()) => {
                Authentication::later(self.outside.verify(token))
            }
            _ => self.own.authenticate(authorization),
        }
    }
}

impl Provides<dyn Authenticator> for TokensByIssuer {
    fn provide(self: Arc<Self>) -> Arc<dyn Authenticator> {
        self
    }
}

/// What a token says of its origin, which nothing has proved yet.
#[derive(Deserialize)]
struct Origin {
    iss: String,
}

/// What is signed by a shared key can only be ours, also where both issuers have one name.
fn claims_to_be_from(token: &str, issuer: &str) -> bool {
    token.len() <= Tokens::BYTES_MAX
        && jsonwebtoken::dangerous::insecure_decode::<Origin>(token)
            .is_ok_and(|origin| origin.header.alg != Algorithm::HS256 && origin.claims.iss == issuer)
}
