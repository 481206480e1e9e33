//! Mail: a handler says what is to be written, and it is brought to whom it is for, at least once.
//!
//! A handler injects [`Mailer`] and gives it a [`Mail`]: a key, an [`EmailAddress`], and a [`Letter`], which a plain
//! function has written. The mail becomes a document of the unit of work, so it is there if and only if the change is.
//! Where a [`MailServer`] is attached, a job of the same unit brings it there; where none is, it waits in the store, and
//! [`SendWaitingMail`] hands it over once there is one.
//!
//! # What is promised
//! * One mail for each key, as long as it is kept: [`OutgoingMail::KEEP`] after it was sent. One that has failed for good is
//!   replaced by the next with its key, and kept for [`OutgoingMail::KEEP_FAILED`].
//! * Whoever was promised a mail gets it at least once. Every attempt has the same `Message-ID`, so that a repetition is
//!   recognised; it happens when a process dies between the server's word and its own commit.
//! * What the server refuses for good is a dead letter at once, which operators list and replay. What it refuses for now,
//!   or cannot be asked, is tried again for days.
//! * No text of a mail can become a header: those that a [`Mail`] carries are types without line breaks.
//!
//! An application lists the parts in its composition root: [`register`], [`attach`], [`messages`], [`worker`] and
//! [`scheduler`]; its migrations create the collection by [`OutgoingMail::COLLECTION`](crate::domain::Aggregate).

mod address;
mod headers;
mod letter;

mod mailer;
mod outgoing;

mod send;
mod waiting;

mod server;

mod memory;

mod parts;

pub use address::{EmailAddress, NotAnEmailAddress};
pub use headers::{MailKey, MessageId, NotAMailKey, NotAMessageId, Subject};
pub use letter::Letter;
pub use mailer::{Mail, Mailer, Sender};
pub use memory::{MemoryMailServer, Refusal};
pub use outgoing::{MailState, OutgoingMail, UnknownMailState};
pub use parts::{attach, messages, register, scheduler, worker};
pub use send::{SendMail, SendMailHandler};
pub use server::{MailServer, Message, REFUSED, refused};
pub use waiting::{
    ForgetOldMail, ForgetSentMail, ForgetSentMailHandler, QueueWaitingMail, QueueWaitingMailHandler,
    SendWaitingMail,
};
