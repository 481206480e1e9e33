//! The file of authorities that a URL names in `?cacertfile=`, as the URLs of brokers do.

use std::path::PathBuf;

use url::{Url, form_urlencoded};

const NAME: &str = "cacertfile";

/// Takes the file out of a URL, whose other parameters stay as they are written.
///
/// # Errors
/// What is wrong with it, as a fragment for the report of settings.
pub(crate) fn take(url: &mut Url) -> Result<Option<PathBuf>, String> {
    let Some(query) = url.query() else { return Ok(None) };
    let named = |pair: &str| {
        let (name, value) = form_urlencoded::parse(pair.as_bytes()).next()?;
        (name == NAME).then(|| PathBuf::from(value.into_owned()))
    };
    let mut authorities = query.split('&').filter_map(named);
    let Some(authority) = authorities.next() else { return Ok(None) };
    if authorities.next().is_some() || authority.as_os_str().is_empty() {
        return Err(format!("{NAME} names one file of authorities: write it once, with the file's path"));
    }
    let others: Vec<_> = query.split('&').filter(|pair| named(pair).is_none()).collect();
    let others = Some(others.join("&")).filter(|others| !others.is_empty());
    url.set_query(others.as_deref());
    if url.scheme() != "https" {
        return Err(format!("{NAME} says whose certificate a server has: use https://, which asks for one"));
    }
    Ok(Some(authority))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_taken_out_and_the_rest_stays_as_it_was() {
        let taken = |text: &str| {
            let mut url = text.parse().expect("a URL");
            take(&mut url).map(|authority| (authority, url.to_string()))
        };
        for (url, file, rest) in [
            ("https://host/events", None, "https://host/events"),
            ("https://host/?a=%20&b", None, "https://host/?a=%20&b"),
            ("https://host/?cacertfile=/ca.pem", Some("/ca.pem"), "https://host/"),
            ("https://host/?a=%20+&cacertfile=/my%20ca.pem&b", Some("/my ca.pem"), "https://host/?a=%20+&b"),
        ] {
            assert_eq!(taken(url), Ok((file.map(PathBuf::from), rest.to_owned())));
        }
        for url in ["https://host/?cacertfile=", "https://host/?cacertfile=/a.pem&cacertfile=/b.pem"] {
            assert!(taken(url).is_err_and(|fault| fault.contains("write it once")), "{url}");
        }
        assert!(taken("http://host/?cacertfile=/ca.pem").is_err_and(|fault| fault.contains("use https://")));
    }
}
