//! Read a notification, and put it away.

use neuroglia::clock::Clock;
use neuroglia::data::Repository;
use neuroglia::di::Inject;
use neuroglia::error::{Error, Result};
use neuroglia::identity::Identity;
use neuroglia::mediation::{Command, CommandHandler};
use pizzeria_domain::notification::{Notification, NotificationId};

use super::NotificationDto;
use crate::accounts::user_id;

/// Note that the caller has read a notification.
#[derive(Debug, Clone)]
pub struct ReadNotification {
    /// Which.
    pub id: NotificationId,
}

/// Put a notification away.
#[derive(Debug, Clone)]
pub struct DismissNotification {
    /// Which.
    pub id: NotificationId,
}

impl Command for ReadNotification {
    type Response = NotificationDto;
    type Handler = ReadNotificationHandler;
}

impl Command for DismissNotification {
    type Response = NotificationDto;
    type Handler = DismissNotificationHandler;
}

/// The caller's own notifications; others do not exist for them.
#[derive(Inject)]
struct Own {
    notifications: Repository<Notification>,
    caller: Identity,
    clock: Clock,
}

impl Own {
    async fn get(&self, id: NotificationId) -> Result<Notification> {
        let reader = user_id(&self.caller).ok_or_else(Error::unauthenticated)?;
        match self.notifications.get(&id).await? {
            Some(notification) if notification.user_id() == Some(&reader) => Ok(notification),
            _ => Err(Error::not_found("notification", id)),
        }
    }

    fn save(&self, mut notification: Notification) -> Result<NotificationDto> {
        self.notifications.save(&mut notification)?;
        Ok(NotificationDto::of(&notification))
    }
}

/// Handles [`ReadNotification`].
#[derive(Inject)]
pub struct ReadNotificationHandler {
    own: Own,
}

impl CommandHandler<ReadNotification> for ReadNotificationHandler {
    async fn handle(&self, command: ReadNotification) -> Result<NotificationDto> {
        let mut notification = self.own.get(command.id).await?;
        notification.read(self.own.clock.now())?;
        self.own.save(notification)
    }
}

/// Handles [`DismissNotification`].
#[derive(Inject)]
pub struct DismissNotificationHandler {
    own: Own,
}

impl CommandHandler<DismissNotification> for DismissNotificationHandler {
    async fn handle(&self, command: DismissNotification) -> Result<NotificationDto> {
        let mut notification = self.own.get(command.id).await?;
        notification.dismiss(self.own.clock.now());
        self.own.save(notification)
    }
}
