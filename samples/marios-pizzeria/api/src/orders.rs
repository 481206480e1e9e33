//! Orders, from placing to the door.

use neuroglia::data::Page;
use neuroglia::di::Inject;
use neuroglia::error::Result;
use neuroglia::mediation::Mediator;
use neuroglia::web::{Created, IfMatch, Json, Path, Query, Tagged, controller};
use pizzeria_application::orders::{
    AdvanceOrder, AssignDriver, CancelOrder, GetOrder, ListOrders, OrderDto, PayOtherwise, PlaceOrder,
    PlacedOrderDto,
};
use pizzeria_application::wire::NameOf;
use pizzeria_domain::order::{OrderId, OrderStatus, PaymentDraft, PaymentMethod, Step};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::paging::{page_cursor, page_limit};
use not_for_all::NotForAll;
use tracking::Tracking;

mod not_for_all;
mod tracking;

#[derive(Inject)]
pub(crate) struct OrdersController {
    mediator: Mediator,
}

/// Which orders.
#[derive(Deserialize, JsonSchema)]
struct OrderFilter {
    /// Only those with this status.
    #[schemars(with = "Option<NameOf<OrderStatus>>")]
    status: Option<OrderStatus>,
    /// How many items, 20 when not said, at most 100.
    #[schemars(range(min = 1, max = 100))]
    limit: Option<u32>,
    /// Where the page before ended.
    cursor: Option<String>,
}

/// Why an order is given up.
#[derive(Deserialize, JsonSchema)]
struct Cancellation {
    /// The reason, at most 500 characters.
    #[serde(default)]
    reason: String,
}

/// How an order is paid.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PaymentChoice {
    /// cash, credit_card or debit_card.
    #[schemars(with = "NameOf<PaymentMethod>")]
    payment_method: String,
    /// The gateway's token, when paid by card; never a card number.
    #[serde(default)]
    payment_source: Option<String>,
}

/// Who drives an order.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct DriverChoice {
    /// The driver's user id; oneself when not said.
    driver: Option<String>,
}

#[controller("/api/v1/orders")]
impl OrdersController {
    /// Place an order, as a customer or as a guest.
    ///
    /// A guest gets a token here, and only here, by which to follow the order.
    #[post("/", public)]
    async fn place(
        &self,
        _: NotForAll,
        Json(body): Json<PlaceOrder>,
    ) -> Result<Created<Tagged<Json<PlacedOrderDto>>>> {
        let placed = self.mediator.send(body).await?;
        let location = format!("/api/v1/orders/{}", placed.order.id);
        Ok(Created { location, body: Tagged::by_version(placed.order.version, Json(placed)) })
    }

    /// List orders, the newest first: one's own, or all for staff.
    #[get("/", authenticated)]
    async fn list(&self, Query(filter): Query<OrderFilter>) -> Result<Page<OrderDto>> {
        let (cursor, limit) = (page_cursor(filter.cursor.as_deref())?, page_limit(filter.limit)?);
        self.mediator.send(ListOrders { status: filter.status, own: false, cursor, limit }).await
    }

    /// Show an order to its customer, its guest (`X-Tracking-Token`), or staff.
    #[get("/{id}", public)]
    async fn show(
        &self,
        Path(id): Path<OrderId>,
        Tracking(token): Tracking,
    ) -> Result<Tagged<Json<OrderDto>>> {
        Ok(tagged(self.mediator.send(GetOrder { id, token }).await?))
    }

    /// Accept an order.
    #[post("/{id}/confirm", roles("manager"))]
    async fn confirm(&self, Path(id): Path<OrderId>, seen: IfMatch) -> Result<Tagged<Json<OrderDto>>> {
        self.advance(id, Step::Confirm, seen).await
    }

    /// Start to cook an order; there must be a free place in the kitchen.
    #[post("/{id}/cook", roles("chef", "manager"))]
    async fn cook(&self, Path(id): Path<OrderId>, seen: IfMatch) -> Result<Tagged<Json<OrderDto>>> {
        self.advance(id, Step::Cook, seen).await
    }

    /// Finish cooking an order.
    #[post("/{id}/ready", roles("chef", "manager"))]
    async fn ready(&self, Path(id): Path<OrderId>, seen: IfMatch) -> Result<Tagged<Json<OrderDto>>> {
        self.advance(id, Step::Ready, seen).await
    }

    /// Take an order out.
    #[post("/{id}/deliver", roles("driver", "manager"))]
    async fn deliver(&self, Path(id): Path<OrderId>, seen: IfMatch) -> Result<Tagged<Json<OrderDto>>> {
        self.advance(id, Step::Deliver, seen).await
    }

    /// Hand an order over; cash is taken with it.
    #[post("/{id}/complete", roles("driver", "manager"))]
    async fn complete(&self, Path(id): Path<OrderId>, seen: IfMatch) -> Result<Tagged<Json<OrderDto>>> {
        self.advance(id, Step::Complete, seen).await
    }

    /// Give an order up: its customer, its guest (`X-Tracking-Token`), or the manager.
    #[post("/{id}/cancel", public)]
    async fn cancel(
        &self,
        _: NotForAll,
        Path(id): Path<OrderId>,
        Tracking(token): Tracking,
        IfMatch(expected_version): IfMatch,
        Json(Cancellation { reason }): Json<Cancellation>,
    ) -> Result<Tagged<Json<OrderDto>>> {
        Ok(tagged(self.mediator.send(CancelOrder { id, reason, token, expected_version }).await?))
    }

    /// Pay an order in another way after its card was declined: its customer, its guest (`X-Tracking-Token`), or the manager.
    ///
    /// It must be pending, and its payment `failed`.
    #[put("/{id}/payment", public)]
    async fn pay_otherwise(
        &self,
        _: NotForAll,
        Path(id): Path<OrderId>,
        Tracking(token): Tracking,
        IfMatch(expected_version): IfMatch,
        Json(PaymentChoice { payment_method, payment_source }): Json<PaymentChoice>,
    ) -> Result<Tagged<Json<OrderDto>>> {
        let payment = PaymentDraft { payment_method, payment_source };
        Ok(tagged(self.mediator.send(PayOtherwise { id, payment, token, expected_version }).await?))
    }

    /// Say who drives an order: the manager anyone, a driver only themselves.
    #[put("/{id}/driver", roles("driver", "manager"))]
    async fn assign_driver(
        &self,
        Path(id): Path<OrderId>,
        IfMatch(expected_version): IfMatch,
        Json(DriverChoice { driver }): Json<DriverChoice>,
    ) -> Result<Tagged<Json<OrderDto>>> {
        Ok(tagged(self.mediator.send(AssignDriver { id, driver, expected_version }).await?))
    }
}

impl OrdersController {
    async fn advance(&self, id: OrderId, step: Step, seen: IfMatch) -> Result<Tagged<Json<OrderDto>>> {
        let IfMatch(expected_version) = seen;
        Ok(tagged(self.mediator.send(AdvanceOrder { id, step, expected_version }).await?))
    }
}

/// An order's tag is its version, as the API promises; its id is never that of another order.
fn tagged(order: OrderDto) -> Tagged<Json<OrderDto>> {
    Tagged::by_version(order.version, Json(order))
}
