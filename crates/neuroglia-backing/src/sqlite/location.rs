//! From a URL to a file.

use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use url::Url;

/// Whether the URL names a file, without touching it.
///
/// # Errors
/// What is wrong with it, as a fragment for the report of settings.
pub fn check_url(url: &Url) -> Result<(), String> {
    path_of(url).map(|_| ())
}

/// `sqlite:///var/shop.db` is `/var/shop.db`; `sqlite://data/shop.db` is `data/shop.db`.
pub(super) fn path_of(url: &Url) -> Result<PathBuf, String> {
    if url.scheme() != "sqlite" {
        return Err(format!("the scheme is {}, not sqlite", url.scheme()));
    }
    if !url.username().is_empty() || url.password().is_some() || url.port().is_some() {
        return Err("a SQLite file has neither a user nor a port".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("a SQLite URL takes no parameters".to_owned());
    }
    // In `sqlite://data/shop.db` the first part of the path stands where other URLs have their host.
    let text = format!("{}{}", url.host_str().unwrap_or_default(), url.path());
    let path = percent_decode_str(&text).decode_utf8().map_err(|_| "the path is not UTF-8".to_owned())?;
    match &*path {
        "" | "/" => Err("no file is named; use sqlite:///path/to/file.db".to_owned()),
        ":memory:" => Err("a store in memory is memory:".to_owned()),
        path if path.ends_with('/') => Err(format!("{path} is a directory; name a file in it")),
        path if path.contains('\0') => Err("the path has a NUL in it".to_owned()),
        path => Ok(PathBuf::from(path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(url: &str) -> Result<PathBuf, String> {
        path_of(&url.parse().expect("a URL"))
    }

    #[test]
    fn a_path_is_absolute_or_relative() {
        assert_eq!(path("sqlite:///var/lib/shop.db"), Ok("/var/lib/shop.db".into()));
        assert_eq!(path("sqlite://shop.db"), Ok("shop.db".into()));
        assert_eq!(path("sqlite:shop.db"), Ok("shop.db".into()));
        assert_eq!(path("sqlite://Data/My%20Shop.db"), Ok("Data/My Shop.db".into()));
        assert_eq!(path("sqlite://./data/shop.db"), Ok("./data/shop.db".into()));
    }

    #[test]
    fn what_names_no_file_is_refused() {
        for (url, part) in [
            ("sqlite://", "no file"),
            ("sqlite:///", "no file"),
            ("sqlite::memory:", "memory:"),
            ("sqlite:///var/lib/", "is a directory"),
            ("sqlite:///shop.db?mode=ro", "no parameters"),
            ("sqlite://user@shop.db", "neither a user"),
            ("file:///shop.db", "not sqlite"),
        ] {
            let fault = path(url).expect_err(url);
            assert!(fault.contains(part), "{url}: {fault}");
        }
    }
}
