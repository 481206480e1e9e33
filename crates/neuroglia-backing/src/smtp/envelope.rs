//! A message as it goes over the wire: its envelope, and its content as RFC 5322 and MIME have it.

use std::time::{Duration, SystemTime};

use lettre::Address;
use lettre::address::Envelope;
use lettre::message::header::{ContentTransferEncoding, ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Body, Mailbox, MultiPart, SinglePart};
use neuroglia::clock::Timestamp;
use neuroglia::error::{Error, Result};
use neuroglia::mail::{EmailAddress, MailKey, Message, REFUSED};

/// Says that no person wrote it, so that no machine answers it (RFC 3834, section 5).
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

/// The message, ready to be sent: the same bytes in every attempt.
///
/// # Errors
/// For an address that SMTP cannot carry, such as one with two points in a row; it is the message's fault.
pub(super) fn seal(message: &Message) -> Result<(Envelope, Vec<u8>)> {
    let (from, to) = (address(&message.from)?, address(&message.to)?);
    let envelope = Envelope::new(Some(from.clone()), vec![to.clone()]).map_err(unfit)?;
    let builder = lettre::Message::builder()
        .message_id(Some(message.message_id.to_string()))
        .date(date(message.written_at))
        .from(Mailbox::new(None, from))
        .to(Mailbox::new(None, to))
        .subject(message.subject.as_str())
        .header(AutoSubmitted);
    let text = part(ContentType::TEXT_PLAIN, &message.text)?;
    // What ends a part is not a line of its text; a message that is one part would end with two more lines.
    let parts = MultiPart::alternative().boundary(boundary(message)).singlepart(text);
    let parts = match &message.html {
        None => parts,
        Some(html) => parts.singlepart(part(ContentType::TEXT_HTML, html)?),
    };
    Ok((envelope, builder.multipart(parts).map_err(unfit)?.formatted()))
}

/// A moment as headers have it, which know no year before 1970 nor after 9999.
fn date(moment: Timestamp) -> SystemTime {
    const SECONDS_MAX: u64 = 253_402_300_799;
    let seconds = u64::try_from(moment.unix_seconds()).unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.min(SECONDS_MAX))
}

fn address(address: &EmailAddress) -> Result<Address> {
    address.as_str().parse().map_err(unfit)
}

fn unfit(cause: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::invalid(REFUSED, "the message cannot be sent by SMTP as it is").with_source(cause)
}

/// A part of the content, always in the one encoding that leaves no `=_` as it is.
fn part(kind: ContentType, text: &str) -> Result<SinglePart> {
    // Lines end with CRLF on the wire, and only there.
    let lines = text.replace("\r\n", "\n").replace('\r', "\n").replace('\n', "\r\n");
    let body = Body::new_with_encoding(lines, ContentTransferEncoding::QuotedPrintable);
    let body = body.map_err(|_| Error::internal("there is a text that cannot be quoted"))?;
    Ok(SinglePart::builder().header(kind).body(body))
}

/// What stands between the parts, and can stand in none: see [`part`].
fn boundary(message: &Message) -> String {
    const MARKS: usize = "=__=".len();
    // RFC 2046, section 5.1.1.
    const { assert!(MailKey::BYTES_MAX + MARKS <= 70, "a boundary has 70 characters at most") };
    let id = message.message_id.as_str();
    let key = id.trim_start_matches('<').split('@').next().unwrap_or_default();
    format!("=_{key}_=")
}

#[cfg(test)]
mod tests {
    use neuroglia::mail::{MessageId, Subject};

    use super::*;

    fn sealed(text: &str) -> String {
        let from: EmailAddress = "mario@pizza.example".parse().expect("an address");
        let message = Message {
            message_id: MessageId::new(&"o-1.ready".parse().expect("a key"), &from),
            to: from.clone(),
            from,
            subject: Subject::from("Your pizza"),
            text: text.to_owned(),
            html: Some(text.to_owned()),
            written_at: Timestamp::from_unix_micros(1_700_000_000_000_000),
        };
        let (_, content) = seal(&message).expect("a message");
        String::from_utf8(content).expect("it is ASCII")
    }

    #[test]
    fn no_text_ends_its_part() {
        let content =
            sealed("hello\n--=_o-1.ready_=\nContent-Type: text/html\n\n<p>forged</p>\n--=_o-1.ready_=--\n");
        assert_eq!(content.matches("\r\n--=_o-1.ready_=").count(), 3, "{content}");
        // What was forged is text of both parts, and begins none.
        let parts_of =
            |kind: &str| content.matches(&format!("\r\n--=_o-1.ready_=\r\nContent-Type: {kind}")).count();
        assert_eq!((parts_of("text/plain"), parts_of("text/html")), (1, 1), "{content}");
        assert!(content.ends_with("\r\n--=_o-1.ready_=--\r\n"), "{content}");
    }

    #[test]
    fn every_attempt_is_the_same_and_says_that_no_person_wrote_it() {
        let content = sealed("grüße\n.\r\n");
        assert_eq!(content, sealed("grüße\n.\r\n"));
        assert!(content.is_ascii() && content.contains("Auto-Submitted: auto-generated\r\n"), "{content}");
        assert!(content.contains("Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n"), "{content}");
    }
}
