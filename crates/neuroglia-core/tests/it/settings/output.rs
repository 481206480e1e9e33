//! The table, the JSON and the template.

use neuroglia::settings::{Environment, Schema, Secret, Settings};
use url::Url;

use super::pizzeria::*;

#[test]
fn the_table_is_aligned_and_says_where_each_value_is_from() {
    #[derive(Settings)]
    #[expect(dead_code, reason = "only its report is looked at")]
    struct Small {
        /// The port the HTTP server binds.
        ///
        /// Ports below 1024 need a privilege.
        #[setting(alias = "SERVER_PORT", default = "8000")]
        port: u16,
        /// Signs
        /// access tokens.
        key: Secret<String>,
        oven: Option<String>,
        /// Where orders are kept.
        url: Url,
    }
    let environment = Environment::from_pairs([
        ("SERVER_PORT", "9000"),
        ("KEY_FILE", "/run/secrets/key"),
        ("URL", "postgres://mario:mamma@db/pizzeria"),
    ])
    .with_files(files(&[("/run/secrets/key", STRONG.as_bytes())]));
    let report = environment.load::<Small>(&[]).report;
    let table = "\
NAME  VALUE                              SOURCE                   HELP
PORT  9000                               environment SERVER_PORT  The port the HTTP server binds.
KEY   <redacted>                         file /run/secrets/key    Signs access tokens.
OVEN  -                                  not set
URL   postgres://<redacted>@db/pizzeria  environment              Where orders are kept.
";
    assert_eq!(report.table(), table);
    let json = serde_json::to_value(&report).expect("a report is plain data");
    assert_eq!(
        json["variables"][1],
        serde_json::json!({
            "name": "KEY", "type": "text", "secret": true, "optional": false, "list": false,
            "help": "Signs\naccess tokens.", "value": "<redacted>",
            "source": {"kind": "file", "variable": "KEY_FILE", "path": "/run/secrets/key"},
        })
    );
}

#[test]
fn the_template_explains_every_variable() {
    let template = Schema::of::<PizzeriaSettings>().template();
    let expected = r#"# Every variable of the application. One that is commented out has a default, or may stay unset.
# Instead of any NAME, NAME_FILE can name a file that holds the value; set one of the two.

# How many orders cook at once.
#
# More than the oven holds is of no use.
# (whole number from 1 to 4294967295; default 3)
#KITCHEN_CAPACITY=3

# Authorises charges.
# (secret; optional)
# PAYMENT_API_KEY_FILE=/run/secrets/payment_api_key
#PAYMENT_API_KEY=

# How long the gateway may take.
# (duration; default 5s)
#PAYMENT_TIMEOUT=5s

# Where orders are kept.
# (URL; required)
DATABASE_URL=sqlite:///var/lib/pizzeria/pizzeria.db

# Signs access tokens.
# (secret; at least 32 bytes; required)
# JWT_SECRET_KEY_FILE=/run/secrets/jwt_secret_key
JWT_SECRET_KEY=

# The port the HTTP server binds.
# (whole number from 0 to 65535; default 8000; also SERVER_PORT)
#PORT=8000

# The largest body of a request.
# (size; default 2MiB)
#BODY_SIZE=2MiB

# Who may call from a browser.
# (list of URL; empty by default)
#CORS_ORIGINS=

# (Oven; optional)
#OVEN="<Oven>"

# Whether pizzas are delivered.
# (true or false; default on)
#DELIVERY=on

# (whole number from 0 to 255; default 11)
#OPENS=11

# (whole number from 0 to 255; default 23)
#CLOSES=23

# The mail server.
# (text; required with SMTP_…)
#SMTP_HOST=text

# (whole number from 0 to 65535; default 587)
#SMTP_PORT=587

# (text; optional)
#TYPE=text
"#;
    assert_eq!(template, expected);
    assert_eq!(Schema::of::<PizzeriaSettings>().template(), template);
}

#[test]
fn what_is_loaded_and_what_is_described_are_the_same_variables() {
    let declared: Vec<_> = Schema::of::<PizzeriaSettings>().variables().cloned().collect();
    for pairs in [&[][..], &[("SMTP_HOST", "h")]] {
        let report = load_with(pairs).report;
        let loaded: Vec<_> = report.entries().iter().map(|entry| entry.variable.clone()).collect();
        assert_eq!(loaded, declared);
    }
}
