//! The mail server, chosen by its URL; without one, mail waits in the store.
//!
//! | URL | server | feature |
//! |---|---|---|
//! | `smtp://mail.example:587`, `smtps://user:password@mail.example` | one that takes mail to send on | `smtp` |

use std::pin::Pin;
use std::sync::Arc;

use neuroglia::di::ServiceCollection;
use neuroglia::error::{Error, Result};
use neuroglia::mail::{self, EmailAddress, MailServer};
use neuroglia::settings::{Problems, Settings};
use url::Url;

/// The port at which mail servers take mail of programs.
const SUBMISSION: u16 = 587;

/// Who sends mail, and by which server.
#[derive(Settings)]
#[setting(check = one_server)]
pub struct MailSettings {
    /// From whom mail is.
    #[setting(example = "shop@example.com")]
    pub mail_from: EmailAddress,
    /// The server that takes mail: `smtp://host:587`, or `smtps://user:password@host:465`. `?tls=required` demands
    /// encryption of `smtp:`, which is the default where there is a password; `?tls=opportunistic` takes it where it is
    /// offered; `?cacertfile=FILE` trusts that authority and no other. Not set, mail waits in the store.
    #[setting(example = "smtps://mail.example:465", check = a_mail_server)]
    pub smtp_url: Option<Url>,
    /// The host of a server that asks no password, instead of `SMTP_URL`.
    #[setting(example = "mail.example")]
    pub email_smtp_host: Option<String>,
    /// The port of that host; 587 when not set.
    #[setting(example = "587")]
    pub email_smtp_port: Option<u16>,
}

impl MailSettings {
    /// The server, whichever way it was named.
    fn server(&self) -> Option<Url> {
        self.smtp_url.clone().or_else(|| self.by_host()?.ok())
    }

    fn by_host(&self) -> Option<Result<Url, String>> {
        let host = self.email_smtp_host.as_ref()?;
        // What would be another part of the URL is no host.
        let is_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']');
        if !host.chars().all(is_host) {
            return Some(Err("is no host".to_owned()));
        }
        let port = self.email_smtp_port.unwrap_or(SUBMISSION);
        let url = format!("smtp://{host}:{port}").parse().map_err(|_| "is no host".to_owned());
        Some(url.and_then(|url| check_url(&url).map(|()| url)))
    }
}

fn a_mail_server(url: &Option<Url>) -> Result<(), String> {
    url.as_ref().map_or(Ok(()), check_url)
}

fn one_server(settings: &MailSettings, problems: &mut Problems) {
    if settings.email_smtp_port.is_some() && settings.email_smtp_host.is_none() {
        problems.add("email_smtp_port", "is the port of `EMAIL_SMTP_HOST`, which is not set");
    }
    match settings.by_host() {
        Some(Err(problem)) => problems.add("email_smtp_host", problem),
        Some(Ok(_)) if settings.smtp_url.is_some() => {
            problems
                .add("email_smtp_host", "must not be set beside `SMTP_URL`: one of them names the server");
        }
        _ => (),
    }
}

/// Gives an application its mailer, and the server if the settings name one; it is connected to when there is mail.
///
/// What sends it is registered by [`mail::messages`], [`mail::worker`] and [`mail::scheduler`].
pub fn attach(services: &mut ServiceCollection, settings: &MailSettings) {
    mail::register(services, settings.mail_from.clone());
    if let Some(url) = settings.server() {
        mail::attach(services, move || async move { connect(&url).await });
    }
}

/// Opens the mail server that the URL names; nobody is connected to yet.
///
/// # Errors
/// [`ErrorKind::Invalid`](neuroglia::error::ErrorKind::Invalid) for a URL that [`check_url`] refuses, and for a
/// file that it names and that cannot be used.
pub async fn connect(url: &Url) -> Result<Arc<dyn MailServer>> {
    let open = server(url).map_err(|fault| Error::invalid("mail.url", fault))?;
    open(url.clone()).await
}

/// Whether [`connect`] could open such a URL, without touching anything.
///
/// # Errors
/// What is wrong with it, as a fragment for the report of settings.
pub fn check_url(url: &Url) -> Result<(), String> {
    server(url).map(|_| ())
}

/// How a mail server is opened.
type OpenMail = fn(Url) -> Pin<Box<dyn Future<Output = Result<Arc<dyn MailServer>>> + Send>>;

/// The mail server that the URL names, once nothing is wrong with the URL.
fn server(url: &Url) -> Result<OpenMail, String> {
    match url.scheme() {
        #[cfg(feature = "smtp")]
        "smtp" | "smtps" => {
            crate::smtp::check_url(url).map(|()| -> OpenMail { |url| Box::pin(crate::smtp::open(url)) })
        }
        #[cfg(not(feature = "smtp"))]
        "smtp" | "smtps" => Err("this executable was built without the feature `smtp`".to_owned()),
        scheme => Err(format!(
            "there is no mail server {scheme}: use smtp://host:587 or smtps://user:password@host"
        )),
    }
}

#[cfg(test)]
mod tests {
    use neuroglia::settings::Environment;

    use super::*;

    const FROM: (&str, &str) = ("MAIL_FROM", "shop@example.com");

    fn loaded(pairs: &[(&str, &str)]) -> Result<Option<String>, Vec<String>> {
        let loaded = Environment::from_pairs(pairs.iter().copied().chain([FROM])).load::<MailSettings>(&[]);
        let faults = loaded.report.faults().iter().map(|fault| fault.what.clone()).collect();
        loaded.settings.map(|settings| settings.server().map(String::from)).ok_or(faults)
    }

    #[test]
    fn a_server_is_named_in_one_of_two_ways_or_not_at_all() {
        assert_eq!(loaded(&[]), Ok(None));
        let url = ("SMTP_URL", "smtp://mail.example:25");
        assert_eq!(loaded(&[url]), Ok(Some("smtp://mail.example:25".to_owned())));
        let host = ("EMAIL_SMTP_HOST", "mail.example");
        assert_eq!(loaded(&[host]), Ok(Some("smtp://mail.example:587".to_owned())));
        let port = ("EMAIL_SMTP_PORT", "2525");
        assert_eq!(loaded(&[host, port]), Ok(Some("smtp://mail.example:2525".to_owned())));
        assert!(loaded(&[url, host]).is_err_and(|faults| faults[0].contains("one of them names the server")));
        for pairs in [&[port][..], &[url, port]] {
            assert!(loaded(pairs).is_err_and(|faults| faults[0].contains("EMAIL_SMTP_HOST")), "{pairs:?}");
        }
    }

    #[test]
    fn what_is_no_server_is_refused_without_its_password() {
        for (name, value) in [
            ("EMAIL_SMTP_HOST", "hunter2@mail.example"),
            ("EMAIL_SMTP_HOST", "mail.example/inbox"),
            ("SMTP_URL", "http://user:hunter2@mail.example"),
            ("SMTP_URL", "smtp://user:hunter2@mail.example?tls=maybe"),
        ] {
            let faults = loaded(&[(name, value)]).expect_err(value);
            assert!(
                faults.iter().all(|fault| fault.contains(name) && !fault.contains("hunter2")),
                "{faults:?}"
            );
        }
    }

    #[test]
    fn a_mail_server_is_judged_by_its_scheme() {
        let fault = |url: &str| check_url(&url.parse().expect("a URL")).err();
        assert_eq!(fault("smtp://mail.example"), None);
        assert!(fault("pop3://mail.example").is_some_and(|fault| fault.contains("no mail server pop3")));
    }
}
