//! Browsers: a session by a cookie, good at every replica, and nobody's when it cannot be looked up.

use std::time::Duration;

use http::Method;
use neuroglia::clock::{Clock, Timestamp};
use neuroglia::di::Service;
use neuroglia::error::ErrorKind;
use neuroglia::settings::Secret;
use neuroglia::work::{Job, NewWork, WorkFilter};
use neuroglia_testing::services::Redis;
use neuroglia_testing::workbench::{enqueue, named};
use neuroglia_testing::{TestApp, TestRequest, TestResponse};
use pizzeria_application::accounts::{ConfirmLogin, EndSessions, Identify, ResetUser};
use pizzeria_domain::user::Role;
use serde_json::json;

use crate::security::open_account;
use crate::shop::{Engine, Opening, Shop};

const NAME: &str = "mario@example.com";
const PASSWORD: &str = "correct horse battery staple";

fn logging_in<'a>(app: &'a TestApp, password: &str) -> TestRequest<'a> {
    app.post("/api/v1/auth/session").json(&json!({ "username": NAME, "password": password }))
}

/// What a browser sends back of the cookie that it got.
fn cookie(answer: &TestResponse) -> String {
    let told = answer.header("set-cookie").expect("a cookie");
    told.split(';').next().expect("a name and a value").to_owned()
}

async fn logged_in(app: &TestApp) -> String {
    cookie(&logging_in(app, PASSWORD).send().await.assert_status(204))
}

async fn profile(app: &TestApp, cookie: &str) -> TestResponse {
    app.get("/api/v1/me").header("cookie", cookie).send().await
}

fn from_here<'a>(app: &TestApp, request: TestRequest<'a>) -> TestRequest<'a> {
    request.header("origin", format!("http://{}", app.address()))
}

fn leaving<'a>(app: &'a TestApp, cookie: &str) -> TestRequest<'a> {
    from_here(app, app.delete("/api/v1/auth/session").header("cookie", cookie))
}

#[tokio::test]
async fn a_page_logs_in_by_a_cookie_that_no_script_reads_and_no_other_site_uses() {
    let shop = Shop::open().await;
    open_account(&shop, NAME, PASSWORD).await;
    logging_in(&shop, "wrong password").send().await.problem(401, "auth.credentials");

    let answer = logging_in(&shop, PASSWORD).send().await.assert_status(204);
    let told = answer.header("set-cookie").expect("a cookie").to_owned();
    let attributes: Vec<&str> = told.split("; ").skip(1).collect();
    assert_eq!(attributes, ["Path=/", "Max-Age=43200", "HttpOnly", "SameSite=Strict", "Secure"]);
    let cookie = cookie(&answer);
    let id = cookie.strip_prefix("__Host-session=").expect("a name that only this host may set");
    assert!(id.len() >= 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    assert_eq!(profile(&shop, &cookie).await.assert_status(200).json()["name"], "Mario");

    // What changes something says from where it comes; a page of somebody else's cannot say it.
    let contact = json!({ "name": "Mario", "phone": "+1 555 0199", "address": "1 Main St" });
    let change = || shop.put("/api/v1/me").header("cookie", &cookie).json(&contact);
    for (name, value) in
        [("x-nothing", "said"), ("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")]
    {
        change().header(name, value).send().await.problem(403, "auth.cross_site");
    }
    from_here(&shop, change()).send().await.assert_status(200);
    change().header("sec-fetch-site", "same-origin").send().await.assert_status(200);

    // Of a token that comes along it is a matter of its own.
    let chef = shop.get("/api/v1/kitchen").header("cookie", &cookie);
    chef.bearer(&shop.people.chef.token).send().await.assert_status(200);
    shop.get("/api/v1/kitchen").header("cookie", &cookie).send().await.assert_status(403);

    let left = leaving(&shop, &cookie).send().await.assert_status(204);
    assert!(left.header("set-cookie").is_some_and(|told| told.contains("__Host-session=; ")));
    assert!(left.header("set-cookie").is_some_and(|told| told.contains("Max-Age=0")));
    profile(&shop, &cookie).await.problem(401, "auth.required");
    // Its browser cannot take the cookie away, and must still reach the login.
    shop.get("/api/v1/pizzas").header("cookie", &cookie).send().await.assert_status(200);
    let cookie = {
        let again = from_here(&shop, logging_in(&shop, PASSWORD).header("cookie", &cookie));
        self::cookie(&again.send().await.assert_status(204))
    };
    // A token says who is asking, and the cookie still which session it is.
    leaving(&shop, &cookie).bearer(&shop.people.customer.token).send().await.assert_status(204);
    profile(&shop, &cookie).await.problem(401, "auth.required");
    shop.close().await;
}

#[tokio::test]
async fn a_login_makes_a_new_id_and_ends_the_one_before() {
    let shop = Opening::new().set("SESSION_COOKIE_SECURE", "false").open().await;
    open_account(&shop, NAME, PASSWORD).await;
    let first = logged_in(&shop).await;
    assert!(first.starts_with("session="), "without https the browser takes no other name: {first}");
    let again = from_here(&shop, logging_in(&shop, PASSWORD).header("cookie", &first));
    let second = cookie(&again.send().await.assert_status(204));
    assert_ne!(first, second);
    profile(&shop, &first).await.problem(401, "auth.required");
    profile(&shop, &second).await.assert_status(200);
    // An id that somebody else has thought of is none of ours, neither before nor after the login.
    let fixed = format!("session={}", "f".repeat(64));
    let fixing = from_here(&shop, logging_in(&shop, PASSWORD).header("cookie", &fixed));
    let given = cookie(&fixing.send().await.assert_status(204));
    assert_ne!(given, fixed);
    profile(&shop, &fixed).await.problem(401, "auth.required");
    shop.close().await;
}

#[tokio::test]
async fn a_session_is_read_and_ended_at_every_replica() {
    let redis = Redis::start();
    for (engine, cache) in
        [(Engine::Sqlite, "memory:"), (Engine::Postgres, "memory:"), (Engine::Sqlite, &redis.url())]
    {
        let shop = Opening::new().on(engine).set("CACHE_URL", cache).open().await;
        let other = shop.beside().await;
        open_account(&shop, NAME, PASSWORD).await;
        let cookie = logged_in(&shop).await;
        profile(&other, &cookie).await.assert_status(200);
        leaving(&other, &cookie).send().await.assert_status(204);
        profile(&shop, &cookie).await.problem(401, "auth.required");
        profile(&other, &cookie).await.problem(401, "auth.required");
        other.stop().await;
        // What is kept outlives the processes.
        let cookie = logged_in(&shop).await;
        let shop = shop.reopen().await;
        profile(&shop, &cookie).await.assert_status(200);
        shop.close().await;
    }
}

#[tokio::test]
async fn a_session_ends_when_it_is_not_used_and_in_any_case() {
    let clock = Clock::manual("2026-11-23T22:31:00Z".parse::<Timestamp>().expect("a time"));
    let of_test = clock.clone();
    let shop = Opening::new().services(move |services| {
        services.replace(Service::instance(of_test.clone()));
    });
    let shop = shop.open().await;
    open_account(&shop, NAME, PASSWORD).await;
    let minutes = |minutes: u64| clock.advance(Duration::from_secs(minutes * 60));
    let idle = logged_in(&shop).await;
    minutes(20);
    profile(&shop, &idle).await.assert_status(200);
    minutes(20);
    profile(&shop, &idle).await.assert_status(200);
    minutes(31);
    profile(&shop, &idle).await.problem(401, "auth.required");

    let busy = logged_in(&shop).await;
    for _ in 0..(12 * 60 / 20 - 1) {
        minutes(20);
        profile(&shop, &busy).await.assert_status(200);
    }
    minutes(20);
    profile(&shop, &busy).await.problem(401, "auth.required");
    shop.close().await;
}

#[tokio::test]
async fn a_new_password_ends_every_session_of_the_account() {
    let redis = Redis::start();
    for cache in ["memory:", &redis.url()] {
        let shop = Opening::new().set("CACHE_URL", cache).open().await;
        open_account(&shop, NAME, PASSWORD).await;
        let sessions = [logged_in(&shop).await, logged_in(&shop).await];
        shop.send(reset(PASSWORD)).await.expect("nothing changes");
        profile(&shop, &sessions[0]).await.assert_status(200);
        shop.send(reset("another password")).await.expect("a new password");
        for cookie in sessions {
            profile(&shop, &cookie).await.problem(401, "auth.required");
        }
        // Until that is done, sessions of the new password end too.
        shop.worked_off().await;
        let anew = cookie(&logging_in(&shop, "another password").send().await.assert_status(204));
        profile(&shop, &anew).await.assert_status(200);
        shop.close().await;
    }
}

fn reset(password: &str) -> ResetUser {
    ResetUser {
        username: NAME.to_owned(),
        name: "Mario".to_owned(),
        role: Role::Customer,
        password: Secret::new(password.to_owned()),
    }
}

#[tokio::test]
async fn a_login_that_a_new_password_overtakes_opens_nothing() {
    let shop = Shop::open().await;
    open_account(&shop, NAME, PASSWORD).await;
    let login = async || {
        let password = Secret::new(PASSWORD.to_owned());
        shop.send(Identify { username: NAME.to_owned(), password }).await.expect("the password is right")
    };
    shop.send(ConfirmLogin(login().await)).await.expect("nothing has changed");
    // Its password was found right, and its session is still to begin.
    let overtaken = login().await;
    shop.send(reset("another password")).await.expect("a new password");
    let refused = shop.send(ConfirmLogin(overtaken)).await.expect_err("it was of the old password");
    assert_eq!((refused.kind(), refused.code()), (ErrorKind::Unauthenticated, "auth.credentials"));
    shop.close().await;
}

#[tokio::test]
async fn a_session_that_began_while_a_new_password_was_committed_ends_after_it() {
    let shop = Shop::open().await;
    open_account(&shop, NAME, PASSWORD).await;
    let store = shop.store();
    let ending =
        || WorkFilter { kind: Some(EndSessions::KIND.to_owned()), limit: 10, ..WorkFilter::default() };
    shop.send(reset(PASSWORD)).await.expect("nothing changes");
    assert!(store.list_work(&ending()).await.expect("the store answers").is_empty(), "nothing has changed");
    shop.send(reset("another password")).await.expect("a new password");
    let asked = store.list_work(&ending()).await.expect("the store answers").remove(0);
    shop.worked_off().await;

    // As if it had begun between the end of all sessions and the commit.
    let cookie = cookie(&logging_in(&shop, "another password").send().await.assert_status(204));
    profile(&shop, &cookie).await.assert_status(200);
    let after =
        NewWork { queue: asked.queue, payload: asked.payload, ..named(EndSessions::KIND, "replaced") };
    enqueue(&*store, [after]).await;
    shop.worked_off().await;
    profile(&shop, &cookie).await.problem(401, "auth.required");
    shop.close().await;
}

#[tokio::test]
async fn a_session_that_cannot_be_looked_up_is_nobodys_and_everything_else_goes_on() {
    let mut redis = Redis::start();
    let shop = Opening::new().set("CACHE_URL", &redis.url()).set("ADMIN_PORT", "0").open().await;
    open_account(&shop, NAME, PASSWORD).await;
    let cookie = logged_in(&shop).await;
    redis.stop();
    let unavailable = profile(&shop, &cookie).await;
    unavailable.problem(503, "service.unavailable");
    assert!(unavailable.header("retry-after").is_some());
    // Neither is it taken for nobody's where anybody may ask.
    shop.get("/api/v1/pizzas").header("cookie", &cookie).send().await.problem(503, "service.unavailable");
    logging_in(&shop, PASSWORD).send().await.problem(503, "service.unavailable");

    shop.get("/api/v1/pizzas").send().await.assert_status(200);
    shop.get("/api/v1/me").bearer(&shop.people.customer.token).send().await.assert_status(200);
    let login = shop.post("/api/v1/auth/token").json(&json!({ "username": NAME, "password": PASSWORD }));
    login.send().await.assert_status(200);
    shop.get("/health/ready").send().await.assert_status(200);
    // What was checked just before is not checked again at once.
    crate::shop::eventually("the detail of health says so", async || {
        shop.get_admin("/health").send().await.assert_status(200).json()["status"] == "degraded"
    })
    .await;

    redis.start_again();
    crate::shop::eventually("the cache is back", async || profile(&shop, &cookie).await.status == 200).await;
    shop.close().await;
}

#[tokio::test]
async fn a_quota_counts_for_all_replicas() {
    let mut redis = Redis::start();
    let url = redis.url();
    for cache in ["memory:", &url] {
        let shop = Opening::new().on(Engine::Sqlite).set("CACHE_URL", cache);
        let shop = shop.set("LOGIN_LIMIT_ACCOUNT", "2/1h").open().await;
        let other = shop.beside().await;
        logging_in(&shop, "guess").send().await.assert_status(401);
        logging_in(&other, "guess").send().await.assert_status(401);
        for app in [&*shop, &other] {
            let refused = logging_in(app, "guess").send().await;
            refused.problem(429, "rate.limited");
            assert!(refused.header("retry-after").is_some_and(|seconds| seconds.len() >= 4), "half an hour");
        }
        other.stop().await;
        shop.close().await;
    }

    let shop = Opening::new().on(Engine::Sqlite).set("CACHE_URL", &url).set("HTTP_RATE_LIMIT", "4/1h");
    let shop = shop.without_menu().open().await;
    let other = shop.beside().await;
    for (app, left) in [(&*shop, "r=3"), (&other, "r=2"), (&*shop, "r=1"), (&other, "r=0")] {
        let answer = app.get("/api/v1/pizzas").send().await.assert_status(200);
        assert!(answer.header("ratelimit").is_some_and(|state| state.contains(left)), "{left}");
    }
    other.get("/api/v1/pizzas").send().await.problem(429, "rate.limited");
    other.get("/health/live").send().await.assert_status(200);
    // Whoever is alone counts by himself: two were taken here.
    redis.stop();
    shop.get("/api/v1/pizzas").send().await.assert_status(200);
    shop.request(Method::GET, "/api/v1/pizzas").send().await.assert_status(200);
    shop.get("/api/v1/pizzas").send().await.problem(429, "rate.limited");
    other.stop().await;
    shop.close().await;
}
