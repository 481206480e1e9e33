//! What a mail says, written once and read as text and as HTML.
//!
//! # Design notes
//! A template is a function: what varies comes as its arguments, and a [`Letter`] is what it gives. Both parts of the
//! message are made of the same words, so that they cannot disagree, and everything is escaped where it is written, so
//! that nobody can forget to. A template engine would be a second language with a second way to name things, which the
//! compiler does not check; who wants one renders its text into paragraphs.

use std::fmt::{self, Display, Write as _};

use url::Url;

use super::headers::Subject;

/// What a mail is about and what it says.
///
/// ```
/// use neuroglia_core::mail::Letter;
///
/// /// What the customer of an order reads when it is ready.
/// fn ready(name: &str, order: &str) -> Letter {
///     Letter::about(format!("Your pizza is ready: order {order}"))
///         .paragraph(format!("Dear {name},"))
///         .paragraph("your pizza is ready.")
///         .facts([("Order", order)])
/// }
///
/// let letter = ready("Ada & Bob", "o-1");
/// assert_eq!(letter.text(), "Dear Ada & Bob,\n\nyour pizza is ready.\n\nOrder: o-1\n");
/// assert!(letter.html().contains("<p>Dear Ada &amp; Bob,</p>"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a letter does nothing until it is mailed"]
pub struct Letter {
    subject: Subject,
    blocks: Vec<Block>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Block {
    Paragraph(String),
    Facts(Vec<(String, String)>),
    Link(String, Url),
}

impl Letter {
    /// A letter that says nothing yet.
    pub fn about(subject: impl Into<Subject>) -> Self {
        Self { subject: subject.into(), blocks: Vec::new() }
    }

    /// Says one thing more; a line break of the text stays one.
    pub fn paragraph(self, text: impl Into<String>) -> Self {
        self.with(Block::Paragraph(text.into()))
    }

    /// Lists values by their names, one in a line.
    pub fn facts<N: Into<String>, V: Display>(self, facts: impl IntoIterator<Item = (N, V)>) -> Self {
        self.with(Block::Facts(
            facts.into_iter().map(|(name, value)| (name.into(), value.to_string())).collect(),
        ))
    }

    /// Leads somewhere: a link with this text.
    pub fn link(self, text: impl Into<String>, url: Url) -> Self {
        self.with(Block::Link(text.into(), url))
    }

    /// What it is about.
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// What it says, for those who read text; lines end with `\n`.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for block in &self.blocks {
            if !text.is_empty() {
                text.push('\n');
            }
            let _ = block.write_text(&mut text);
        }
        text
    }

    /// What it says, as a document of its own.
    pub fn html(&self) -> String {
        let mut html = format!(
            "<!doctype html>\n<html>\n<head><meta charset=\"utf-8\"><title>{}</title></head>\n<body>\n",
            Escaped(self.subject.as_str())
        );
        for block in &self.blocks {
            let _ = block.write_html(&mut html);
        }
        html.push_str("</body>\n</html>\n");
        html
    }

    fn with(mut self, block: Block) -> Self {
        self.blocks.push(block);
        self
    }
}

impl Block {
    /// Fails never: a text takes everything.
    fn write_text(&self, text: &mut String) -> fmt::Result {
        match self {
            Self::Paragraph(words) => writeln!(text, "{}", Visible(words)),
            Self::Facts(facts) => facts
                .iter()
                .try_for_each(|(name, value)| writeln!(text, "{}: {}", Visible(name), Visible(value))),
            Self::Link(words, url) => writeln!(text, "{}: {url}", Visible(words)),
        }
    }

    /// Fails never: a text takes everything.
    fn write_html(&self, html: &mut String) -> fmt::Result {
        match self {
            Self::Paragraph(words) => writeln!(html, "<p>{}</p>", Escaped(words)),
            Self::Facts(facts) => {
                html.push_str("<table>\n");
                for (name, value) in facts {
                    writeln!(
                        html,
                        "<tr><th align=\"left\">{}</th><td>{}</td></tr>",
                        Escaped(name),
                        Escaped(value)
                    )?;
                }
                html.push_str("</table>\n");
                Ok(())
            }
            Self::Link(words, url) => {
                writeln!(html, "<p><a href=\"{}\">{}</a></p>", Escaped(url.as_str()), Escaped(words))
            }
        }
    }
}

/// A text without what no reader sees and some programs act on: control characters other than line breaks and tabs.
struct Visible<'a>(&'a str);

impl Display for Visible<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .chars()
            .filter(|c| matches!(c, '\n' | '\t') || !c.is_control())
            .try_for_each(|c| f.write_char(c))
    }
}

/// A text as it stands in HTML, between tags or quotes.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                '\n' => f.write_str("<br>\n")?,
                '\t' => f.write_char(c)?,
                c if c.is_control() => (),
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_parts_say_the_same() {
        let url = "https://pizza.example/orders?a=1&b=2".parse().expect("a URL");
        let letter = Letter::about("Your order")
            .paragraph("Dear Ada,\nhello\u{7}")
            .facts([("Orders", 1), ("Delivered", 0)])
            .link("Follow it", url);
        assert_eq!(
            letter.text(),
            "Dear Ada,\nhello\n\nOrders: 1\nDelivered: 0\n\nFollow it: https://pizza.example/orders?a=1&b=2\n"
        );
        let html = letter.html();
        assert!(html.contains("<p>Dear Ada,<br>\nhello</p>"), "{html}");
        assert!(html.contains("<tr><th align=\"left\">Orders</th><td>1</td></tr>"), "{html}");
        assert!(
            html.contains("<a href=\"https://pizza.example/orders?a=1&amp;b=2\">Follow it</a>"),
            "{html}"
        );
    }

    #[test]
    fn nothing_that_is_said_becomes_markup() {
        let evil = "<script>alert(\"1\")</script>' onload='x";
        let html = Letter::about(evil).paragraph(evil).facts([(evil, evil)]).html();
        assert!(!html.contains("<script") && !html.contains("onload='"), "{html}");
    }
}
