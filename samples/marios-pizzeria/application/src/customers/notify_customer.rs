//! A customer is told what happens to an order: in the store, and by mail to whoever gave an address.

use std::sync::Arc;

use neuroglia::data::Repository;
use neuroglia::di::Inject;
use neuroglia::error::Result;
use neuroglia::id::Ids;
use neuroglia::mediation::EventHandler;
use pizzeria_domain::notification::{Notification, NotificationKind};
use pizzeria_domain::order::{Order, OrderEvent};

use super::{Mail, Mailer};

/// Keeps a notification and a mail in one unit of work, once for each event.
#[derive(Inject)]
pub struct NotifyCustomer {
    notifications: Repository<Notification>,
    orders: Repository<Order>,
    mailer: Arc<dyn Mailer>,
    ids: Ids,
}

impl<E: OrderEvent> EventHandler<E> for NotifyCustomer {
    async fn handle(&self, event: &E) -> Result<()> {
        let (Some(kind), Some(order)) =
            (E::LEADS_TO.and_then(NotificationKind::of), self.orders.get(&event.order_id()).await?)
        else {
            return Ok(());
        };
        let mut notification = Notification::about(
            self.ids.next(),
            order.customer_id(),
            order.placed_by().cloned(),
            event.order_id(),
            kind,
            event.at(),
        );
        self.notifications.save(&mut notification)?;
        match mail(&order, kind) {
            Some(mail) => self.mailer.send(mail).await,
            None => Ok(()),
        }
    }
}

/// What the customer of an order reads; none when there is no address.
fn mail(order: &Order, kind: NotificationKind) -> Option<Mail> {
    use neuroglia::domain::Aggregate;
    let news = match kind {
        NotificationKind::Cooking => "is in the oven",
        NotificationKind::Ready => "is ready and waits for its driver",
        NotificationKind::Delivering => "is on its way",
        NotificationKind::Delivered => "has arrived",
        NotificationKind::Cancelled => "was cancelled",
    };
    let contact = order.contact();
    let reason = match (kind, order.cancel_reason()) {
        (NotificationKind::Cancelled, Some(reason)) => format!("Reason: {reason}\n"),
        _ => String::new(),
    };
    Some(Mail {
        key: format!("{}.{}", order.id(), kind.as_str()),
        to: contact.email()?.clone(),
        subject: format!("Your pizza {news}: order {}", order.id()),
        text: format!(
            "Dear {},\n\nyour order {} {news}.\n{reason}\nMario's Pizzeria\n",
            contact.name(),
            order.id()
        ),
    })
}
