//! The few words of MongoDB's protocol that whoever keeps a server for tests says to it: a command, and its answer.
//!
//! A driver would do it too, and is what the tests are about.

use std::io::{Error, Read, Result, Write};
use std::net::TcpStream;

/// The opcode of a message.
const OP_MSG: i32 = 2013;
/// The largest answer that is read.
const ANSWER_MAX: usize = 1 << 20;

/// A command, as a document of BSON.
#[derive(Debug, Clone, Default)]
pub struct Command(Vec<u8>);

/// What the server answered.
#[derive(Debug)]
pub(super) struct Answer(Vec<u8>);

impl Command {
    /// One that says nothing yet; its first field is its name.
    pub fn new() -> Self {
        Self::default()
    }

    /// With a whole number.
    #[must_use]
    pub fn whole(self, name: &str, value: i32) -> Self {
        self.field(0x10, name, &value.to_le_bytes())
    }

    /// With a truth value.
    #[must_use]
    pub fn truth(self, name: &str, value: bool) -> Self {
        self.field(0x08, name, &[u8::from(value)])
    }

    /// With a text.
    #[must_use]
    pub fn text(self, name: &str, value: &str) -> Self {
        let length = size(value.len() + 1).to_le_bytes();
        self.field(0x02, name, &[&length, value.as_bytes(), &[0]].concat())
    }

    /// With a list of texts.
    #[must_use]
    pub fn texts(self, name: &str, values: &[&str]) -> Self {
        let list = values.iter().enumerate();
        let list = list.fold(Self::new(), |list, (place, value)| list.text(&place.to_string(), value));
        self.field(0x04, name, &list.document())
    }

    /// With a document in it.
    #[must_use]
    pub fn inner(self, name: &str, value: Self) -> Self {
        self.field(0x03, name, &value.document())
    }

    fn field(mut self, kind: u8, name: &str, value: &[u8]) -> Self {
        self.0.push(kind);
        self.0.extend(name.as_bytes());
        self.0.push(0);
        self.0.extend(value);
        self
    }

    fn document(&self) -> Vec<u8> {
        [&size(self.0.len() + 5).to_le_bytes(), &*self.0, &[0]].concat()
    }

    /// Says it, and hears the answer.
    ///
    /// # Errors
    /// When the connection is lost, or the server refuses.
    pub(super) fn run(self, stream: &mut TcpStream, database: &str) -> Result<Answer> {
        let document = self.text("$db", database).document();
        let length = size(16 + 4 + 1 + document.len());
        let header = [length, 1, 0, OP_MSG, 0].map(i32::to_le_bytes).concat();
        stream.write_all(&[&*header, &[0], &*document].concat())?;
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        let rest = usize::try_from(i32::from_le_bytes(length)).ok().and_then(|length| length.checked_sub(4));
        let rest = rest.filter(|rest| *rest <= ANSWER_MAX).ok_or_else(|| Error::other("it is no answer"))?;
        let mut answer = vec![0; rest];
        stream.read_exact(&mut answer)?;
        // The rest of the header, the flags, the kind of the section, and the length of the document.
        let answer = Answer(answer.split_off(rest.min(12 + 4 + 1 + 4)));
        let is_well = answer.value(0x01, "ok").is_some_and(|value| value.starts_with(&1_f64.to_le_bytes()))
            || answer.value(0x10, "ok").is_some_and(|value| value.starts_with(&1_i32.to_le_bytes()));
        let refusal = || answer.text("errmsg").unwrap_or_else(|| "the server refuses".to_owned());
        if is_well { Ok(answer) } else { Err(Error::other(refusal())) }
    }
}

impl Answer {
    /// The text of this name; the first one, at whatever depth.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        let value = self.value(0x02, name)?;
        let length = i32::from_le_bytes(value.get(..4)?.try_into().ok()?);
        let text = value.get(4..4 + usize::try_from(length).ok()?.checked_sub(1)?)?;
        String::from_utf8(text.to_vec()).ok()
    }

    fn value(&self, kind: u8, name: &str) -> Option<&[u8]> {
        let mark = [&[kind], name.as_bytes(), &[0]].concat();
        let place = self.0.windows(mark.len()).position(|window| window == mark)?;
        self.0.get(place + mark.len()..)
    }
}

fn size(bytes: usize) -> i32 {
    i32::try_from(bytes).expect("a command of a test is short")
}
