//! Customers: who orders, with or without an account.
//!
//! A known phone or a known user is the same customer; both are unique indexes. The orders of an account that are
//! under way follow from order events, and are kept here so that a profile needs no search. They are those that this
//! account placed: a telephone number is no proof of who somebody is, and guests have their tokens.

mod contact;

use std::fmt;

use neuroglia::clock::Timestamp;
use neuroglia::domain::{Aggregate, DomainEvent, Root};
use neuroglia::error::Error;
use neuroglia::id::Id;
use serde::{Deserialize, Serialize};

pub use contact::{Contact, ContactDraft, NotAPhone, Phone};

use crate::order::OrderId;
use crate::stamp::Stamp;
use crate::user::UserId;

/// The id of a customer.
pub type CustomerId = Id<Customer>;

/// Somebody who orders pizzas.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Customer {
    id: CustomerId,
    #[serde(flatten)]
    contact: Contact,
    user_id: Option<UserId>,
    active_orders: Vec<OrderId>,
    #[serde(skip)]
    root: Root,
}

impl Customer {
    /// The path of the telephone number, which is unique.
    pub const PHONE_PATH: &'static str = "phone";
    /// The path of the account, which is unique where there is one.
    pub const USER_ID_PATH: &'static str = "user_id";

    /// A customer who was not known before, with an account or as a guest.
    pub fn register(id: CustomerId, contact: Contact, user_id: Option<UserId>, stamp: Stamp) -> Self {
        let mut customer = Self { id, contact, user_id, active_orders: Vec::new(), root: Root::default() };
        customer.raise(CustomerRegistered {
            customer_id: id,
            user_id: customer.user_id.clone(),
            at: stamp.at,
            by: stamp.by,
        });
        customer
    }

    /// The customer is reached like this from now on; the same again changes nothing.
    pub fn update_contact(&mut self, contact: Contact, stamp: Stamp) {
        if self.contact == contact {
            return;
        }
        self.contact = contact;
        self.raise(CustomerUpdated { customer_id: self.id, at: stamp.at, by: stamp.by });
    }

    /// The customer, a guest so far, has this account; the same again changes nothing.
    ///
    /// What was ordered before stays with the tokens by which it was ordered.
    ///
    /// # Errors
    /// When the customer has another account.
    pub fn link_user(&mut self, user_id: UserId, stamp: Stamp) -> Result<(), CustomerError> {
        match &self.user_id {
            Some(linked) if *linked == user_id => Ok(()),
            Some(_) => Err(CustomerError::LinkedToAnother),
            None => {
                self.user_id = Some(user_id);
                self.active_orders.clear();
                self.raise(CustomerUpdated { customer_id: self.id, at: stamp.at, by: stamp.by });
                Ok(())
            }
        }
    }

    /// The customer, a guest so far, turns out to be another one, who gets the telephone number; this record is to be
    /// removed.
    ///
    /// Orders keep the id of the customer for whom they were placed, and guests their tokens.
    ///
    /// # Errors
    /// When the customer has an account.
    pub fn merge_into(&mut self, other: CustomerId, stamp: Stamp) -> Result<(), CustomerError> {
        if self.user_id.is_some() {
            return Err(CustomerError::LinkedToAnother);
        }
        self.active_orders.clear();
        self.raise(CustomerMerged { customer_id: self.id, into: other, at: stamp.at, by: stamp.by });
        Ok(())
    }

    /// An order that this account placed is under way; tells whether that is new, and the customer's own.
    ///
    /// A guest has none, since nobody could see them: what a guest ordered is followed by its token.
    pub fn add_active_order(&mut self, order: OrderId, placed_by: &UserId) -> bool {
        let new = self.user_id.as_ref() == Some(placed_by) && !self.active_orders.contains(&order);
        if new {
            self.active_orders.push(order);
        }
        new
    }

    /// An order of the customer was delivered or cancelled; tells whether it was under way.
    pub fn remove_active_order(&mut self, order: OrderId) -> bool {
        let before = self.active_orders.len();
        self.active_orders.retain(|active| *active != order);
        self.active_orders.len() < before
    }

    /// How the customer is reached.
    pub const fn contact(&self) -> &Contact {
        &self.contact
    }

    /// The customer's account; `None` for a guest.
    pub const fn user_id(&self) -> Option<&UserId> {
        self.user_id.as_ref()
    }

    /// The orders that are under way, oldest first.
    pub fn active_orders(&self) -> &[OrderId] {
        &self.active_orders
    }
}

impl Aggregate for Customer {
    type Id = CustomerId;

    const COLLECTION: &'static str = "customers";

    fn id(&self) -> &CustomerId {
        &self.id
    }

    fn root(&self) -> &Root {
        &self.root
    }

    fn root_mut(&mut self) -> &mut Root {
        &mut self.root
    }
}

/// Why a customer does not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CustomerError {
    /// The customer has another account.
    LinkedToAnother,
}

impl CustomerError {
    /// The stable code of this error.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::LinkedToAnother => "customer.linked",
        }
    }
}

impl fmt::Display for CustomerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LinkedToAnother => {
                f.write_str("the customer with this telephone number has another account")
            }
        }
    }
}

impl std::error::Error for CustomerError {}

impl From<CustomerError> for Error {
    fn from(error: CustomerError) -> Self {
        Self::conflict(error.code(), error.to_string())
    }
}

/// Somebody has become a customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomerRegistered {
    /// The customer.
    pub customer_id: CustomerId,
    /// The customer's account, if there is one.
    pub user_id: Option<UserId>,
    /// When.
    pub at: Timestamp,
    /// Who did it.
    pub by: Option<UserId>,
}

impl DomainEvent for CustomerRegistered {
    const NAME: &'static str = "customer.registered";
}

/// A customer is reached in another way, or has an account from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomerUpdated {
    /// The customer.
    pub customer_id: CustomerId,
    /// When.
    pub at: Timestamp,
    /// Who did it.
    pub by: Option<UserId>,
}

impl DomainEvent for CustomerUpdated {
    const NAME: &'static str = "customer.updated";
}

/// A guest turned out to be another customer, and is no customer of its own any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomerMerged {
    /// The guest.
    pub customer_id: CustomerId,
    /// Who it is.
    pub into: CustomerId,
    /// When.
    pub at: Timestamp,
    /// Who did it.
    pub by: Option<UserId>,
}

impl DomainEvent for CustomerMerged {
    const NAME: &'static str = "customer.merged";
}

#[cfg(test)]
mod tests {
    use neuroglia::id::Ids;

    use super::*;

    fn stamp() -> Stamp {
        Stamp::anonymous(Timestamp::UNIX_EPOCH)
    }

    fn contact(phone: &str) -> Contact {
        let draft = ContactDraft {
            name: Some("Ada".to_owned()),
            phone: Some(phone.to_owned()),
            ..ContactDraft::default()
        };
        draft.into_contact("").expect("a right draft")
    }

    fn guest() -> Customer {
        let mut customer = Customer::register(Ids::sequence().next(), contact("+1 555 0100"), None, stamp());
        let events = customer.take_events();
        assert!(events[0].downcast_ref::<CustomerRegistered>().is_some());
        customer
    }

    fn account() -> (Customer, UserId) {
        let ada: UserId = "ada".parse().expect("an id");
        let mut customer = guest();
        customer.link_user(ada.clone(), stamp()).expect("a guest so far");
        customer.take_events();
        (customer, ada)
    }

    #[test]
    fn an_order_is_under_way_once() {
        let ids = Ids::sequence();
        let (first, second): (OrderId, OrderId) = (ids.next(), ids.next());
        let (mut customer, ada) = account();
        assert!(customer.add_active_order(first, &ada));
        assert!(!customer.add_active_order(first, &ada));
        assert!(customer.add_active_order(second, &ada));
        assert!(customer.remove_active_order(first));
        assert!(!customer.remove_active_order(first));
        assert_eq!(customer.active_orders(), [second]);
    }

    #[test]
    fn only_an_account_has_orders_under_way_and_only_its_own() {
        let ids = Ids::sequence();
        let (own, others): (OrderId, OrderId) = (ids.next(), ids.next());
        let (mut customer, ada) = account();
        let eve: UserId = "eve".parse().expect("an id");
        assert!(!guest().add_active_order(others, &ada));
        assert!(!customer.add_active_order(others, &eve));
        assert!(customer.add_active_order(own, &ada));
        assert_eq!(customer.active_orders(), [own]);
    }

    #[test]
    fn a_customer_has_at_most_one_account() {
        let (ada, eve): (UserId, UserId) = ("ada".parse().expect("an id"), "eve".parse().expect("an id"));
        let mut customer = guest();
        customer.link_user(ada.clone(), stamp()).expect("a guest so far");
        customer.link_user(ada.clone(), stamp()).expect("the same again");
        assert_eq!(customer.take_events().len(), 1);
        assert_eq!(customer.link_user(eve, stamp()), Err(CustomerError::LinkedToAnother));
        assert_eq!(customer.user_id(), Some(&ada));
    }

    #[test]
    fn a_guest_can_turn_out_to_be_another_customer_and_an_account_cannot() {
        let ids = Ids::sequence();
        let other: CustomerId = ids.next();
        let mut customer = guest();
        customer.merge_into(other, stamp()).expect("a guest");
        let events = customer.take_events();
        let merged = events[0].downcast_ref::<CustomerMerged>().expect("customer.merged");
        assert_eq!((merged.customer_id, merged.into), (*customer.id(), other));

        let mut customer = guest();
        customer.link_user("ada".parse().expect("an id"), stamp()).expect("a guest so far");
        customer.take_events();
        assert_eq!(customer.merge_into(other, stamp()), Err(CustomerError::LinkedToAnother));
        assert!(customer.take_events().is_empty());
    }

    #[test]
    fn the_same_contact_again_tells_nothing() {
        let mut customer = guest();
        customer.update_contact(contact("+1-555-0100"), stamp());
        assert!(customer.take_events().is_empty());
        customer.update_contact(contact("+1-555-0101"), stamp());
        assert_eq!(customer.take_events().len(), 1);
    }

    #[test]
    fn unique_things_stand_at_the_top_of_the_document() {
        let mut customer = guest();
        let guest_document = serde_json::to_value(&customer).expect("a document");
        assert!(guest_document[Customer::USER_ID_PATH].is_null());
        customer.link_user("ada".parse().expect("an id"), stamp()).expect("a guest so far");
        let document = serde_json::to_value(&customer).expect("a document");
        assert_eq!(document[Customer::PHONE_PATH], "+15550100");
        assert_eq!(document[Customer::USER_ID_PATH], "ada");
        assert_eq!(serde_json::from_value::<Customer>(document).expect("a customer"), customer);
    }
}
