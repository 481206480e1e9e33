//! Place an order.

use std::collections::BTreeSet;
use std::sync::Arc;

use neuroglia::clock::Clock;
use neuroglia::data::{Reading, Repository, together};
use neuroglia::di::Inject;
use neuroglia::domain::Aggregate;
use neuroglia::error::{Error, Result};
use neuroglia::id::Ids;
use neuroglia::identity::Identity;
use neuroglia::mediation::{Command, CommandHandler};
use pizzeria_domain::customer::{Contact, ContactDraft, Customer};
use pizzeria_domain::menu::{Pizza, PizzaId, Size};
use pizzeria_domain::order::{LineDraft, Order, OrderDraft, PaymentDraft, PaymentMethod};
use pizzeria_domain::user::Role;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{OrderDto, PlacedOrderDto, TrackingToken};
use crate::accounts::{role, stamp, user_id};
use crate::customers::Register;
use crate::house::House;
use crate::wire::NameOf;

/// Place an order, as a customer or as a guest.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct PlaceOrder {
    /// Who orders and where to deliver; a customer may leave out what the profile has.
    #[serde(default)]
    pub customer: PlaceContact,
    /// What to bake.
    pub lines: Vec<PlaceLine>,
    /// cash, credit_card or debit_card.
    #[schemars(with = "NameOf<PaymentMethod>")]
    pub payment_method: String,
    /// The gateway's token, when paid by card; never a card number.
    #[serde(default)]
    pub payment_source: Option<String>,
    /// What we should know, at most 500 characters.
    #[serde(default)]
    pub notes: Option<String>,
}

/// Who orders.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct PlaceContact {
    /// The name.
    pub name: Option<String>,
    /// The telephone number.
    pub phone: Option<String>,
    /// The e-mail address.
    pub email: Option<String>,
    /// Where to deliver.
    pub address: Option<String>,
}

impl From<PlaceContact> for ContactDraft {
    fn from(contact: PlaceContact) -> Self {
        let PlaceContact { name, phone, email, address } = contact;
        Self { name, phone, email, address }
    }
}

/// One line of what to bake.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct PlaceLine {
    /// The pizza.
    pub pizza_id: String,
    /// small, medium or large.
    #[schemars(with = "NameOf<Size>")]
    pub size: String,
    /// What to add, at most 10 without repeats.
    #[serde(default)]
    pub toppings: Vec<String>,
    /// How many, 1 to 20.
    #[schemars(range(min = 1, max = 20))]
    pub quantity: i64,
}

impl Command for PlaceOrder {
    type Response = PlacedOrderDto;
    type Handler = PlaceOrderHandler;

    fn authorise(&self, caller: &Identity) -> Result<()> {
        match role(caller) {
            None if caller.is_known() => Err(Error::forbidden()),
            None | Some(Role::Customer) => Ok(()),
            Some(_) => Err(Error::forbidden()),
        }
    }
}

/// Handles [`PlaceOrder`].
#[derive(Inject)]
pub struct PlaceOrderHandler {
    orders: Repository<Order>,
    pizzas: Repository<Pizza>,
    register: Register,
    house: Arc<House>,
    caller: Identity,
    clock: Clock,
    ids: Ids,
}

impl CommandHandler<PlaceOrder> for PlaceOrderHandler {
    async fn handle(&self, command: PlaceOrder) -> Result<PlacedOrderDto> {
        let caller = self.register.of_caller().await?;
        let contact = delivery_contact(command.customer.into(), caller.as_ref());
        let menu = self.menu(&command.lines);
        let (menu, known) = match (&caller, &contact) {
            (None, Ok(contact)) => together(menu, self.register.with_phone(contact.phone())).await?,
            _ => (menu.await?, None),
        };
        let draft = OrderDraft {
            lines: command.lines.into_iter().map(LineDraft::from).collect(),
            payment: PaymentDraft {
                payment_method: command.payment_method,
                payment_source: command.payment_source,
            },
            notes: command.notes,
        };
        // Order and contact are judged together, so that everything that is wrong is told at once.
        let priced = draft.priced(&menu, &self.house.accepted, &self.ids).map_err(Error::from);
        let (priced, contact) = both(priced, contact)?;

        let stamp = stamp(&self.caller, &self.clock);
        let customer_id = match caller {
            Some(customer) => *customer.id(),
            None => self.register.customer(known, contact.clone(), stamp.clone())?,
        };
        let token = user_id(&self.caller).is_none().then(|| TrackingToken::new(&self.ids));
        let digest = token.as_ref().map(TrackingToken::digest);
        let mut order = Order::place(self.ids.next(), customer_id, contact, priced, digest, stamp);
        self.orders.save(&mut order)?;
        let tracking_token = token.map(|token| token.expose().to_owned());
        Ok(PlacedOrderDto { order: OrderDto::of(&order), tracking_token })
    }
}

impl PlaceOrderHandler {
    /// The pizzas of the menu that the lines ask for, as far as they exist.
    fn menu(&self, lines: &[PlaceLine]) -> Reading<Vec<Pizza>> {
        let lines = lines.iter().take(OrderDraft::LINES_MAX);
        let wanted: BTreeSet<PizzaId> = lines.filter_map(|line| line.pizza_id.parse().ok()).collect();
        self.pizzas.get_all(&wanted)
    }
}

impl From<PlaceLine> for LineDraft {
    fn from(line: PlaceLine) -> Self {
        let PlaceLine { pizza_id, size, toppings, quantity } = line;
        Self { pizza_id, size, toppings, quantity }
    }
}

/// What the caller says, and for the rest what the caller's profile has.
fn delivery_contact(draft: ContactDraft, caller: Option<&Customer>) -> Result<Contact> {
    let draft = match caller {
        Some(customer) => draft.or(customer.contact()),
        None => draft,
    };
    Ok(draft.into_delivery_contact("/customer")?)
}

/// Both, or everything that is wrong with either.
fn both<A, B>(first: Result<A>, second: Result<B>) -> Result<(A, B)> {
    match (first, second) {
        (Ok(first), Ok(second)) => Ok((first, second)),
        (Err(first), Err(second))
            if !first.violation_list().is_empty() && !second.violation_list().is_empty() =>
        {
            let all = first.violation_list().iter().chain(second.violation_list()).cloned().collect();
            Err(Error::violations(all))
        }
        (Err(error), _) | (_, Err(error)) => Err(error),
    }
}
