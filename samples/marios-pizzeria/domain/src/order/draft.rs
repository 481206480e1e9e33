//! What a customer asks for, and what it becomes once it is judged and priced.

use std::collections::HashMap;

use neuroglia::domain::Aggregate;
use neuroglia::id::{Id, Ids};
use serde::{Deserialize, Serialize};

use super::{OrderError, Payment, PaymentDraft, PaymentMethod};
use crate::menu::{Pizza, PizzaId, Size, Topping, unit_price};
use crate::money::Money;
use crate::refusal::{Findings, Refusal};

/// The id of a line of an order.
pub type LineId = Id<OrderLine>;

/// So many pizzas of one kind, priced when the order was placed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderLine {
    id: LineId,
    pizza_id: PizzaId,
    name: String,
    size: Size,
    toppings: Vec<Topping>,
    quantity: u32,
    unit_price: Money,
    line_total: Money,
}

impl OrderLine {
    /// The greatest quantity.
    pub const QUANTITY_MAX: u32 = 20;
    /// The most toppings.
    pub const TOPPINGS_MAX: usize = 10;

    /// Its id.
    pub const fn id(&self) -> LineId {
        self.id
    }

    /// The pizza.
    pub const fn pizza_id(&self) -> &PizzaId {
        &self.pizza_id
    }

    /// The name that the pizza had.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The size.
    pub const fn size(&self) -> Size {
        self.size
    }

    /// What is added to the pizza.
    pub fn toppings(&self) -> &[Topping] {
        &self.toppings
    }

    /// How many.
    pub const fn quantity(&self) -> u32 {
        self.quantity
    }

    /// What one of them costs.
    pub const fn unit_price(&self) -> Money {
        self.unit_price
    }

    /// What they cost together: exactly quantity × unit price.
    pub const fn line_total(&self) -> Money {
        self.line_total
    }

    /// Writes down what it costs; gives what was written there.
    pub(super) const fn correct_total(&mut self, total: Money) -> Money {
        std::mem::replace(&mut self.line_total, total)
    }
}

/// What a customer asks for, unjudged.
///
/// The places in a [`Refusal`] of it are those of a request's body with these names: `/lines/0/quantity`. Those of the
/// payment stand beside the lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OrderDraft {
    /// What to bake.
    pub lines: Vec<LineDraft>,
    /// How it is paid.
    pub payment: PaymentDraft,
    /// What the customer wants us to know.
    pub notes: Option<String>,
}

/// One line of what a customer asks for, unjudged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LineDraft {
    /// The pizza.
    pub pizza_id: String,
    /// The size.
    pub size: String,
    /// What to add to the pizza.
    pub toppings: Vec<String>,
    /// How many.
    pub quantity: i64,
}

/// A draft that was found right, with its prices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PricedDraft {
    pub(super) lines: Vec<OrderLine>,
    pub(super) total: Money,
    pub(super) payment: Payment,
    pub(super) notes: Option<String>,
}

impl PricedDraft {
    /// Its lines.
    pub fn lines(&self) -> &[OrderLine] {
        &self.lines
    }

    /// What they cost together.
    pub const fn total(&self) -> Money {
        self.total
    }

    /// How it is paid.
    pub const fn payment(&self) -> &Payment {
        &self.payment
    }
}

impl OrderDraft {
    /// The most lines.
    pub const LINES_MAX: usize = 100;
    /// The most characters of the notes.
    pub const NOTES_CHARS_MAX: usize = 500;

    /// Judges the draft as a whole, and prices it from the menu.
    ///
    /// `menu` has at least the pizzas that the draft asks for, as far as they exist; `accepted` are the payment
    /// methods that the pizzeria takes at the moment.
    ///
    /// # Errors
    /// When it has no line, or something in it is not right, with everything that is wrong; or when the menu has
    /// prices of several currencies.
    pub fn priced(
        self,
        menu: &[Pizza],
        accepted: &[PaymentMethod],
        ids: &Ids,
    ) -> Result<PricedDraft, OrderError> {
        let mut findings = Findings::default();
        let choices = judged_lines(&self.lines, menu, &mut findings);
        let payment = findings.take(self.payment.judged(accepted));
        let notes =
            findings.prose("/notes", self.notes.as_deref().unwrap_or_default(), Self::NOTES_CHARS_MAX);
        findings.verdict()?;

        let lines =
            choices.into_iter().map(|choice| choice.priced(ids.next())).collect::<Result<Vec<_>, _>>()?;
        let currency = lines.first().expect("an order without a line was refused").line_total.currency();
        let total = Money::sum(currency, lines.iter().map(OrderLine::line_total))?;
        Ok(PricedDraft {
            lines,
            total,
            payment: payment.expect("a wrong payment was refused"),
            notes: (!notes.is_empty()).then_some(notes),
        })
    }
}

/// A line that was found right.
struct Choice<'a> {
    pizza: &'a Pizza,
    size: Size,
    toppings: Vec<Topping>,
    quantity: u32,
}

impl Choice<'_> {
    fn priced(self, id: LineId) -> Result<OrderLine, OrderError> {
        let unit_price = unit_price(self.pizza.base_price(), self.size, self.toppings.len())?;
        Ok(OrderLine {
            id,
            pizza_id: self.pizza.id().clone(),
            name: self.pizza.name().to_owned(),
            size: self.size,
            toppings: self.toppings,
            quantity: self.quantity,
            unit_price,
            line_total: unit_price.checked_mul(self.quantity)?,
        })
    }
}

fn judged_lines<'a>(drafts: &[LineDraft], menu: &'a [Pizza], findings: &mut Findings) -> Vec<Choice<'a>> {
    if drafts.is_empty() {
        findings.refuse("/lines", "order.empty", "must have at least one line");
    }
    if drafts.len() > OrderDraft::LINES_MAX {
        findings.refuse("/lines", "max_items", format!("must have at most {} lines", OrderDraft::LINES_MAX));
        return Vec::new();
    }
    let menu: HashMap<&str, &Pizza> = menu.iter().map(|pizza| (pizza.id().as_str(), pizza)).collect();
    drafts
        .iter()
        .enumerate()
        .filter_map(|(index, draft)| {
            let pizza = menu.get(&*draft.pizza_id).copied();
            draft.judged(&format!("/lines/{index}"), pizza, findings)
        })
        .collect()
}

impl LineDraft {
    fn judged<'a>(
        &self,
        pointer: &str,
        pizza: Option<&'a Pizza>,
        findings: &mut Findings,
    ) -> Option<Choice<'a>> {
        match pizza {
            None => findings.refuse(format!("{pointer}/pizza_id"), "pizza.unknown", "not found in menu"),
            Some(pizza) if !pizza.is_available() => {
                findings.refuse(
                    format!("{pointer}/pizza_id"),
                    "pizza.unavailable",
                    "not available at the moment",
                );
            }
            Some(_) => {}
        }
        let size =
            findings.take(self.size.parse::<Size>().map_err(|unknown| {
                Refusal::at(format!("{pointer}/size"), "size.unknown", unknown.to_string())
            }));
        let toppings = self.judged_toppings(pointer, pizza, findings);
        let quantity = u32::try_from(self.quantity)
            .ok()
            .filter(|quantity| (1..=OrderLine::QUANTITY_MAX).contains(quantity));
        if quantity.is_none() {
            let detail = format!("must be between 1 and {}", OrderLine::QUANTITY_MAX);
            findings.refuse(format!("{pointer}/quantity"), "range", detail);
        }
        Some(Choice { pizza: pizza?, size: size?, toppings, quantity: quantity? })
    }

    fn judged_toppings(&self, pointer: &str, pizza: Option<&Pizza>, findings: &mut Findings) -> Vec<Topping> {
        let mut toppings: Vec<Topping> = Vec::new();
        if self.toppings.len() > OrderLine::TOPPINGS_MAX {
            let detail = format!("must have at most {} toppings", OrderLine::TOPPINGS_MAX);
            findings.refuse(format!("{pointer}/toppings"), "max_items", detail);
            return toppings;
        }
        for (index, name) in self.toppings.iter().enumerate() {
            // Without a pizza there is nothing that could offer the topping, and the pizza is refused already.
            let offered = |topping: &Topping| pizza.is_none_or(|pizza| pizza.offers(topping));
            match name.parse::<Topping>() {
                Ok(topping) if toppings.contains(&topping) => {
                    findings.refuse(
                        format!("{pointer}/toppings/{index}"),
                        "duplicate",
                        "must not be repeated",
                    );
                }
                Ok(topping) if offered(&topping) => toppings.push(topping),
                _ => {
                    let pointer = format!("{pointer}/toppings/{index}");
                    findings.refuse(pointer, "topping.unknown", "not offered with this pizza");
                }
            }
        }
        toppings
    }
}
