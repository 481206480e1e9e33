//! Who somebody is: passwords, tokens, and how often may be tried.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use neuroglia::auth::{Passwords, TokenSettings, Tokens};
use neuroglia::clock::{Clock, Timestamp};
use neuroglia::di::Service;
use neuroglia::id::Ids;
use neuroglia::identity::Identity;
use neuroglia::settings::Secret;
use neuroglia_testing::{TestApp, TestRequest, TestResponse};
use pizzeria_application::accounts::CreateUser;
use pizzeria_domain::user::{PasswordHash, Role};
use serde_json::{Value, json};

use crate::shop::{JWT_KEY, Opening, Shop};

const PASSWORD: &str = "correct horse battery staple";

/// Opens a customer's account that can be logged in to.
pub(crate) async fn open_account(app: &TestApp, username: &str, password: &str) {
    let passwords = app.running().services().get::<Passwords>().expect("registered");
    let hash = passwords.hash(&Secret::new(password.to_owned())).await.expect("a hash");
    let command = CreateUser {
        username: username.to_owned(),
        name: "Mario".to_owned(),
        role: Role::Customer,
        password_hash: PasswordHash::new(hash),
    };
    app.send(command).await.expect("a new account");
}

/// A token of the pizzeria's own for whoever this is.
pub(crate) fn token_of(app: &TestApp, subject: &str, roles: &[&str]) -> String {
    let tokens = app.running().services().get::<Tokens>().expect("registered");
    tokens.issue(&Identity::known(subject, subject, roles.iter().copied())).expect("a token").access_token
}

fn log_in<'a>(shop: &'a Shop, username: &str, password: &str) -> TestRequest<'a> {
    shop.post("/api/v1/auth/token").json(&json!({ "username": username, "password": password }))
}

/// The claims of a token, unchecked.
fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).expect("three parts");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).expect("base64")).expect("JSON")
}

#[tokio::test]
async fn a_password_is_exchanged_for_a_token() {
    let shop = Shop::open().await;
    open_account(&shop, "Mario@Example.com", PASSWORD).await;
    for spelling in ["mario@example.com", " MARIO@example.com "] {
        let answer = log_in(&shop, spelling, PASSWORD).send().await.assert_status(200);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let body = answer.json();
        assert_eq!((&body["token_type"], &body["expires_in"]), (&json!("Bearer"), &json!(3600)));
        assert_eq!(body.as_object().map(serde_json::Map::len), Some(3));
        let token = body["access_token"].as_str().expect("a token");
        let profile = shop.get("/api/v1/me").bearer(token).send().await.assert_status(200).json();
        assert_eq!(profile["name"], "Mario");

        let claims = claims(token);
        let seconds = |name: &str| claims[name].as_i64().expect(name);
        assert_eq!(seconds("exp") - seconds("nbf"), 3600);
        assert_eq!((&claims["iss"], &claims["aud"]), (&json!("neuroglia"), &json!("neuroglia")));
        assert_eq!(claims["roles"], json!(["customer"]));
    }
    shop.close().await;
}

fn without_trace(answer: &TestResponse) -> Value {
    let mut problem = answer.json();
    problem["trace_id"].take();
    problem
}

#[tokio::test]
async fn an_unknown_user_and_a_wrong_password_cannot_be_told_apart() {
    let shop = Shop::open().await;
    open_account(&shop, "mario@example.com", PASSWORD).await;
    let passwords = shop.running().services().get::<Passwords>().expect("registered");
    let mut answers = Vec::new();
    for (username, password) in [
        ("mario@example.com", "wrong password"),
        ("mario@example.com", ""),
        ("nobody@example.com", PASSWORD),
        ("no user name", PASSWORD),
        ("", ""),
    ] {
        let before = passwords.computed();
        let answer = log_in(&shop, username, password).send().await;
        answer.problem(401, "auth.credentials");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        assert_eq!(passwords.computed() - before, 1, "the same work for {username:?}");
        answers.push(without_trace(&answer));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    shop.close().await;
}

#[tokio::test]
async fn logging_in_is_limited_by_address_and_by_account() {
    let clock = Clock::manual("2026-11-23T22:31:00Z".parse::<Timestamp>().expect("a time"));
    let opening = |clock: &Clock| {
        let clock = clock.clone();
        Opening::new().services(move |services| {
            services.replace(Service::instance(clock.clone()));
        })
    };
    let shop = opening(&clock).set("LOGIN_LIMIT_ADDRESS", "3/60s").open().await;
    for left in [2, 1, 0] {
        let answer = log_in(&shop, &format!("nobody{left}"), "x").send().await.assert_status(401);
        let state = answer.header("ratelimit").expect("what is left");
        assert!(state.contains("login-address") && state.contains(&format!("r={left}")), "{state}");
        assert!(answer.header("ratelimit-policy").is_some_and(|policy| policy.contains("q=3")));
    }
    let refused = log_in(&shop, "nobody", "x").send().await;
    refused.problem(429, "rate.limited");
    assert_eq!(refused.header("retry-after"), Some("20"));
    // The rest of the API is not concerned.
    shop.get("/api/v1/pizzas").send().await.assert_status(200);
    clock.advance(Duration::from_secs(20));
    log_in(&shop, "nobody", "x").send().await.assert_status(401);
    log_in(&shop, "nobody", "x").send().await.assert_status(429);
    shop.close().await;

    // An address of IPv6 more costs nothing; a subscriber has a whole /64.
    let shop = opening(&clock).set("LOGIN_LIMIT_ADDRESS", "2/60s").set("HTTP_TRUSTED_PROXIES", "127.0.0.0/8");
    let shop = shop.open().await;
    for (address, status) in [
        ("2001:db8:0:1::1", 401),
        ("2001:db8:0:1::2", 401),
        ("2001:db8:0:1:ffff::3", 429),
        ("2001:db8:0:2::1", 401),
    ] {
        log_in(&shop, address, "x").header("x-forwarded-for", address).send().await.assert_status(status);
    }
    shop.close().await;

    let shop = opening(&clock).set("LOGIN_LIMIT_ACCOUNT", "2/60s").open().await;
    open_account(&shop, "mario@example.com", PASSWORD).await;
    for spelling in ["mario@example.com", "MARIO@example.com "] {
        log_in(&shop, spelling, "guess").send().await.assert_status(401);
    }
    // The right password does not help whoever guesses on.
    log_in(&shop, "mario@example.com", PASSWORD).send().await.problem(429, "rate.limited");
    log_in(&shop, "luigi@example.com", "guess").send().await.assert_status(401);
    shop.close().await;
}

fn tokens_with(key: &str, issuer: &str, audience: &str, clock: Clock) -> Tokens {
    let settings = TokenSettings {
        secret_key: Secret::new(key.to_owned()),
        previous_secret_key: None,
        issuer: issuer.to_owned(),
        audience: audience.to_owned(),
        lifetime: Duration::from_secs(3600),
    };
    Tokens::new(&settings, clock, Ids::random())
}

#[tokio::test]
async fn a_token_that_is_not_ours_is_refused_everywhere() {
    let shop = Shop::open().await;
    let manager = Identity::known(&shop.people.manager.id, "Peach", ["manager"]);
    let issue = |tokens: Tokens| tokens.issue(&manager).expect("a token").access_token;
    let now = Clock::system();
    let own = "neuroglia";
    let then = |clock: &Clock, seconds: i64| {
        Clock::manual(Timestamp::from_unix_micros(clock.now().unix_micros() + seconds * 1_000_000))
    };
    let good = &shop.people.manager.token;
    let [header, payload, signature] = good.split('.').collect::<Vec<_>>()[..] else {
        panic!("three parts: {good}")
    };
    let encoded = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let mut promoted = claims(&shop.people.customer.token);
    promoted["roles"] = json!(["manager"]);
    let promoted = encoded(promoted);
    let customers_signature = shop.people.customer.token.rsplit('.').next().expect("a signature");
    let none = encoded(json!({"alg": "none", "typ": "JWT"}));
    let other_alg = encoded(json!({"alg": "HS512", "typ": "JWT"}));

    let refused = [
        (issue(tokens_with(JWT_KEY, own, own, then(&now, -3631))), "auth.token_expired"),
        (issue(tokens_with(JWT_KEY, own, own, then(&now, 60))), "auth.token_invalid"),
        (issue(tokens_with("Zq8wE3rT6yU1iO4pA7sD2fG5hJ9kL0xC", own, own, now.clone())), "auth.token_invalid"),
        (issue(tokens_with(JWT_KEY, "elsewhere", own, now.clone())), "auth.token_invalid"),
        (issue(tokens_with(JWT_KEY, own, "elsewhere", now.clone())), "auth.token_invalid"),
        (format!("{none}.{payload}."), "auth.token_invalid"),
        (format!("{none}.{payload}"), "auth.token_invalid"),
        (format!("{none}.{payload}.{signature}"), "auth.token_invalid"),
        (format!("{other_alg}.{payload}.{signature}"), "auth.token_invalid"),
        (format!("{header}.{promoted}.{customers_signature}"), "auth.token_invalid"),
        (format!("{header}.{payload}."), "auth.token_invalid"),
        (format!("{good}x"), "auth.token_invalid"),
        ("x".repeat(9000), "auth.token_invalid"),
        ("..".to_owned(), "auth.token_invalid"),
        ("nonsense".to_owned(), "auth.token_invalid"),
    ];
    for (token, code) in refused {
        // On public routes as well: who shows something wrong is not nobody.
        for path in ["/api/v1/kitchen", "/api/v1/pizzas"] {
            let answer = shop.get(path).bearer(&token).send().await;
            answer.problem(401, code);
            assert!(answer.header("www-authenticate").is_some_and(|told| told.starts_with("Bearer")));
        }
    }
    for scheme in ["Basic bWFyaW86bWFyaW8=", "Bearer", "", "Token abc"] {
        let answer = shop.get("/api/v1/pizzas").header("authorization", scheme).send().await;
        answer.problem(401, "auth.token_invalid");
    }
    // Two clocks may differ a little.
    for seconds in [-3610, 20] {
        let token = issue(tokens_with(JWT_KEY, own, own, then(&now, seconds)));
        shop.get("/api/v1/kitchen").bearer(&token).send().await.assert_status(200);
    }
    shop.close().await;
}

#[tokio::test]
async fn a_key_is_changed_without_logging_anybody_out() {
    let new_key = "Zq8wE3rT6yU1iO4pA7sD2fG5hJ9kL0xC";
    let shop =
        Opening::new().set("JWT_SECRET_KEY", new_key).set("JWT_PREVIOUS_SECRET_KEY", JWT_KEY).open().await;
    let manager = Identity::known(&shop.people.manager.id, "Peach", ["manager"]);
    for key in [new_key, JWT_KEY] {
        let tokens = tokens_with(key, "neuroglia", "neuroglia", Clock::system());
        let token = tokens.issue(&manager).expect("a token").access_token;
        shop.get("/api/v1/kitchen").bearer(&token).send().await.assert_status(200);
    }
    shop.close().await;
}

#[tokio::test]
async fn two_accounts_cannot_have_one_name() {
    for engine in crate::shop::Engine::ALL {
        let shop = Opening::new().on(engine).open().await;
        open_account(&shop, "mario@example.com", PASSWORD).await;
        let command = CreateUser {
            username: "MARIO@example.com".to_owned(),
            name: "Impostor".to_owned(),
            role: Role::Admin,
            password_hash: PasswordHash::new("x".to_owned()),
        };
        let error = shop.send(command).await.expect_err("the name is taken");
        assert_eq!(error.code(), "user.exists");
        log_in(&shop, "mario@example.com", PASSWORD).send().await.assert_status(200);
        shop.close().await;
    }
}

#[tokio::test]
async fn what_is_stored_and_told_has_no_password() {
    let shop = Shop::open().await;
    open_account(&shop, "mario@example.com", PASSWORD).await;
    let outbox = format!("{:?}", shop.events().await);
    assert!(outbox.contains("user.created"), "{outbox}");
    for secret in [PASSWORD, "argon2id"] {
        assert!(!outbox.contains(secret), "{secret}");
    }
    shop.close().await;
}
