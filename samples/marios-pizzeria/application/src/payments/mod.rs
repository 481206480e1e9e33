//! Cards: authorised when an order is placed, captured when it is delivered, given back when it is cancelled.
//!
//! Each of the three is a durable job that is asked for in the unit of work of the order's own change, and calls the
//! [`PaymentGateway`] with an idempotency key made of the order's id and the attempt to pay it. What the gateway says, as
//! an answer or by a webhook, is written down in one place, the [`till`], whichever comes first, twice, or too late.
//!
//! # Design notes
//! - A job may be tried again after its call has had its effect, also when no attempt is counted. So every try asks the
//!   gateway what it has of the order before it charges.
//! - An order whose card was declined may be paid otherwise, which is a further attempt with a key of its own. What the
//!   gateway still has, and says, of the attempts before is that they failed, and is told from it by that.
//! - An order may be cancelled while its authorisation is under way. Neither job waits for the other: the one that
//!   commits second conflicts over the order, is tried again, sees what the other did, and gives back what is held.
//!   The money of a cancelled order is given back also when a webhook is the first to tell of it.
//! - Without a gateway the jobs wait; nothing is lost by detaching it for a while.

mod authorise;
mod capture;
mod forget;
mod gateway;
mod give_back;
mod hear;
mod request;
mod till;

pub use authorise::AuthorisePayment;
pub use capture::CapturePayment;
pub use forget::{ForgetEveryMinute, ForgetWebhooks};
pub use gateway::{Authorisation, Charge, GatewayPayment, PaymentGateway};
pub use give_back::GiveBackPayment;
pub use hear::{HearGateway, NotePayment};
pub use request::RequestPayment;
