//! Notifications: what a customer is told about an order.
//!
//! A notification goes from unread over read to dismissed and never back. Asking for the state that it has
//! already is fine and changes nothing, so a client may repeat a request whose answer it lost; dismissing an
//! unread one counts as reading it.

use std::fmt;

use neuroglia::clock::Timestamp;
use neuroglia::domain::{Aggregate, DomainEvent, Root};
use neuroglia::error::Error;
use neuroglia::id::Id;
use serde::{Deserialize, Serialize};

use crate::customer::CustomerId;
use crate::order::{OrderId, OrderStatus};
use crate::user::UserId;

/// The id of a notification.
pub type NotificationId = Id<Notification>;

/// What a notification tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotificationKind {
    /// The kitchen has started.
    Cooking,
    /// The pizzas wait for a driver.
    Ready,
    /// The pizzas are on their way.
    Delivering,
    /// The pizzas have arrived.
    Delivered,
    /// There will be no pizzas.
    Cancelled,
}

impl NotificationKind {
    /// Every kind, in the order of an order's life.
    pub const ALL: [Self; 5] =
        [Self::Cooking, Self::Ready, Self::Delivering, Self::Delivered, Self::Cancelled];

    /// What to tell about an order that has come to this status, if anything.
    pub const fn of(status: OrderStatus) -> Option<Self> {
        match status {
            OrderStatus::Pending | OrderStatus::Confirmed => None,
            OrderStatus::Cooking => Some(Self::Cooking),
            OrderStatus::Ready => Some(Self::Ready),
            OrderStatus::Delivering => Some(Self::Delivering),
            OrderStatus::Delivered => Some(Self::Delivered),
            OrderStatus::Cancelled => Some(Self::Cancelled),
        }
    }

    /// Its name on the wire and in documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cooking => "cooking",
            Self::Ready => "ready",
            Self::Delivering => "delivering",
            Self::Delivered => "delivered",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What a customer has done with a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotificationStatus {
    /// Nothing yet.
    Unread,
    /// Read it.
    Read,
    /// Put it away.
    Dismissed,
}

impl NotificationStatus {
    /// Every status.
    pub const ALL: [Self; 3] = [Self::Unread, Self::Read, Self::Dismissed];

    /// Its name on the wire and in documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unread => "unread",
            Self::Read => "read",
            Self::Dismissed => "dismissed",
        }
    }
}

/// Something that a customer is told about an order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Notification {
    id: NotificationId,
    customer_id: CustomerId,
    #[serde(default)]
    user_id: Option<UserId>,
    order_id: OrderId,
    kind: NotificationKind,
    status: NotificationStatus,
    at: Timestamp,
    read_at: Option<Timestamp>,
    dismissed_at: Option<Timestamp>,
    #[serde(skip)]
    root: Root,
}

impl Notification {
    /// The path of the customer who is told.
    pub const CUSTOMER_ID_PATH: &'static str = "customer_id";
    /// The path of the account that may read it.
    pub const USER_ID_PATH: &'static str = "user_id";
    /// The path of the order that it is about.
    pub const ORDER_ID_PATH: &'static str = "order_id";
    /// The path of what it tells.
    pub const KIND_PATH: &'static str = "kind";
    /// The path of what the customer has done with it.
    pub const STATUS_PATH: &'static str = "status";
    /// The path of the time of what it tells.
    pub const AT_PATH: &'static str = "at";

    /// Tells a customer that this happened to an order, which this account placed, or a guest.
    pub fn about(
        id: NotificationId,
        customer_id: CustomerId,
        user_id: Option<UserId>,
        order_id: OrderId,
        kind: NotificationKind,
        at: Timestamp,
    ) -> Self {
        let mut notification = Self {
            id,
            customer_id,
            user_id,
            order_id,
            kind,
            status: NotificationStatus::Unread,
            at,
            read_at: None,
            dismissed_at: None,
            root: Root::default(),
        };
        notification.raise(NotificationCreated { notification_id: id, customer_id, order_id, kind, at });
        notification
    }

    /// The customer has read it; a second time changes nothing.
    ///
    /// # Errors
    /// When it is dismissed.
    pub fn read(&mut self, at: Timestamp) -> Result<(), NotificationError> {
        match self.status {
            NotificationStatus::Unread => {
                self.status = NotificationStatus::Read;
                self.read_at = Some(at);
                self.raise(NotificationRead { notification_id: self.id, customer_id: self.customer_id, at });
                Ok(())
            }
            NotificationStatus::Read => Ok(()),
            NotificationStatus::Dismissed => Err(NotificationError::Dismissed),
        }
    }

    /// The customer has put it away; a second time changes nothing.
    pub fn dismiss(&mut self, at: Timestamp) {
        if self.status == NotificationStatus::Dismissed {
            return;
        }
        self.status = NotificationStatus::Dismissed;
        self.read_at.get_or_insert(at);
        self.dismissed_at = Some(at);
        self.raise(NotificationDismissed { notification_id: self.id, customer_id: self.customer_id, at });
    }

    /// The customer who is told.
    pub const fn customer_id(&self) -> CustomerId {
        self.customer_id
    }

    /// The account that may read it; `None` when it is about a guest's order.
    pub const fn user_id(&self) -> Option<&UserId> {
        self.user_id.as_ref()
    }

    /// The order that it is about.
    pub const fn order_id(&self) -> OrderId {
        self.order_id
    }

    /// What it tells.
    pub const fn kind(&self) -> NotificationKind {
        self.kind
    }

    /// What the customer has done with it.
    pub const fn status(&self) -> NotificationStatus {
        self.status
    }

    /// When what it tells happened.
    pub const fn at(&self) -> Timestamp {
        self.at
    }

    /// When it was read.
    pub const fn read_at(&self) -> Option<Timestamp> {
        self.read_at
    }

    /// When it was put away.
    pub const fn dismissed_at(&self) -> Option<Timestamp> {
        self.dismissed_at
    }
}

impl Aggregate for Notification {
    type Id = NotificationId;

    const COLLECTION: &'static str = "notifications";

    fn id(&self) -> &NotificationId {
        &self.id
    }

    fn root(&self) -> &Root {
        &self.root
    }

    fn root_mut(&mut self) -> &mut Root {
        &mut self.root
    }
}

/// Why a notification does not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotificationError {
    /// It is dismissed, and nothing leads back from there.
    Dismissed,
}

impl NotificationError {
    /// The stable code of this error.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Dismissed => "notification.wrong_state",
        }
    }
}

impl fmt::Display for NotificationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dismissed => f.write_str("the notification is dismissed; it must be unread to be read"),
        }
    }
}

impl std::error::Error for NotificationError {}

impl From<NotificationError> for Error {
    fn from(error: NotificationError) -> Self {
        Self::conflict(error.code(), error.to_string())
    }
}

/// A customer is to be told something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotificationCreated {
    /// The notification.
    pub notification_id: NotificationId,
    /// The customer who is told.
    pub customer_id: CustomerId,
    /// The order that it is about.
    pub order_id: OrderId,
    /// What it tells.
    pub kind: NotificationKind,
    /// When what it tells happened.
    pub at: Timestamp,
}

impl DomainEvent for NotificationCreated {
    const NAME: &'static str = "notification.created";
}

/// A customer has read a notification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotificationRead {
    /// The notification.
    pub notification_id: NotificationId,
    /// The customer.
    pub customer_id: CustomerId,
    /// When.
    pub at: Timestamp,
}

impl DomainEvent for NotificationRead {
    const NAME: &'static str = "notification.read";
}

/// A customer has put a notification away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotificationDismissed {
    /// The notification.
    pub notification_id: NotificationId,
    /// The customer.
    pub customer_id: CustomerId,
    /// When.
    pub at: Timestamp,
}

impl DomainEvent for NotificationDismissed {
    const NAME: &'static str = "notification.dismissed";
}

#[cfg(test)]
mod tests {
    use neuroglia::id::Ids;

    use super::*;

    const EARLY: Timestamp = Timestamp::from_unix_micros(1);
    const LATE: Timestamp = Timestamp::from_unix_micros(2);

    fn unread() -> Notification {
        let ids = Ids::sequence();
        let mut told = Notification::about(
            ids.next(),
            ids.next(),
            None,
            ids.next(),
            NotificationKind::Ready,
            Timestamp::UNIX_EPOCH,
        );
        assert_eq!(told.take_events().len(), 1);
        told
    }

    fn event_names(notification: &mut Notification) -> Vec<&'static str> {
        notification.take_events().iter().map(|event| event.name()).collect()
    }

    #[test]
    fn read_then_dismissed_then_dismissed_again() {
        let mut told = unread();
        told.read(EARLY).expect("unread");
        told.read(LATE).expect("read is fine twice");
        assert_eq!((told.status(), told.read_at()), (NotificationStatus::Read, Some(EARLY)));
        told.dismiss(EARLY);
        told.dismiss(LATE);
        assert_eq!((told.status(), told.dismissed_at()), (NotificationStatus::Dismissed, Some(EARLY)));
        assert_eq!(event_names(&mut told), ["notification.read", "notification.dismissed"]);

        let before = told.clone();
        let refused = Error::from(told.read(LATE).expect_err("dismissed"));
        assert_eq!((refused.kind().status(), refused.code()), (409, "notification.wrong_state"));
        assert_eq!(told, before);
    }

    #[test]
    fn dismissing_an_unread_one_counts_as_reading_it() {
        let mut told = unread();
        told.dismiss(EARLY);
        assert_eq!((told.read_at(), told.dismissed_at()), (Some(EARLY), Some(EARLY)));
    }

    #[test]
    fn paths_are_those_of_the_document() {
        let told = unread();
        let document = serde_json::to_value(&told).expect("a document");
        for (path, value) in [(Notification::STATUS_PATH, "unread"), (Notification::KIND_PATH, "ready")] {
            assert_eq!(document[path], value);
        }
        for path in [Notification::CUSTOMER_ID_PATH, Notification::ORDER_ID_PATH, Notification::AT_PATH] {
            assert!(document[path].is_string(), "{path}");
        }
        assert_eq!(serde_json::from_value::<Notification>(document).expect("a notification"), told);
    }

    #[test]
    fn kinds_and_statuses_have_one_name_each() {
        for kind in NotificationKind::ALL {
            assert_eq!(serde_json::to_value(kind).expect("json"), kind.as_str());
        }
        for status in NotificationStatus::ALL {
            assert_eq!(serde_json::to_value(status).expect("json"), status.as_str());
        }
        let told = OrderStatus::ALL.into_iter().filter_map(NotificationKind::of);
        assert!(told.eq(NotificationKind::ALL), "everything that is told of an order");
    }
}
