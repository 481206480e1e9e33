//! Pay an order in another way after its card was declined.

use std::sync::Arc;

use neuroglia::clock::Clock;
use neuroglia::data::Repository;
use neuroglia::di::Inject;
use neuroglia::domain::Aggregate;
use neuroglia::error::Result;
use neuroglia::identity::Identity;
use neuroglia::mediation::{Command, CommandHandler};
use neuroglia::work::Jobs;
use pizzeria_domain::order::{Order, OrderId, PaymentDraft};

use super::access::check_may_be_own;
use super::{Access, OrderDto, TrackingToken};
use crate::accounts::{check_version, stamp};
use crate::house::House;
use crate::payments::AuthorisePayment;

/// Pay an order in another way after its card was declined: its customer, its guest, or the manager.
#[derive(Clone)]
pub struct PayOtherwise {
    /// Which order.
    pub id: OrderId,
    /// How it is paid from now on.
    pub payment: PaymentDraft,
    /// What a guest presents.
    pub token: Option<TrackingToken>,
    /// The version that the caller has seen, when that matters.
    pub expected_version: Option<u64>,
}

impl Command for PayOtherwise {
    type Response = OrderDto;
    type Handler = PayOtherwiseHandler;

    fn authorise(&self, caller: &Identity) -> Result<()> {
        check_may_be_own(caller, self.token.as_ref())
    }
}

/// Handles [`PayOtherwise`].
#[derive(Inject)]
pub struct PayOtherwiseHandler {
    access: Access,
    orders: Repository<Order>,
    jobs: Jobs,
    house: Arc<House>,
    caller: Identity,
    clock: Clock,
}

impl CommandHandler<PayOtherwise> for PayOtherwiseHandler {
    async fn handle(&self, command: PayOtherwise) -> Result<OrderDto> {
        let mut order = self.access.order(command.id, command.token.as_ref()).await?;
        check_version(order.version(), command.expected_version)?;
        let payment = command.payment.judged(&self.house.accepted)?;
        order.pay_otherwise(payment, stamp(&self.caller, &self.clock))?;
        let payment = order.payment();
        if payment.method().is_card() {
            self.jobs.enqueue(&AuthorisePayment { order: command.id, attempt: payment.attempt() })?;
        }
        self.orders.save(&mut order)?;
        Ok(OrderDto::of(&order))
    }
}
