//! Services that are attached by an HTTP URL; what calls them is the module `http`, with the feature of that name.

use url::Url;

/// Whether a service can be called at such a URL: `https://…` or `http://…`, with the feature `http`.
///
/// # Errors
/// What is wrong with it, as a fragment for the report of settings.
pub fn check_url(url: &Url) -> Result<(), String> {
    match url.scheme() {
        #[cfg(feature = "http")]
        "http" | "https" => crate::http::check_url(url),
        #[cfg(not(feature = "http"))]
        "http" | "https" => Err("this executable was built without the feature `http`".to_owned()),
        scheme => Err(format!("there is no service at {scheme}: use https:// or http://")),
    }
}
