//! List what the caller was told.

use neuroglia::clock::Timestamp;
use neuroglia::data::{Cursor, Field, Page, Query as Find, Repository};
use neuroglia::di::Inject;
use neuroglia::domain::Aggregate;
use neuroglia::error::{Error, Result};
use neuroglia::identity::Identity;
use neuroglia::mediation::{Query, QueryHandler};
use pizzeria_domain::notification::{Notification, NotificationKind, NotificationStatus};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::accounts::user_id;
use crate::wire::{NameOf, Time, Uuid};

const USER_ID: Field<Notification, String> = Field::new(Notification::USER_ID_PATH);

/// List what the caller was told, the newest first.
pub struct ListMyNotifications {
    /// Where to go on.
    pub cursor: Option<Cursor>,
    /// How many.
    pub limit: u32,
}

/// Something that a customer was told.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct NotificationDto {
    /// Its id.
    #[schemars(with = "Uuid")]
    pub id: String,
    /// The order that it is about.
    #[schemars(with = "Uuid")]
    pub order_id: String,
    /// cooking, ready, delivering, delivered or cancelled.
    #[schemars(with = "NameOf<NotificationKind>")]
    pub kind: String,
    /// unread, read or dismissed.
    #[schemars(with = "NameOf<NotificationStatus>")]
    pub status: String,
    /// When it happened.
    #[schemars(with = "Time")]
    pub at: Timestamp,
}

impl NotificationDto {
    /// The notification as clients see it.
    pub fn of(notification: &Notification) -> Self {
        Self {
            id: notification.id().to_string(),
            order_id: notification.order_id().to_string(),
            kind: notification.kind().as_str().to_owned(),
            status: notification.status().as_str().to_owned(),
            at: notification.at(),
        }
    }
}

impl Query for ListMyNotifications {
    type Response = Page<NotificationDto>;
    type Handler = ListMyNotificationsHandler;
}

/// Handles [`ListMyNotifications`].
#[derive(Inject)]
pub struct ListMyNotificationsHandler {
    notifications: Repository<Notification>,
    caller: Identity,
}

impl QueryHandler<ListMyNotifications> for ListMyNotificationsHandler {
    async fn handle(&self, query: ListMyNotifications) -> Result<Page<NotificationDto>> {
        let reader = user_id(&self.caller).ok_or_else(Error::unauthenticated)?;
        let own = Find::filter(USER_ID.eq(reader.to_string())).newest_first();
        let page = self.notifications.find(own.after(query.cursor).limit(query.limit)).await?;
        Ok(page.map(|notification| NotificationDto::of(&notification)))
    }
}
