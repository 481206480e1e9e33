//! Tokens and passwords, from the side of somebody who would like to be somebody else.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderValue;
use neuroglia::auth::{Authenticator, Passwords, TokenSettings, Tokens};
use neuroglia_core::clock::{Clock, Timestamp};
use neuroglia_core::error::ErrorKind;
use neuroglia_core::id::Ids;
use neuroglia_core::identity::Identity;
use neuroglia_core::settings::Secret;
use proptest::prelude::*;
use ring::hmac;
use serde_json::{Value, json};

const KEY: &str = "9vGx2mJw0sRk7tQpYc4nLbZe6hUaDf3o";
const OLD_KEY: &str = "Tq8WzKf1nXc5vB7mRj2yLs4dHg6pEa9u";
const START_S: i64 = 1_800_000_000;

fn settings() -> TokenSettings {
    TokenSettings {
        secret_key: Secret::new(KEY.to_owned()),
        previous_secret_key: None,
        issuer: "pizzeria".to_owned(),
        audience: "kitchen".to_owned(),
        lifetime: Duration::from_secs(3600),
    }
}

fn clock_at(seconds: i64) -> Clock {
    Clock::manual(Timestamp::from_unix_micros(seconds * 1_000_000))
}

fn tokens() -> Tokens {
    Tokens::new(&settings(), clock_at(START_S), Ids::sequence())
}

fn luigi() -> Identity {
    Identity::known("u-7", "Luigi", ["chef", "manager"])
}

fn good_claims() -> Value {
    json!({
        "sub": "u-7", "name": "Luigi", "roles": ["chef"], "iss": "pizzeria", "aud": "kitchen",
        "iat": START_S, "nbf": START_S, "exp": START_S + 60, "jti": "j-1",
    })
}

/// A token with this header and these claims, signed whatever the header says.
fn sign(header: &Value, claims: &Value, algorithm: hmac::Algorithm, key: &str) -> String {
    let message = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header.to_string()),
        URL_SAFE_NO_PAD.encode(claims.to_string())
    );
    let tag = hmac::sign(&hmac::Key::new(algorithm, key.as_bytes()), message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag))
}

fn signed(claims: &Value) -> String {
    sign(&json!({"alg": "HS256", "typ": "JWT"}), claims, hmac::HMAC_SHA256, KEY)
}

fn refusal(tokens: &Tokens, token: &str) -> String {
    let error = tokens.verify(token).expect_err("the token is refused");
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    let details = ["the access token is not valid", "the access token has expired"];
    assert!(details.contains(&error.detail()), "no more than that is told: {error}");
    error.code().to_owned()
}

#[test]
fn a_token_says_who_its_bearer_is() {
    let tokens = tokens();
    let issued = tokens.issue(&luigi()).expect("a token");
    assert_eq!((issued.token_type, issued.expires_in), ("Bearer", 3600));

    let identity = tokens.verify(&issued.access_token).expect("a good token");
    assert_eq!(identity.subject(), Some("u-7"));
    assert_eq!(identity.name(), Some("Luigi"));
    assert_eq!(identity.roles(), ["chef", "manager"]);
}

#[test]
fn a_token_carries_the_claims_that_others_rely_on() {
    let issued = tokens().issue(&luigi()).expect("a token").access_token;
    let parts: Vec<Value> = issued
        .split('.')
        .take(2)
        .map(|part| URL_SAFE_NO_PAD.decode(part).expect("base64url"))
        .map(|part| serde_json::from_slice(&part).expect("JSON"))
        .collect();
    assert_eq!(parts[0]["alg"], "HS256");
    assert_eq!(parts[0]["kid"].as_str().map(str::len), Some(16));
    let expected = json!({
        "sub": "u-7", "name": "Luigi", "roles": ["chef", "manager"], "iss": "pizzeria", "aud": "kitchen",
        "iat": START_S, "nbf": START_S, "exp": START_S + 3600, "jti": parts[1]["jti"],
    });
    assert_eq!(parts[1], expected);
    assert!(parts[1]["jti"].as_str().is_some_and(|id| id.len() == 32));
}

#[test]
fn nobody_gets_no_token() {
    let error = tokens().issue(&Identity::anonymous()).err().expect("no token");
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
}

#[test]
fn the_header_does_not_choose_the_algorithm() {
    let tokens = tokens();
    let claims = good_claims();
    let message = |header: Value| {
        format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header.to_string()),
            URL_SAFE_NO_PAD.encode(claims.to_string())
        )
    };
    let with_alg = |alg: &str, algorithm| sign(&json!({"alg": alg, "typ": "JWT"}), &claims, algorithm, KEY);
    let forged = [
        format!("{}.", message(json!({"alg": "none"}))),
        format!("{}.", message(json!({"alg": "None"}))),
        format!("{}.", message(json!({"alg": "HS256"}))),
        format!("{}.", message(json!({}))),
        with_alg("none", hmac::HMAC_SHA256),
        with_alg("hs256", hmac::HMAC_SHA256),
        with_alg("HS384", hmac::HMAC_SHA384),
        with_alg("HS512", hmac::HMAC_SHA512),
        with_alg("HS512", hmac::HMAC_SHA256),
        with_alg("RS256", hmac::HMAC_SHA256),
        with_alg("ES256", hmac::HMAC_SHA256),
        with_alg("EdDSA", hmac::HMAC_SHA256),
        with_alg("HS256", hmac::HMAC_SHA512),
        sign(&json!({"alg": ["HS256"]}), &claims, hmac::HMAC_SHA256, KEY),
        sign(&json!({"alg": "HS256", "crit": ["b64"], "b64": false}), &claims, hmac::HMAC_SHA256, KEY),
        sign(&json!({"alg": "HS256", "kid": "../../dev/null"}), &claims, hmac::HMAC_SHA256, KEY),
        sign(&json!({"alg": "HS256"}), &claims, hmac::HMAC_SHA256, ""),
        sign(&json!({"alg": "HS256"}), &claims, hmac::HMAC_SHA256, OLD_KEY),
    ];
    for token in forged {
        assert_eq!(refusal(&tokens, &token), "auth.token_invalid", "{token}");
    }
    assert!(tokens.verify(&with_alg("HS256", hmac::HMAC_SHA256)).is_ok(), "the control");
}

#[test]
fn no_character_of_a_token_can_be_changed() {
    let tokens = tokens();
    let good = tokens.issue(&luigi()).expect("a token").access_token;
    for (index, original) in good.bytes().enumerate() {
        for other in [b'A', b'Q', b'_', b'.'] {
            if other != original {
                let mut changed = good.clone().into_bytes();
                changed[index] = other;
                let changed = String::from_utf8(changed).expect("ASCII");
                assert_eq!(refusal(&tokens, &changed), "auth.token_invalid", "byte {index}");
            }
        }
    }
    for changed in
        [format!("{good}A"), format!("{good}."), format!("A{good}"), format!("{good}="), good[1..].to_owned()]
    {
        assert_eq!(refusal(&tokens, &changed), "auth.token_invalid");
    }
}

#[test]
fn the_parts_of_two_tokens_do_not_mix() {
    let tokens = tokens();
    let one = tokens.issue(&luigi()).expect("a token").access_token;
    let two = tokens.issue(&Identity::known("u-8", "Ada", ["customer"])).expect("a token").access_token;
    let (one, two): (Vec<_>, Vec<_>) = (one.split('.').collect(), two.split('.').collect());
    assert_eq!(refusal(&tokens, &[one[0], one[1], two[2]].join(".")), "auth.token_invalid");
    assert_eq!(refusal(&tokens, &[one[0], two[1], one[2]].join(".")), "auth.token_invalid");
}

#[test]
fn a_token_is_good_until_its_time_and_the_leeway_are_over() {
    let clock = clock_at(START_S);
    let tokens = Tokens::new(&settings(), clock.clone(), Ids::sequence());
    let token = tokens.issue(&luigi()).expect("a token").access_token;

    clock.advance(Duration::from_secs(3600) + Tokens::LEEWAY - Duration::from_micros(1));
    assert!(tokens.verify(&token).is_ok());
    clock.advance(Duration::from_micros(1));
    assert_eq!(refusal(&tokens, &token), "auth.token_expired");
    assert!(Tokens::LEEWAY <= Duration::from_secs(60));
}

#[test]
fn a_token_is_not_good_before_its_time() {
    let at = |seconds| Tokens::new(&settings(), clock_at(seconds), Ids::sequence());
    let token = at(START_S).issue(&luigi()).expect("a token").access_token;
    let leeway = i64::try_from(Tokens::LEEWAY.as_secs()).expect("a short span");
    assert!(at(START_S - leeway).verify(&token).is_ok());
    assert_eq!(refusal(&at(START_S - leeway - 1), &token), "auth.token_invalid");
}

#[test]
fn that_a_token_has_expired_is_told_only_to_who_had_it() {
    let mut claims = good_claims();
    claims["exp"] = json!(START_S - 3600);
    assert_eq!(refusal(&tokens(), &signed(&claims)), "auth.token_expired");
    let forged = sign(&json!({"alg": "HS256"}), &claims, hmac::HMAC_SHA256, "not the key, but as long as it");
    assert_eq!(refusal(&tokens(), &forged), "auth.token_invalid");
}

#[test]
fn every_claim_that_protects_is_required() {
    let tokens = tokens();
    for claim in ["sub", "iss", "aud", "nbf", "exp"] {
        let mut claims = good_claims();
        claims.as_object_mut().expect("an object").remove(claim);
        assert_eq!(refusal(&tokens, &signed(&claims)), "auth.token_invalid", "without {claim}");
        for value in [json!(null), json!([]), json!({}), json!("")] {
            claims[claim] = value;
            assert_ne!(claims[claim], good_claims()[claim]);
            if (claim, &claims[claim]) != ("sub", &json!("")) {
                assert_eq!(refusal(&tokens, &signed(&claims)), "auth.token_invalid", "{claims}");
            }
        }
    }
}

#[test]
fn a_token_is_for_one_audience_from_one_issuer() {
    let tokens = tokens();
    let with = |claim: &str, value: Value| {
        let mut claims = good_claims();
        claims[claim] = value;
        signed(&claims)
    };
    for value in [json!("pizzeri"), json!("PIZZERIA"), json!("kitchen"), json!(7)] {
        assert_eq!(refusal(&tokens, &with("iss", value)), "auth.token_invalid");
    }
    for value in [json!("pizzeria"), json!(["bakery"]), json!("kitchen ")] {
        assert_eq!(refusal(&tokens, &with("aud", value)), "auth.token_invalid");
    }
    assert!(tokens.verify(&with("aud", json!(["bakery", "kitchen"]))).is_ok());
    assert!(tokens.verify(&with("exp", json!(START_S as f64 + 0.5))).is_ok(), "a time may have a fraction");
}

#[test]
fn a_key_is_changed_without_logging_anybody_out() {
    let with = |key: &str, previous: Option<&str>| {
        let settings = TokenSettings {
            secret_key: Secret::new(key.to_owned()),
            previous_secret_key: previous.map(|key| Secret::new(key.to_owned())),
            ..settings()
        };
        Tokens::new(&settings, clock_at(START_S), Ids::sequence())
    };
    let (before, during, after) = (with(OLD_KEY, None), with(KEY, Some(OLD_KEY)), with(KEY, None));
    let old = before.issue(&luigi()).expect("a token").access_token;
    let new = during.issue(&luigi()).expect("a token").access_token;

    assert!(during.verify(&old).is_ok());
    assert!(during.verify(&new).is_ok());
    assert!(after.verify(&new).is_ok());
    assert_eq!(refusal(&after, &old), "auth.token_invalid");
    assert_eq!(refusal(&before, &new), "auth.token_invalid");

    let unnamed = sign(&json!({"alg": "HS256"}), &good_claims(), hmac::HMAC_SHA256, OLD_KEY);
    assert!(during.verify(&unnamed).is_ok(), "a token that does not name its key is tried against both");
}

#[test]
fn a_token_has_a_bounded_size() {
    let tokens = tokens();
    let mut claims = good_claims();
    claims["name"] = json!("x".repeat(Tokens::BYTES_MAX));
    assert_eq!(refusal(&tokens, &signed(&claims)), "auth.token_invalid");
    claims["name"] = json!("x".repeat(Tokens::BYTES_MAX / 2));
    assert!(tokens.verify(&signed(&claims)).is_ok());
}

proptest! {
    #[test]
    fn garbage_is_refused(token in ".{0,200}") {
        prop_assert_eq!(refusal(&tokens(), &token), "auth.token_invalid");
    }

    #[test]
    fn garbage_in_the_form_of_a_token_is_refused(parts in prop::array::uniform3(prop::collection::vec(any::<u8>(), 0..80))) {
        let token = parts.map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
        prop_assert_eq!(refusal(&tokens(), &token), "auth.token_invalid");
    }

    #[test]
    fn claims_of_any_kind_do_no_harm_when_they_are_signed(exp in any::<f64>(), nbf in any::<f64>(), roles in any::<Vec<String>>()) {
        let mut claims = good_claims();
        claims["exp"] = json!(exp);
        claims["nbf"] = json!(nbf);
        claims["roles"] = json!(roles);
        if let Ok(identity) = tokens().verify(&signed(&claims)) {
            prop_assert_eq!(identity.roles(), roles);
        }
    }
}

#[tokio::test]
async fn the_authorization_header_decides_who_is_asking() {
    let tokens = tokens();
    let authenticator: &dyn Authenticator = &tokens;
    assert!(!authenticator.authenticate(None).await.expect("anybody").is_known());

    let token = tokens.issue(&luigi()).expect("a token").access_token;
    let header = HeaderValue::try_from(format!("Bearer {token}")).expect("a header");
    let identity = authenticator.authenticate(Some(&header)).await.expect("a good token");
    assert_eq!(identity.subject(), Some("u-7"));

    for text in [
        "",
        "Bearer",
        "Bearer ",
        "Basic dTpw",
        &format!("Token {token}"),
        &token,
        &format!("Bearer {token} x"),
    ] {
        let header = HeaderValue::from_str(text).expect("a header");
        let error = authenticator.authenticate(Some(&header)).await.expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{text}");
    }
}

fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

#[tokio::test]
async fn a_password_is_known_by_its_hash() {
    let passwords = Passwords::default();
    let password = secret("pizza e mandolino");
    let (one, other) =
        (passwords.hash(&password).await.expect("a hash"), passwords.hash(&password).await.expect("a hash"));
    assert!(one.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{one}");
    assert_ne!(one, other, "each hash has its own salt");

    assert!(passwords.verify(&password, Some(&one)).await.expect("an answer"));
    assert!(!passwords.verify(&secret("pizza e mandolin0"), Some(&one)).await.expect("an answer"));
    assert!(!passwords.verify(&secret(""), Some(&one)).await.expect("an answer"));
}

#[tokio::test]
async fn an_unknown_account_takes_the_same_work_as_a_wrong_password() {
    let passwords = Passwords::default();
    let stored = passwords.hash(&secret("pizza e mandolino")).await.expect("a hash");
    for account in [Some(stored.as_str()), None, Some("not a hash")] {
        let before = passwords.computed();
        assert!(!passwords.verify(&secret("a wrong password"), account).await.expect("an answer"));
        assert_eq!(passwords.computed(), before + 1, "{account:?}");
    }
}

#[tokio::test]
async fn a_password_out_of_bounds_costs_nothing() {
    let passwords = Passwords::default();
    for text in ["short", &"x".repeat(Passwords::BYTES_MAX + 1)] {
        let error = passwords.hash(&secret(text)).await.expect_err("refused");
        assert_eq!((error.kind(), error.code()), (ErrorKind::Invalid, "password.length"));
    }
    assert!(!passwords.verify(&secret(&"x".repeat(1_000_000)), None).await.expect("an answer"));
    assert_eq!(passwords.computed(), 0);
}

#[tokio::test]
async fn many_logins_wait_for_their_turn() {
    let passwords = Passwords::new(std::num::NonZeroUsize::MIN);
    let logins = (0..5).map(|_| async { passwords.verify(&secret("a wrong password"), None).await });
    let answers = futures_util::future::join_all(logins).await;
    assert!(answers.into_iter().all(|answer| !answer.expect("an answer")));
    assert_eq!(passwords.computed(), 5);
}
