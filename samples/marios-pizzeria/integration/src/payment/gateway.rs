//! The gateway's HTTP API, as the pizzeria's port has it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use neuroglia::clock::Clock;
use neuroglia::di::{Inject, Lifetime, Service, ServiceCollection};
use neuroglia::error::Result;
use neuroglia::health::Indicator;
use neuroglia::id::Ids;
use neuroglia::identity::Correlation;
use neuroglia::meter::Meter;
use neuroglia::settings::Secret;
use neuroglia_backing::http::{
    Call, Reply, ServiceClient, ServiceError, ServiceIndicator, ServiceOptions, StatusCode,
};
use pizzeria_application::payments::{Authorisation, Charge, GatewayPayment, PaymentGateway};
use pizzeria_domain::order::{OrderId, PaymentStatus};
use serde::{Deserialize, Serialize};
use url::Url;

/// What metrics, health and errors call the gateway.
const NAME: &str = "payments";

/// The client of the gateway; a service of the application.
struct Client(ServiceClient);

pub(super) fn register(
    services: &mut ServiceCollection,
    url: Url,
    api_key: Secret<String>,
    timeout: Duration,
) {
    let options = ServiceOptions::new(NAME, url).bearer(api_key).attempt_timeout(timeout).timeout(timeout);
    services.add(Service::factory::<Client, (Clock, Ids), _>(Lifetime::Singleton, move |(clock, ids)| {
        Ok(Arc::new(Client(ServiceClient::new(options.clone(), clock, ids)?)))
    }));
    services.add(Service::factory::<dyn Meter, Arc<Client>, _>(Lifetime::Singleton, |client| {
        Ok(Arc::new(client.0.clone()))
    }));
    services.add(Service::factory::<dyn Indicator, Arc<Client>, _>(Lifetime::Singleton, |client| {
        Ok(Arc::new(ServiceIndicator::new(client.0.clone())))
    }));
    services.add_scoped::<dyn PaymentGateway, HttpGateway>();
}

/// A gateway that is called by HTTP, as a part of the running piece of work.
#[derive(Inject)]
#[provides(dyn PaymentGateway)]
struct HttpGateway {
    client: Arc<Client>,
    correlation: Arc<Correlation>,
}

#[derive(Serialize)]
struct ChargeBody<'a> {
    amount: String,
    currency: &'a str,
    reference: String,
    source: &'a str,
}

#[derive(Deserialize)]
struct Payment {
    id: String,
    status: PaymentStatus,
}

#[derive(Deserialize)]
struct Payments {
    items: Vec<Payment>,
}

impl From<Payment> for GatewayPayment {
    fn from(Payment { id, status }: Payment) -> Self {
        Self { id, status }
    }
}

#[async_trait]
impl PaymentGateway for HttpGateway {
    async fn authorise(&self, charge: &Charge) -> Result<Authorisation> {
        let currency = charge.amount.currency();
        let body = ChargeBody {
            amount: format!("{:.2}", charge.amount.amount()),
            currency: currency.as_str(),
            reference: charge.order.to_string(),
            source: charge.source.as_str(),
        };
        // The key is sent for the gateway's sake. Nobody here charges twice on the strength of it: an attempt whose
        // answer is lost is not repeated, but asked about.
        let call =
            self.client.0.post(["v1", "payments"]).header("idempotency-key", &charge.key()).json(&body);
        match self.send(call).await {
            Ok(reply) if reply.status() == StatusCode::PAYMENT_REQUIRED => Ok(Authorisation::Declined),
            Ok(reply) => Ok(Authorisation::Given(reply.json::<Payment>()?.into())),
            Err(lost) if may_have_charged(&lost) => match charge.came_to(self.find(charge.order).await?) {
                Some(payment) => Ok(Authorisation::Given(payment)),
                None => Err(lost.into()),
            },
            Err(error) => Err(error.into()),
        }
    }

    async fn capture(&self, order: OrderId, payment: &str) -> Result<GatewayPayment> {
        self.move_on(order, payment, "capture").await
    }

    async fn refund(&self, order: OrderId, payment: &str) -> Result<GatewayPayment> {
        self.move_on(order, payment, "refund").await
    }

    async fn find(&self, order: OrderId) -> Result<Vec<GatewayPayment>> {
        let call = self.client.0.get(["v1", "payments"]).query("reference", &order.to_string());
        let reply = self.send(call).await?;
        let Some(reply) = reply.found()? else { return Ok(Vec::new()) };
        Ok(reply.json::<Payments>()?.items.into_iter().map(GatewayPayment::from).collect())
    }
}

impl HttpGateway {
    async fn send(&self, call: Call) -> std::result::Result<Reply, ServiceError> {
        call.within(&self.correlation).send().await
    }

    /// Captures or refunds. The gateway that is asked for what it has done already says so by a conflict: then it
    /// tells how far the payment is.
    async fn move_on(&self, order: OrderId, payment: &str, step: &'static str) -> Result<GatewayPayment> {
        let key = format!("{order}.{step}.{payment}");
        let call = self.client.0.post(["v1", "payments", payment, step]).idempotency_key(&key);
        let reply = self.send(call).await?;
        if reply.status() == StatusCode::CONFLICT
            && let Some(known) = self.find(order).await?.into_iter().find(|known| known.id == payment)
        {
            return Ok(known);
        }
        Ok(reply.json::<Payment>()?.into())
    }
}

/// Whether the gateway may have done what it was asked, although it did not say so.
fn may_have_charged(error: &ServiceError) -> bool {
    match error {
        ServiceError::NoAnswer { may_have_arrived, .. } => *may_have_arrived,
        ServiceError::Status { status, .. } => status.is_server_error(),
        ServiceError::Unreadable { .. } => true,
        _ => false,
    }
}
