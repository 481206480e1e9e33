//! The register of customers: a known phone, or a known user, is the same customer.

use neuroglia::data::{Field, Query as Find, Reading, Repository};
use neuroglia::di::Inject;
use neuroglia::domain::Aggregate;
use neuroglia::error::Result;
use neuroglia::id::Ids;
use neuroglia::identity::Identity;
use pizzeria_domain::customer::{Contact, Customer, CustomerId, Phone};
use pizzeria_domain::stamp::Stamp;

use crate::accounts::user_id;

const PHONE: Field<Customer, String> = Field::new(Customer::PHONE_PATH);
const USER_ID: Field<Customer, String> = Field::new(Customer::USER_ID_PATH);

/// Finds the customer that the caller is, and registers new ones.
#[derive(Inject)]
pub struct Register {
    customers: Repository<Customer>,
    caller: Identity,
    ids: Ids,
}

impl Register {
    /// The customer with the caller's account.
    ///
    /// # Errors
    /// When the store cannot be reached.
    pub async fn of_caller(&self) -> Result<Option<Customer>> {
        match user_id(&self.caller) {
            Some(user) => self.customers.first(Find::filter(USER_ID.eq(user.to_string()))).await,
            None => Ok(None),
        }
    }

    /// The customer for whom an order with this contact counts, when the caller has none yet: who
    /// [has the phone](Self::with_phone), or a new one.
    ///
    /// # Errors
    /// When the phone belongs to another account.
    pub fn customer(&self, known: Option<Customer>, contact: Contact, stamp: Stamp) -> Result<CustomerId> {
        let mut customer = self.enrol(known, contact, stamp)?;
        // Nobody is written for an order that says nothing new about them.
        if customer.root().has_events() {
            self.customers.save(&mut customer)?;
        }
        Ok(*customer.id())
    }

    /// The caller, who has no customer yet, as the one who is known by this phone or a new one; not saved.
    ///
    /// The profile of a customer with an account is changed by that account only; a guest's is what the guest
    /// last said. Whoever gets a guest's record by its phone gets nothing that was in it: the contact is replaced,
    /// and orders belong to those who placed them.
    ///
    /// # Errors
    /// When the phone belongs to another account.
    pub fn enrol(&self, known: Option<Customer>, contact: Contact, stamp: Stamp) -> Result<Customer> {
        let user = user_id(&self.caller);
        let Some(mut customer) = known else {
            return Ok(Customer::register(self.ids.next(), contact, user, stamp));
        };
        match user {
            Some(user) => customer.link_user(user, stamp.clone())?,
            None if customer.user_id().is_some() => return Ok(customer),
            None => {}
        }
        customer.update_contact(contact, stamp);
        Ok(customer)
    }

    /// Frees this telephone number for a customer who is about to be saved with it: a guest with the number is the same
    /// customer, and has no record of its own any more.
    ///
    /// The record goes first, because an engine carries a commit out in order, and a number is never taken twice. Its
    /// orders go on without it, also one that is placed in the same moment.
    ///
    /// # Errors
    /// When the phone belongs to another account, or the store cannot be reached.
    pub async fn free_phone(&self, phone: &Phone, customer: CustomerId, stamp: Stamp) -> Result<()> {
        match self.with_phone(phone).await? {
            Some(mut guest) if *guest.id() != customer => {
                guest.merge_into(customer, stamp)?;
                self.customers.remove(&mut guest)
            }
            _ => Ok(()),
        }
    }

    /// The customer with this telephone number.
    ///
    /// # Errors
    /// When the store cannot be reached.
    pub fn with_phone(&self, phone: &Phone) -> Reading<Option<Customer>> {
        self.customers.first(Find::filter(PHONE.eq(phone.to_string())))
    }
}
