//! What a deploy of the pizzeria should be, beyond what holds for every application.
//!
//! No engine is expected of the database: one machine with a file is a deploy like any other.

use neuroglia::parity::EnvironmentValidator;
use neuroglia::settings::{Deploy, Setting, Warning};

/// The pizzeria's own rule. No difference between its deploys has to be accepted.
pub(crate) fn parity(validator: EnvironmentValidator) -> EnvironmentValidator {
    validator.rule(gateway_is_heard)
}

/// A gateway tells by a webhook what it has done so late that nobody asks for it any more.
fn gateway_is_heard(deploy: &Deploy) -> Vec<Warning> {
    let is_set = |name: &str| deploy.setting(name).is_some_and(Setting::is_set);
    if !is_set("PAYMENT_URL") || is_set("PAYMENT_WEBHOOK_KEY") {
        return Vec::new();
    }
    vec![Warning {
        code: "payment.unheard",
        what: "the gateway's webhooks are refused: nobody hears of what it charges late".to_owned(),
        at: "PAYMENT_URL and PAYMENT_WEBHOOK_KEY".to_owned(),
        fix: "set PAYMENT_WEBHOOK_KEY to what the gateway signs its webhooks with".to_owned(),
    }]
}
