//! The gateway's HTTP API, and how it misbehaves.

use std::sync::Arc;
use std::time::Duration;

use neuroglia::data::Page;
use neuroglia::di::Inject;
use neuroglia::error::{Error, Result};
use neuroglia::id::Id;
use neuroglia::mediation::Mediator;
use neuroglia::web::axum::response::{IntoResponse, Response};
use neuroglia::web::http::StatusCode;
use neuroglia::web::openapi::{Describe, Operation};
use neuroglia::web::{Created, Json, NoContent, Path, Query, Reply, Web, controller};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::faults::{Fault, Faults};
use crate::ledger::{Kind, Payment, Status};
use crate::payments::{Charge, FindPayments, MovePayment, MovementDto, PaymentDto, ReadLedger};

/// How long a slow answer takes.
const SLOW: Duration = Duration::from_secs(2);

/// Every controller of the sandbox.
pub(crate) fn controllers(web: Web) -> Web {
    web.controller::<PaymentsController>().controller::<ToolsController>()
}

/// What becomes of a charge: 201 with the payment, or 402.
struct Charged(PaymentDto);

/// Why a charge was refused.
#[derive(Serialize, JsonSchema)]
struct Refusal {
    /// `declined`.
    code: &'static str,
}

impl Reply for Charged {
    fn reply(self) -> Response {
        let Self(payment) = self;
        if payment.status == Status::Failed {
            return (StatusCode::PAYMENT_REQUIRED, Json(Refusal { code: "declined" })).into_response();
        }
        Created { location: format!("/v1/payments/{}", payment.id), body: Json(payment) }.reply()
    }
}

impl Describe for Charged {
    fn describe_reply(operation: &mut Operation<'_>) {
        operation.reply::<PaymentDto>(StatusCode::CREATED, "application/json");
        operation.reply::<Refusal>(StatusCode::PAYMENT_REQUIRED, "application/json");
    }
}

/// Which payments.
#[derive(Deserialize, JsonSchema)]
struct Wanted {
    /// The merchant's own id of what is paid.
    reference: Option<String>,
}

#[derive(Inject)]
pub(crate) struct PaymentsController {
    mediator: Mediator,
    faults: Arc<Faults>,
}

#[controller("/v1/payments")]
impl PaymentsController {
    /// Hold an amount.
    #[post("/", authenticated)]
    async fn charge(&self, Json(body): Json<Charge>) -> Result<Charged> {
        self.misbehaving(self.mediator.send(body)).await.map(Charged)
    }

    /// Find the payments of a reference.
    #[get("/", authenticated)]
    async fn find(&self, Query(Wanted { reference }): Query<Wanted>) -> Result<Json<Page<PaymentDto>>> {
        self.mediator.send(FindPayments { reference }).await.map(Json)
    }

    /// Take what is held.
    #[post("/{id}/capture", authenticated)]
    async fn capture(&self, Path(id): Path<Id<Payment>>) -> Result<Json<PaymentDto>> {
        self.misbehaving(self.mediator.send(MovePayment { id, kind: Kind::Capture })).await.map(Json)
    }

    /// Give back what was held or taken.
    #[post("/{id}/refund", authenticated)]
    async fn refund(&self, Path(id): Path<Id<Payment>>) -> Result<Json<PaymentDto>> {
        self.misbehaving(self.mediator.send(MovePayment { id, kind: Kind::Refund })).await.map(Json)
    }
}

impl PaymentsController {
    /// Does it, unless a fault comes before, and answers, unless one comes after.
    async fn misbehaving<T>(&self, doing: impl Future<Output = Result<T>>) -> Result<T> {
        if self.faults.take(Fault::Error) {
            return Err(Error::internal("the sandbox was told to fail"));
        }
        let done = doing.await?;
        if self.faults.take(Fault::Slow) {
            tokio::time::sleep(SLOW).await;
        }
        if self.faults.take(Fault::LostAnswer) {
            // Whoever asked gives up some time, and the request ends with the connection.
            std::future::pending::<()>().await;
        }
        Ok(done)
    }
}

/// Faults to come.
#[derive(Deserialize, JsonSchema)]
struct FaultOrder {
    /// What is to go wrong.
    kind: Fault,
    /// How often.
    #[serde(default = "once")]
    count: u32,
}

const fn once() -> u32 {
    1
}

#[derive(Inject)]
pub(crate) struct ToolsController {
    mediator: Mediator,
    faults: Arc<Faults>,
}

#[controller("/v1")]
impl ToolsController {
    /// Read the whole ledger, the oldest movement first.
    #[get("/ledger", public)]
    async fn ledger(&self) -> Result<Json<Page<MovementDto>>> {
        self.mediator.send(ReadLedger {}).await.map(Json)
    }

    /// Have something go wrong from now on, so often.
    #[post("/faults", public)]
    async fn order_fault(&self, Json(FaultOrder { kind, count }): Json<FaultOrder>) -> NoContent {
        self.faults.order(kind, count);
        NoContent
    }
}
