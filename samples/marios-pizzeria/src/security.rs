//! The pizzeria's accounts on the framework's passwords and tokens.

use std::sync::Arc;

use async_trait::async_trait;
use neuroglia::auth::{
    Authenticator, IssuerSettings, IssuerTokens, Passwords, SessionCookies, Tokens, TokensByIssuer,
};
use neuroglia::cache::{Keeper, Keyspace, Sessions};
use neuroglia::clock::Clock;
use neuroglia::di::{Inject, Lifetime, Service, ServiceCollection};
use neuroglia::documents::Documents;
use neuroglia::error::Result;
use neuroglia::health::Indicator;
use neuroglia::id::Ids;
use neuroglia::settings::Secret;
use neuroglia::web::RateLimit;
use neuroglia_backing::documents;
use pizzeria_api::LoginLimits;
use pizzeria_application::accounts::{AccessTokenDto, PasswordHasher, TokenIssuer, identity_of};
use pizzeria_domain::user::{PasswordHash, User};

use crate::settings::PizzeriaSettings;

pub(crate) fn register(services: &mut ServiceCollection, settings: &PizzeriaSettings) {
    let jwt = settings.jwt.clone();
    services.add(Service::factory::<Tokens, (Clock, Ids), _>(Lifetime::Singleton, move |(clock, ids)| {
        Ok(Arc::new(Tokens::new(&jwt, clock, ids)))
    }));
    match &settings.auth {
        None => services.add(Service::forward::<dyn Authenticator, Tokens>()),
        Some(issuer) => accept_tokens_of(services, issuer),
    };
    services.add_instance(Passwords::new(settings.password_checks_max));
    services.add_singleton::<dyn PasswordHasher, Argon2Passwords>();
    services.add_singleton::<dyn TokenIssuer, SignedTokens>();
    let (address, account) = (settings.login_limit_address, settings.login_limit_account);
    type Needs = (Clock, Arc<Keeper>, Arc<Keyspace>);
    services.add(Service::factory::<LoginLimits, Needs, _>(
        Lifetime::Singleton,
        move |(clock, keeper, keyspace)| {
            let limit = |name, quota| {
                RateLimit::new(name, quota, clock.clone()).shared_by(keeper.limits(), &keyspace)
            };
            Ok(Arc::new(LoginLimits {
                by_address: limit("login-address", address),
                by_account: limit("login-account", account),
            }))
        },
    ));
    let is_secure = settings.session_cookie_secure;
    services
        .add(Service::factory::<SessionCookies, Arc<Sessions>, _>(Lifetime::Singleton, move |sessions| {
            Ok(Arc::new(SessionCookies::new(sessions, is_secure)))
        }));
}

/// What the host makes the ids of this issuer's users end with: its name, without the scheme.
pub(crate) fn accounts_of(issuer: &IssuerSettings) -> String {
    let name = issuer.issuer.as_str();
    let place = name.split_once("://").map_or(name, |(_, place)| place);
    format!("@{}", place.trim_end_matches('/'))
}

/// Accepts the access tokens of an outside issuer beside our own.
fn accept_tokens_of<'a>(
    services: &'a mut ServiceCollection,
    issuer: &IssuerSettings,
) -> &'a mut ServiceCollection {
    documents::attach(services, issuer.issuer.as_str(), issuer.cacertfile.as_deref());
    let issuer = issuer.clone();
    services.add(Service::factory::<IssuerTokens, (Arc<dyn Documents>, Clock), _>(
        Lifetime::Singleton,
        move |(documents, clock)| Ok(Arc::new(IssuerTokens::new(issuer.clone(), documents, clock))),
    ));
    services.add(Service::forward::<dyn Indicator, IssuerTokens>());
    services.add(Service::factory::<dyn Authenticator, (Arc<Tokens>, Arc<IssuerTokens>), _>(
        Lifetime::Singleton,
        |(own, outside)| Ok(Arc::new(TokensByIssuer::new(own, outside)) as Arc<dyn Authenticator>),
    ))
}

/// Hashes passwords by argon2id.
#[derive(Inject)]
#[provides(dyn PasswordHasher)]
struct Argon2Passwords {
    passwords: Arc<Passwords>,
}

#[async_trait]
impl PasswordHasher for Argon2Passwords {
    async fn hash(&self, password: Secret<String>) -> Result<PasswordHash> {
        Ok(PasswordHash::new(self.passwords.hash(&password).await?))
    }

    async fn verify(&self, password: Secret<String>, hash: Option<&PasswordHash>) -> Result<bool> {
        self.passwords.verify(&password, hash.map(PasswordHash::expose)).await
    }
}

/// Issues tokens that the host itself verifies.
#[derive(Inject)]
#[provides(dyn TokenIssuer)]
struct SignedTokens {
    tokens: Arc<Tokens>,
}

impl TokenIssuer for SignedTokens {
    fn issue(&self, user: &User) -> Result<AccessTokenDto> {
        let token = self.tokens.issue(&identity_of(user))?;
        Ok(AccessTokenDto {
            access_token: token.access_token,
            token_type: token.token_type,
            expires_in: token.expires_in,
        })
    }
}
