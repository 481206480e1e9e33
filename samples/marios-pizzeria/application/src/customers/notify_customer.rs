//! A customer is told what happens to an order: in the store, and by mail to whoever gave an address.

use neuroglia::data::Repository;
use neuroglia::di::Inject;
use neuroglia::domain::Aggregate;
use neuroglia::error::Result;
use neuroglia::id::Ids;
use neuroglia::mail::{Letter, Mail, Mailer};
use neuroglia::mediation::EventHandler;
use pizzeria_domain::notification::{Notification, NotificationKind};
use pizzeria_domain::order::{Order, OrderEvent};

/// Keeps a notification and a mail in one unit of work, once for each event.
#[derive(Inject)]
pub struct NotifyCustomer {
    notifications: Repository<Notification>,
    orders: Repository<Order>,
    mailer: Mailer,
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
        let Some(to) = order.contact().email() else { return Ok(()) };
        let key = format!("{}.{}", order.id(), kind.as_str());
        self.mailer.send(Mail::new(key, to.clone(), letter(&order, kind))?).await
    }
}

/// What the customer of an order reads.
fn letter(order: &Order, kind: NotificationKind) -> Letter {
    let news = match kind {
        NotificationKind::Cooking => "is in the oven",
        NotificationKind::Ready => "is ready and waits for its driver",
        NotificationKind::Delivering => "is on its way",
        NotificationKind::Delivered => "has arrived",
        NotificationKind::Cancelled => "was cancelled",
    };
    let letter = Letter::about(format!("Your pizza {news}: order {}", order.id()))
        .paragraph(format!("Dear {},", order.contact().name()))
        .paragraph(format!("your order {} {news}.", order.id()));
    let letter = match order.cancel_reason() {
        Some(reason) if kind == NotificationKind::Cancelled => letter.facts([("Reason", reason)]),
        _ => letter,
    };
    letter.paragraph("Mario's Pizzeria")
}
