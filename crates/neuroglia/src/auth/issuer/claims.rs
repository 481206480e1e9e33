//! What an outside issuer says of somebody, and who that is here.

use neuroglia_core::identity::Identity;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::IssuerTokens;

/// The claims of a verified token.
#[derive(Deserialize)]
pub(super) struct Claims {
    sub: String,
    name: Option<String>,
    preferred_username: Option<String>,
    /// Seconds, which may have a fraction (RFC 7519, section 2, NumericDate). Few issuers say it.
    pub(super) nbf: Option<f64>,
    pub(super) exp: f64,
    #[serde(flatten)]
    others: Map<String, Value>,
}

impl Claims {
    /// Who that is; nobody, when the subject cannot be anybody's id.
    pub(super) fn identity(self, issuer: &str, roles_claim: &str) -> Option<Identity> {
        let place = issuer.split_once("://").map_or(issuer, |(_, place)| place).trim_end_matches('/');
        let subject = format!("{}@{place}", self.sub);
        let sound = !self.sub.is_empty()
            && subject.len() <= IssuerTokens::SUBJECT_BYTES_MAX
            && subject.bytes().all(|byte| byte.is_ascii_graphic());
        let name = self.name.or(self.preferred_username).unwrap_or_default();
        sound.then(|| Identity::known(subject, name, roles(&self.others, roles_claim)))
    }
}

/// The roles at this path: a list of texts, or one text with spaces between them.
fn roles(claims: &Map<String, Value>, path: &str) -> Vec<String> {
    match at(claims, path) {
        Some(Value::Array(roles)) => roles.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        Some(Value::String(roles)) => roles.split_whitespace().map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

/// A claim by this name, which may have points in it as URLs do, or else by the path that the points make.
fn at<'a>(claims: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    claims.get(path).or_else(|| {
        let mut names = path.split('.');
        let first = claims.get(names.next()?)?;
        names.try_fold(first, |value, name| value.get(name))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claims(others: Value) -> Claims {
        let mut claims = json!({"sub": "7", "exp": 1});
        claims.as_object_mut().expect("an object").extend(others.as_object().expect("an object").clone());
        serde_json::from_value(claims).expect("claims")
    }

    #[test]
    fn roles_are_found_where_the_setting_says() {
        let table = [
            (json!({"roles": ["chef", 7, "driver"]}), "roles", &["chef", "driver"][..]),
            (json!({"realm_access": {"roles": ["chef"]}}), "realm_access.roles", &["chef"]),
            (json!({"https://id.example/roles": ["chef"]}), "https://id.example/roles", &["chef"]),
            (json!({"scope": "chef driver"}), "scope", &["chef", "driver"]),
            (json!({"roles": {"chef": true}}), "roles", &[]),
            (json!({"realm_access": "chef"}), "realm_access.roles", &[]),
            (json!({}), "roles", &[]),
        ];
        for (given, path, expected) in table {
            let identity = claims(given.clone()).identity("https://id.example", path).expect("somebody");
            assert_eq!(identity.roles(), expected, "{given} {path}");
        }
    }

    #[test]
    fn a_subject_has_the_name_of_its_issuer() {
        let identity = |sub: &str| Claims { sub: sub.to_owned(), ..claims(json!({"name": "Ada"})) };
        let ada = identity("7").identity("https://id.example/realms/pizza/", "roles").expect("somebody");
        assert_eq!((ada.subject(), ada.name()), (Some("7@id.example/realms/pizza"), Some("Ada")));
        for nobody in ["", "a b", "é", "a\n", &"a".repeat(250)] {
            assert!(identity(nobody).identity("https://id.example", "roles").is_none(), "{nobody:?}");
        }
        let named = claims(json!({"preferred_username": "ada"})).identity("https://id.example", "roles");
        assert_eq!(named.expect("somebody").name(), Some("ada"));
    }
}
