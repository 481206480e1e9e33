//! Change the caller's profile.

use neuroglia::clock::Clock;
use neuroglia::data::Repository;
use neuroglia::di::Inject;
use neuroglia::error::{Error, Result};
use neuroglia::id::Ids;
use neuroglia::identity::Identity;
use neuroglia::mediation::{Command, CommandHandler};
use pizzeria_domain::customer::{ContactDraft, Customer};

use super::{ProfileDto, Register};
use crate::accounts::{stamp, user_id};
use crate::orders::PlaceContact;

/// Change the caller's profile: everything that it has is replaced.
#[derive(Debug, Clone)]
pub struct UpdateMyProfile {
    /// How the customer is reached from now on.
    pub contact: PlaceContact,
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
    ids: Ids,
}

impl CommandHandler<UpdateMyProfile> for UpdateMyProfileHandler {
    async fn handle(&self, command: UpdateMyProfile) -> Result<ProfileDto> {
        let contact = ContactDraft::from(command.contact).into_contact("")?;
        let stamp = stamp(&self.caller, &self.clock);
        let mut customer = match self.register.of_caller().await? {
            Some(mut customer) => {
                customer.update_contact(contact, stamp);
                customer
            }
            None => {
                let user = user_id(&self.caller).ok_or_else(Error::unauthenticated)?;
                Customer::register(self.ids.next(), contact, Some(user), stamp)
            }
        };
        self.customers.save(&mut customer)?;
        Ok(ProfileDto::of(&customer))
    }
}
