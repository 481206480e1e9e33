//! Whose order it is.

use neuroglia::data::Repository;
use neuroglia::di::Inject;
use neuroglia::error::{Error, Result};
use neuroglia::identity::Identity;
use pizzeria_domain::customer::Customer;
use pizzeria_domain::order::{Order, OrderId};

use super::TrackingToken;
use crate::accounts::role;

/// Loads orders for those who may see them.
#[derive(Inject)]
pub struct Access {
    orders: Repository<Order>,
    customers: Repository<Customer>,
    caller: Identity,
}

impl Access {
    /// The order, when the caller is staff, its customer, or its guest.
    ///
    /// # Errors
    /// `NotFound` for everybody else, in the same words as for an order that does not exist.
    pub async fn order(&self, id: OrderId, token: Option<&TrackingToken>) -> Result<Order> {
        let order = self.existing(id).await?;
        if role(&self.caller).is_some_and(|role| role.is_staff()) || self.is_own(&order, token).await? {
            Ok(order)
        } else {
            Err(unknown(id))
        }
    }

    /// The order, whoever asks; for steps that only staff may take.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub async fn existing(&self, id: OrderId) -> Result<Order> {
        self.orders.get(&id).await?.ok_or_else(|| unknown(id))
    }

    /// Whether the caller is the order's customer, or its guest with the token.
    ///
    /// # Errors
    /// When the store cannot be reached.
    pub async fn is_own(&self, order: &Order, token: Option<&TrackingToken>) -> Result<bool> {
        let presented = token.map(TrackingToken::digest);
        if presented.is_some() && presented.as_deref() == order.tracking_digest() {
            return Ok(true);
        }
        let Some(subject) = self.caller.subject() else { return Ok(false) };
        let customer = self.customers.get(&order.customer_id()).await?;
        let user = customer.as_ref().and_then(Customer::user_id);
        Ok(user.is_some_and(|user| user.as_str() == subject))
    }
}

fn unknown(id: OrderId) -> Error {
    Error::not_found("order", id)
}
