//! Whose order it is.

use neuroglia::data::Repository;
use neuroglia::di::Inject;
use neuroglia::error::{Error, Result};
use neuroglia::identity::Identity;
use pizzeria_domain::order::{Order, OrderId};
use pizzeria_domain::user::Role;

use super::TrackingToken;
use crate::accounts::{role, user_id};

/// Loads orders for those who may see them.
#[derive(Inject)]
pub struct Access {
    orders: Repository<Order>,
    caller: Identity,
}

impl Access {
    /// The order, when the caller is staff, has placed it, or has its token.
    ///
    /// # Errors
    /// `NotFound` for everybody else, in the same words as for an order that does not exist.
    pub async fn order(&self, id: OrderId, token: Option<&TrackingToken>) -> Result<Order> {
        let order = self.existing(id).await?;
        if role(&self.caller).is_some_and(|role| role.is_staff()) || self.is_own(&order, token) {
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

    /// Whether the caller placed the order, or presents the token of the guest who did.
    pub fn is_own(&self, order: &Order, token: Option<&TrackingToken>) -> bool {
        let presented = token.map(TrackingToken::digest);
        let has_token = presented.is_some() && presented.as_deref() == order.tracking_digest();
        let user = user_id(&self.caller);
        has_token || (user.is_some() && user.as_ref() == order.placed_by())
    }
}

/// Whether the caller may do at all what an order's customer, its guest and the manager may; whose it is, the handler sees.
///
/// # Errors
/// For staff of other roles, and for nobody without a token.
pub(super) fn check_may_be_own(caller: &Identity, token: Option<&TrackingToken>) -> Result<()> {
    match role(caller) {
        None if !caller.is_known() && token.is_none() => Err(Error::unauthenticated()),
        None | Some(Role::Customer | Role::Manager) => Ok(()),
        Some(_) => Err(Error::forbidden()),
    }
}

fn unknown(id: OrderId) -> Error {
    Error::not_found("order", id)
}
