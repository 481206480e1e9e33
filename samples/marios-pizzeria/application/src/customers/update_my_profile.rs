//! Change the caller's profile.

use neuroglia::clock::Clock;
use neuroglia::data::Repository;
use neuroglia::di::Inject;
use neuroglia::domain::Aggregate;
use neuroglia::error::Result;
use neuroglia::identity::Identity;
use neuroglia::mediation::{Command, CommandHandler};
use pizzeria_domain::customer::{ContactDraft, Customer};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{ProfileDto, Register};
use crate::accounts::{check_version, stamp};

/// Change the caller's profile: everything that it has is replaced.
#[derive(Debug, Clone)]
pub struct UpdateMyProfile {
    /// How the customer is reached from now on.
    pub contact: ContactBody,
    /// The version that the caller has seen, when that matters.
    pub expected_version: Option<u64>,
}

/// How a customer is reached. What else a profile shows may come along, so that it can be sent back as it was read, and is
/// passed over.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ContactBody {
    /// The name.
    pub name: Option<String>,
    /// The telephone number.
    pub phone: Option<String>,
    /// The e-mail address.
    pub email: Option<String>,
    /// Where to deliver.
    pub address: Option<String>,
    #[schemars(skip)]
    #[serde(default, rename = "id")]
    _id: IgnoredAny,
    #[schemars(skip)]
    #[serde(default, rename = "active_orders")]
    _active_orders: IgnoredAny,
    #[schemars(skip)]
    #[serde(default, rename = "version")]
    _version: IgnoredAny,
}

impl From<ContactBody> for ContactDraft {
    fn from(contact: ContactBody) -> Self {
        let ContactBody { name, phone, email, address, .. } = contact;
        Self { name, phone, email, address }
    }
}

impl Command for UpdateMyProfile {
    type Response = ProfileDto;
    type Handler = UpdateMyProfileHandler;
}

/// Handles [`UpdateMyProfile`].
#[derive(Inject)]
pub struct UpdateMyProfileHandler {
    register: Register,
    customers: Repository<Customer>,
    caller: Identity,
    clock: Clock,
}

impl CommandHandler<UpdateMyProfile> for UpdateMyProfileHandler {
    async fn handle(&self, command: UpdateMyProfile) -> Result<ProfileDto> {
        let known = self.register.of_caller().await?;
        let version = known.as_ref().map_or(0, |customer| ProfileDto::of(customer).version);
        check_version(version, command.expected_version)?;
        let contact = ContactDraft::from(command.contact).into_contact("")?;
        let stamp = stamp(&self.caller, &self.clock);
        let mut customer = match known {
            Some(mut customer) => {
                self.register.free_phone(contact.phone(), *customer.id(), stamp.clone()).await?;
                customer.update_contact(contact, stamp);
                customer
            }
            None => {
                let known = self.register.with_phone(contact.phone()).await?;
                self.register.enrol(known, contact, stamp)?
            }
        };
        self.customers.save(&mut customer)?;
        Ok(ProfileDto::of(&customer))
    }
}
