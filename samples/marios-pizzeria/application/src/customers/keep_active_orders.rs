//! A customer's active orders follow from what happens to orders.

use neuroglia::data::Repository;
use neuroglia::di::Inject;
use neuroglia::error::Result;
use neuroglia::mediation::EventHandler;
use pizzeria_domain::customer::{Customer, CustomerId};
use pizzeria_domain::order::{OrderCancelled, OrderCreated, OrderDelivered, OrderId};

/// Keeps the list of a customer's active orders, in the unit of work that changes the order.
#[derive(Inject)]
pub struct KeepActiveOrders {
    customers: Repository<Customer>,
}

impl KeepActiveOrders {
    async fn end(&self, customer: CustomerId, order: OrderId) -> Result<()> {
        if let Some(mut customer) = self.customers.get(&customer).await?
            && customer.remove_active_order(order)
        {
            self.customers.save(&mut customer)?;
        }
        Ok(())
    }
}

impl EventHandler<OrderCreated> for KeepActiveOrders {
    async fn handle(&self, event: &OrderCreated) -> Result<()> {
        let Some(account) = &event.by else { return Ok(()) };
        if let Some(mut customer) = self.customers.get(&event.customer_id).await?
            && customer.add_active_order(event.order_id, account)
        {
            self.customers.save(&mut customer)?;
        }
        Ok(())
    }
}

impl EventHandler<OrderDelivered> for KeepActiveOrders {
    async fn handle(&self, event: &OrderDelivered) -> Result<()> {
        self.end(event.customer_id, event.order_id).await
    }
}

impl EventHandler<OrderCancelled> for KeepActiveOrders {
    async fn handle(&self, event: &OrderCancelled) -> Result<()> {
        self.end(event.customer_id, event.order_id).await
    }
}
