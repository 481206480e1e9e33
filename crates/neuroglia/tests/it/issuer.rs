//! Access tokens of an outside issuer, from the side of whoever would like to be somebody else, and while it is away.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::join_all;
use http::HeaderValue;
use neuroglia::auth::{Authenticator, IssuerSettings, IssuerTokens, TokenSettings, Tokens, TokensByIssuer};
use neuroglia::health::Indicator;
use neuroglia_core::clock::{Clock, Timestamp};
use neuroglia_core::documents::{Documents, MemoryDocuments};
use neuroglia_core::error::{Error, ErrorKind, Result};
use neuroglia_core::id::Ids;
use neuroglia_core::settings::{Environment, Secret};
use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
    RsaPublicKeyComponents,
};
use serde_json::{Value, json};
use tokio::time::{Instant, advance};
use url::Url;

const ISSUER: &str = "https://id.example/realms/pizza";
const START_S: i64 = 1_800_000_000;

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn url(text: &str) -> Url {
    text.parse().expect("a URL")
}

fn configuration_url() -> Url {
    url("https://id.example/realms/pizza/.well-known/openid-configuration")
}

fn keys_url() -> Url {
    url("https://keys.example/pizza.json")
}

/// A key of the issuer's, by whichever algorithm.
enum Signer {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl Signer {
    fn rsa() -> Self {
        Self::Rsa(RsaKeyPair::from_der(include_bytes!("../fixtures/rsa2048.der")).expect("a key"))
    }

    fn ec() -> Self {
        let (kind, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(kind, &random).expect("random");
        Self::Ec(EcdsaKeyPair::from_pkcs8(kind, pkcs8.as_ref(), &random).expect("a key"))
    }

    fn ed() -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("random");
        Self::Ed(Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).expect("a key"))
    }

    fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "RS256",
            Self::Ec(_) => "ES256",
            Self::Ed(_) => "EdDSA",
        }
    }

    /// Its other half, as it is published.
    fn jwk(&self, id: &str) -> Value {
        match self {
            Self::Rsa(key) => {
                let RsaPublicKeyComponents::<Vec<u8>> { n, e } = key.public().into();
                let (n, e) = (encoded(n), encoded(e));
                json!({"kty": "RSA", "use": "sig", "kid": id, "n": n, "e": e})
            }
            Self::Ec(key) => {
                let (x, y) = key.public_key().as_ref()[1..].split_at(32);
                json!({"kty": "EC", "crv": "P-256", "kid": id, "x": encoded(x), "y": encoded(y)})
            }
            Self::Ed(key) => {
                json!({"kty": "OKP", "crv": "Ed25519", "kid": id, "x": encoded(key.public_key())})
            }
        }
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let message = message(header, claims);
        let random = SystemRandom::new();
        let signature = match self {
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, message.as_bytes(), &mut signature).expect("signed");
                signature
            }
            Self::Ec(key) => key.sign(&random, message.as_bytes()).expect("signed").as_ref().to_vec(),
            Self::Ed(key) => key.sign(message.as_bytes()).as_ref().to_vec(),
        };
        format!("{message}.{}", encoded(signature))
    }

    fn token(&self, id: &str) -> String {
        self.sign(&self.header(id), &claims())
    }

    fn header(&self, id: &str) -> Value {
        json!({"alg": self.algorithm(), "kid": id, "typ": "at+jwt"})
    }
}

fn message(header: &Value, claims: &Value) -> String {
    format!("{}.{}", encoded(header.to_string()), encoded(claims.to_string()))
}

fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": ["account", "marios-pizzeria"], "sub": "7", "name": "Luigi",
        "realm_access": {"roles": ["chef", "offline_access"]}, "exp": START_S + 60, "iat": START_S,
    })
}

fn settings() -> IssuerSettings {
    IssuerSettings {
        issuer: ISSUER.try_into().expect("a URL"),
        audience: "marios-pizzeria".to_owned(),
        jwks_url: None,
        cacertfile: None,
        roles_claim: "realm_access.roles".to_owned(),
    }
}

fn clock_at(seconds: i64) -> Clock {
    Clock::manual(Timestamp::from_unix_micros(seconds * 1_000_000))
}

/// An issuer that publishes these keys.
fn published(keys: &[Value]) -> Arc<MemoryDocuments> {
    let documents = Arc::new(MemoryDocuments::new());
    publish(&documents, keys);
    documents
}

fn publish(documents: &MemoryDocuments, keys: &[Value]) {
    documents.publish(configuration_url(), json!({"issuer": ISSUER, "jwks_uri": keys_url().as_str()}));
    documents.publish(keys_url(), json!({ "keys": keys }));
}

fn tokens(documents: &Arc<MemoryDocuments>) -> IssuerTokens {
    tokens_at(documents, START_S)
}

fn tokens_at(documents: &Arc<MemoryDocuments>, seconds: i64) -> IssuerTokens {
    IssuerTokens::new(settings(), Arc::clone(documents) as _, clock_at(seconds))
}

async fn refused(tokens: &IssuerTokens, token: &str) -> String {
    let error = tokens.verify(token).await.expect_err("the token is refused");
    assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{error:?}");
    error.code().to_owned()
}

async fn nobody_can_say(tokens: &IssuerTokens, token: &str) {
    let error = tokens.verify(token).await.expect_err("nobody can say");
    assert_eq!((error.kind(), error.code()), (ErrorKind::Unavailable, "auth.issuer_unavailable"));
    assert!(error.retry_after_s().is_some());
}

#[tokio::test]
async fn a_token_by_each_algorithm_says_who_its_bearer_is() {
    for signer in [Signer::rsa(), Signer::ec(), Signer::ed()] {
        let documents = published(&[signer.jwk("k-1")]);
        let tokens = tokens(&documents);
        let luigi = tokens.verify(&signer.token("k-1")).await.expect("a good token");
        assert_eq!(luigi.subject(), Some("7@id.example/realms/pizza"), "{}", signer.algorithm());
        assert_eq!((luigi.name(), luigi.has_role("chef")), (Some("Luigi"), true));
        // Where the issuer names no key, each that fits is tried.
        let header = json!({"alg": signer.algorithm()});
        tokens.verify(&signer.sign(&header, &claims())).await.expect("a good token");
        assert_eq!(documents.reads(), 2, "a configuration and a set of keys");
    }
}

#[tokio::test]
async fn what_is_not_from_the_issuer_for_us_and_now_is_refused() {
    let (signer, other) = (Signer::rsa(), Signer::ec());
    let symmetric = json!({"kty": "oct", "kid": "shared", "k": encoded([7; 32])});
    let documents = published(&[signer.jwk("k-1"), other.jwk("k-2"), symmetric]);
    let tokens = tokens(&documents);
    let with = |name: &str, value: Value| {
        let mut claims = claims();
        claims[name] = value;
        claims
    };
    let without = |name: &str| {
        let mut claims = claims();
        claims.as_object_mut().expect("an object").remove(name);
        claims
    };
    for wrong in [
        with("iss", json!("https://evil.example")),
        with("iss", json!("https://id.example/realms/pizza/")),
        with("aud", json!("account")),
        with("aud", json!([])),
        with("nbf", json!(START_S + 31)),
        with("exp", json!("tomorrow")),
        with("sub", json!("")),
        with("sub", json!("a b")),
        without("iss"),
        without("aud"),
        without("exp"),
        without("sub"),
    ] {
        let token = signer.sign(&signer.header("k-1"), &wrong);
        assert_eq!(refused(&tokens, &token).await, "auth.token_invalid", "{wrong}");
    }
    let expired = signer.sign(&signer.header("k-1"), &with("exp", json!(START_S - 31)));
    assert_eq!(refused(&tokens, &expired).await, "auth.token_expired");
    for just in [with("exp", json!(START_S - 29)), with("nbf", json!(START_S + 29))] {
        tokens.verify(&signer.sign(&signer.header("k-1"), &just)).await.expect("clocks may differ a little");
    }

    for header in [
        json!({"alg": "RS256", "kid": "k-1", "typ": "logout+jwt"}),
        json!({"alg": "RS256", "kid": "k-1", "crit": ["b64"], "b64": false}),
        json!({"alg": "RS256", "kid": "k-2"}),
        json!({"alg": "ES256", "kid": "k-1"}),
        json!({"alg": "RS512", "kid": "k-1"}),
        json!({"alg": "PS256", "kid": "k-1"}),
        json!({"alg": "none", "kid": "k-1"}),
    ] {
        let token = signer.sign(&header, &claims());
        assert_eq!(refused(&tokens, &token).await, "auth.token_invalid", "{header}");
    }

    // A key that everybody can read is no secret, and neither is the other half of one.
    let Signer::Rsa(rsa) = &signer else { panic!("it is RSA") };
    for (secret, id) in [(rsa.public().as_ref().to_vec(), "k-1"), (vec![7; 32], "shared")] {
        let message = message(&json!({"alg": "HS256", "kid": id}), &claims());
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), message.as_bytes());
        let token = format!("{message}.{}", encoded(tag));
        assert_eq!(refused(&tokens, &token).await, "auth.token_invalid", "{id}");
    }

    let good = signer.token("k-1");
    let (signed, signature) = good.rsplit_once('.').expect("three parts");
    let forged = format!("{}.{signature}", message(&signer.header("k-1"), &with("sub", json!("1"))));
    let unsigned = format!("{signed}.");
    for token in [&forged, &unsigned, signed, "", "..", &"a".repeat(10_000), &format!("{good}.")] {
        assert_eq!(refused(&tokens, token).await, "auth.token_invalid");
    }
    assert_eq!(documents.reads(), 2, "none of it costs the issuer anything");
}

#[tokio::test(start_paused = true)]
async fn keys_that_nobody_has_are_asked_for_once_a_minute_and_by_one_for_all() {
    let signer = Signer::ed();
    let documents = published(&[signer.jwk("k-1")]);
    let tokens = tokens(&documents);
    tokens.verify(&signer.token("k-1")).await.expect("a good token");
    for minute in 0..3 {
        let strangers = (0..200).map(|number| signer.token(&format!("none-{number}"))).collect::<Vec<_>>();
        let asked = join_all(strangers.iter().map(|token| refused(&tokens, token))).await;
        assert!(asked.iter().all(|code| code == "auth.token_invalid"));
        assert_eq!(documents.reads(), 2 + 2 * minute, "in minute {minute}");
        advance(Duration::from_secs(60)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_key_is_good_within_a_minute_and_one_that_was_taken_back_is_not_good_for_long() {
    let (old, new) = (Signer::rsa(), Signer::ec());
    let documents = published(&[old.jwk("old")]);
    let tokens = tokens(&documents);
    tokens.verify(&old.token("old")).await.expect("a good token");
    publish(&documents, &[old.jwk("old"), new.jwk("new")]);
    assert_eq!(refused(&tokens, &new.token("new")).await, "auth.token_invalid");
    advance(Duration::from_secs(60)).await;
    tokens.verify(&new.token("new")).await.expect("the key is asked for");

    publish(&documents, &[new.jwk("new")]);
    tokens.verify(&old.token("old")).await.expect("nobody knows yet");
    advance(Duration::from_secs(600)).await;
    tokens.verify(&old.token("old")).await.expect("who finds the keys old does not wait");
    while tokens.verify(&old.token("old")).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert_eq!(refused(&tokens, &old.token("old")).await, "auth.token_invalid");
    tokens.verify(&new.token("new")).await.expect("a good token");
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_names_no_keys_may_change_them_too() {
    let (old, new) = (Signer::ec(), Signer::ec());
    let documents = published(&[old.jwk("old")]);
    let tokens = tokens(&documents);
    let unnamed = |signer: &Signer| signer.sign(&json!({"alg": "ES256"}), &claims());
    tokens.verify(&unnamed(&old)).await.expect("a good token");
    publish(&documents, &[new.jwk("new")]);
    for _ in 0..100 {
        assert_eq!(refused(&tokens, &unnamed(&new)).await, "auth.token_invalid");
    }
    assert_eq!(documents.reads(), 2, "not before its time");
    advance(Duration::from_secs(60)).await;
    tokens.verify(&unnamed(&new)).await.expect("a good token");
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_is_away_at_the_start_is_found_when_it_comes() {
    let signer = Signer::ec();
    let documents = Arc::new(MemoryDocuments::new());
    let tokens = tokens(&documents);
    for _ in 0..100 {
        nobody_can_say(&tokens, &signer.token("k-1")).await;
    }
    assert_eq!(documents.reads(), 1, "it is not asked by everybody");
    assert!(tokens.check().await.is_err(), "operators are told");
    publish(&documents, &[signer.jwk("k-1")]);
    advance(Duration::from_secs(5)).await;
    tokens.verify(&signer.token("k-1")).await.expect("a good token");
    tokens.check().await.expect("it is well");
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_goes_away_takes_no_key_with_it() {
    let (signer, new) = (Signer::ec(), Signer::ec());
    let documents = published(&[signer.jwk("k-1")]);
    let tokens = tokens(&documents);
    tokens.verify(&signer.token("k-1")).await.expect("a good token");
    documents.withdraw_all();
    for _ in 0..50 {
        advance(Duration::from_secs(600)).await;
        tokens.verify(&signer.token("k-1")).await.expect("what is known stays good");
        tokio::task::yield_now().await;
    }
    advance(Duration::from_secs(60)).await;
    nobody_can_say(&tokens, &new.token("k-2")).await;
    publish(&documents, &[signer.jwk("k-1"), new.jwk("k-2")]);
    advance(Duration::from_secs(60)).await;
    tokens.verify(&new.token("k-2")).await.expect("a good token");
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_publishes_no_key_has_taken_all_of_them_back() {
    let signer = Signer::ec();
    let symmetric = json!({"kty": "oct", "kid": "k-1", "k": encoded([7; 32])});
    let none: &[Value] = &[];
    for keys in [none, &[symmetric]] {
        let documents = published(&[signer.jwk("k-1")]);
        let tokens = tokens(&documents);
        tokens.verify(&signer.token("k-1")).await.expect("a good token");
        publish(&documents, keys);
        advance(Duration::from_secs(600)).await;
        // Who names a key that is not known has the keys asked for, and waits.
        assert_eq!(refused(&tokens, &Signer::ec().token("k-2")).await, "auth.token_invalid");
        assert_eq!(refused(&tokens, &signer.token("k-1")).await, "auth.token_invalid");
        publish(&documents, &[signer.jwk("k-1")]);
        advance(Duration::from_secs(60)).await;
        tokens.verify(&signer.token("k-1")).await.expect("it is published again");
    }
}

#[tokio::test]
async fn an_issuer_is_known_by_the_text_of_its_name() {
    let signer = Signer::ed();
    for name in ["https://id.example", "https://ID.example:443/"] {
        let pairs = [("ISSUER", name), ("AUDIENCE", "marios-pizzeria")];
        let loaded = Environment::from_pairs(pairs).load::<IssuerSettings>(&[]);
        let settings = loaded.settings.expect("an issuer");
        let documents = Arc::new(MemoryDocuments::new());
        let place = "https://id.example/.well-known/openid-configuration";
        documents.publish(url(place), json!({"issuer": name, "jwks_uri": keys_url().as_str()}));
        documents.publish(keys_url(), json!({"keys": [signer.jwk("k-1")]}));
        let tokens = IssuerTokens::new(settings, documents, clock_at(START_S));
        let token = |issuer: &str| {
            let mut claims = claims();
            claims["iss"] = json!(issuer);
            signer.sign(&signer.header("k-1"), &claims)
        };
        tokens.verify(&token(name)).await.expect("a good token");
        for other in ["https://id.example", "https://id.example/", "https://ID.example:443/"] {
            if other != name {
                assert_eq!(refused(&tokens, &token(other)).await, "auth.token_invalid", "{other}");
            }
        }
    }
}

/// Nobody ever answers.
struct Silence;

#[async_trait]
impl Documents for Silence {
    async fn get(&self, _: &Url) -> Result<Value> {
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_does_not_answer_makes_nobody_wait_for_long() {
    let tokens = IssuerTokens::new(settings(), Arc::new(Silence), clock_at(START_S));
    let (signer, began) = (Signer::ec(), Instant::now());
    let token = signer.token("k-1");
    join_all((0..50).map(|_| nobody_can_say(&tokens, &token))).await;
    assert!(began.elapsed() <= Duration::from_secs(5), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn keys_come_from_where_the_issuer_says_and_can_be_trusted() {
    let signer = Signer::ec();
    let token = signer.token("k-1");
    for wrong in [
        json!({"issuer": "https://evil.example", "jwks_uri": keys_url().as_str()}),
        json!({"issuer": ISSUER}),
        json!({"issuer": ISSUER, "jwks_uri": "http://keys.example/pizza.json"}),
        json!({"issuer": ISSUER, "jwks_uri": "file:///etc/keys.json"}),
        json!({"issuer": ISSUER, "jwks_uri": "https://mario:secret@keys.example/pizza.json"}),
        json!("a page"),
    ] {
        let documents = published(&[signer.jwk("k-1")]);
        documents.publish(url("http://keys.example/pizza.json"), json!({"keys": [signer.jwk("k-1")]}));
        documents.publish(configuration_url(), wrong);
        nobody_can_say(&tokens(&documents), &token).await;
    }
    let documents = published(&[signer.jwk("k-1")]);
    documents.publish(configuration_url(), json!("not asked for"));
    let by_url = IssuerSettings { jwks_url: Some(keys_url()), ..settings() };
    let tokens = IssuerTokens::new(by_url, Arc::clone(&documents) as _, clock_at(START_S));
    tokens.verify(&token).await.expect("a good token");
    assert_eq!(documents.reads(), 1);
}

#[tokio::test]
async fn our_own_tokens_are_good_beside_the_issuers() {
    let signer = Signer::rsa();
    let documents = published(&[signer.jwk("k-1")]);
    let own = TokenSettings {
        secret_key: Secret::new("9vGx2mJw0sRk7tQpYc4nLbZe6hUaDf3o".to_owned()),
        previous_secret_key: None,
        issuer: "pizzeria".to_owned(),
        audience: "pizzeria".to_owned(),
        lifetime: Duration::from_secs(60),
    };
    let own = Arc::new(Tokens::new(&own, clock_at(START_S), Ids::sequence()));
    let mario = neuroglia_core::identity::Identity::known("u-1", "Mario", ["manager"]);
    let mario = own.issue(&mario).expect("a token").access_token;
    let both = TokensByIssuer::new(own, Arc::new(tokens(&documents)));
    let ask = async |token: String| {
        let value = HeaderValue::from_str(&format!("Bearer {token}")).expect("a header");
        both.authenticate(Some(&value)).await.map_err(|error: Error| error.code().to_owned())
    };
    assert_eq!(ask(mario).await.expect("somebody").subject(), Some("u-1"));
    assert_eq!(documents.reads(), 0, "the issuer has nothing to do with it");
    let luigi = ask(signer.token("k-1")).await.expect("somebody");
    assert_eq!(luigi.subject(), Some("7@id.example/realms/pizza"));
    assert!(!both.authenticate(None).await.expect("nobody in particular").is_known());
    // Signed by the issuer, and said to be ours.
    let mut claims = claims();
    claims["iss"] = json!("pizzeria");
    let stolen = signer.sign(&signer.header("k-1"), &claims);
    assert_eq!(ask(stolen).await.map(|_| ()), Err("auth.token_invalid".to_owned()));
}
