//! Show the caller's profile.

use neuroglia::di::Inject;
use neuroglia::error::Result;
use neuroglia::identity::Identity;
use neuroglia::mediation::{Query, QueryHandler};
use pizzeria_domain::customer::Customer;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Register;
use crate::wire::Uuid;

/// Show the caller's profile.
pub struct GetMyProfile {}

/// A customer's profile.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ProfileDto {
    /// The customer's id; null before the first order or change.
    #[schemars(with = "Option<Uuid>")]
    pub id: Option<String>,
    /// The name.
    pub name: String,
    /// The telephone number.
    pub phone: Option<String>,
    /// The e-mail address.
    pub email: Option<String>,
    /// Where to deliver.
    pub address: Option<String>,
    /// The orders that are under way.
    #[schemars(with = "Vec<Uuid>")]
    pub active_orders: Vec<String>,
    /// How often it was changed; 0 before the first order or change.
    pub version: u64,
}

impl ProfileDto {
    /// The profile of a customer.
    pub fn of(customer: &Customer) -> Self {
        use neuroglia::domain::Aggregate;
        let contact = customer.contact();
        Self {
            id: Some(customer.id().to_string()),
            name: contact.name().to_owned(),
            phone: Some(contact.phone().to_string()),
            email: contact.email().map(ToString::to_string),
            address: contact.address().map(ToOwned::to_owned),
            active_orders: customer.active_orders().iter().map(ToString::to_string).collect(),
            // An account without a customer has the version before the customer's first.
            version: customer.version() + 1,
        }
    }

    /// The profile of an account that has not ordered yet, and is nobody's customer.
    pub fn empty(caller: &Identity) -> Self {
        Self {
            id: None,
            name: caller.name().unwrap_or_default().to_owned(),
            phone: None,
            email: None,
            address: None,
            active_orders: Vec::new(),
            version: 0,
        }
    }
}

impl Query for GetMyProfile {
    type Response = ProfileDto;
    type Handler = GetMyProfileHandler;
}

/// Handles [`GetMyProfile`].
#[derive(Inject)]
pub struct GetMyProfileHandler {
    register: Register,
    caller: Identity,
}

impl QueryHandler<GetMyProfile> for GetMyProfileHandler {
    async fn handle(&self, _: GetMyProfile) -> Result<ProfileDto> {
        let customer = self.register.of_caller().await?;
        Ok(customer.map_or_else(|| ProfileDto::empty(&self.caller), |customer| ProfileDto::of(&customer)))
    }
}
