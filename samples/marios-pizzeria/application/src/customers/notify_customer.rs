//! A customer is told what happens to an order.

use neuroglia::clock::Timestamp;
use neuroglia::data::Repository;
use neuroglia::di::Inject;
use neuroglia::error::Result;
use neuroglia::id::Ids;
use neuroglia::mediation::EventHandler;
use pizzeria_domain::customer::CustomerId;
use pizzeria_domain::notification::{Notification, NotificationKind};
use pizzeria_domain::order::{
    Order, OrderCancelled, OrderCookingStarted, OrderDelivered, OrderDeliveryStarted, OrderId, OrderReady,
};

/// Keeps a notification in the store, in the unit of work of what it tells.
#[derive(Inject)]
pub struct NotifyCustomer {
    notifications: Repository<Notification>,
    orders: Repository<Order>,
    ids: Ids,
}

impl NotifyCustomer {
    async fn tell(
        &self,
        customer: CustomerId,
        order: OrderId,
        kind: NotificationKind,
        at: Timestamp,
    ) -> Result<()> {
        let placed_by = self.orders.get(&order).await?.and_then(|order| order.placed_by().cloned());
        let mut notification = Notification::about(self.ids.next(), customer, placed_by, order, kind, at);
        self.notifications.save(&mut notification)
    }
}

impl EventHandler<OrderCookingStarted> for NotifyCustomer {
    async fn handle(&self, event: &OrderCookingStarted) -> Result<()> {
        self.tell(event.customer_id, event.order_id, NotificationKind::Cooking, event.at).await
    }
}

impl EventHandler<OrderReady> for NotifyCustomer {
    async fn handle(&self, event: &OrderReady) -> Result<()> {
        self.tell(event.customer_id, event.order_id, NotificationKind::Ready, event.at).await
    }
}

impl EventHandler<OrderDeliveryStarted> for NotifyCustomer {
    async fn handle(&self, event: &OrderDeliveryStarted) -> Result<()> {
        self.tell(event.customer_id, event.order_id, NotificationKind::Delivering, event.at).await
    }
}

impl EventHandler<OrderDelivered> for NotifyCustomer {
    async fn handle(&self, event: &OrderDelivered) -> Result<()> {
        self.tell(event.customer_id, event.order_id, NotificationKind::Delivered, event.at).await
    }
}

impl EventHandler<OrderCancelled> for NotifyCustomer {
    async fn handle(&self, event: &OrderCancelled) -> Result<()> {
        self.tell(event.customer_id, event.order_id, NotificationKind::Cancelled, event.at).await
    }
}
