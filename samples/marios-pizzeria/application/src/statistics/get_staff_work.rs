//! Show what the staff has done.

use std::collections::BTreeMap;

use neuroglia::data::Repository;
use neuroglia::di::Inject;
use neuroglia::error::Result;
use neuroglia::mediation::{Query, QueryHandler};
use pizzeria_domain::user::User;
use schemars::JsonSchema;
use serde::Serialize;

use super::figures::STEPS;
use super::ledger::Ledger;

/// Show how many orders each of the staff has confirmed, cooked and delivered.
pub struct GetStaffWork {}

/// What the staff has done.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct StaffWorkDto {
    /// Everybody who has done something.
    pub items: Vec<StaffMemberWorkDto>,
}

/// What somebody of the staff has done.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct StaffMemberWorkDto {
    /// Whose it is.
    pub user_id: String,
    /// What they are called; null when the account is not known here.
    pub name: Option<String>,
    /// How many orders they have confirmed.
    pub confirmed: u64,
    /// How many orders they have finished cooking.
    pub cooked: u64,
    /// How many orders they have handed over.
    pub delivered: u64,
}

impl Query for GetStaffWork {
    type Response = StaffWorkDto;
    type Handler = GetStaffWorkHandler;
}

/// Handles [`GetStaffWork`].
#[derive(Inject)]
pub struct GetStaffWorkHandler {
    ledger: Ledger,
    users: Repository<User>,
}

impl QueryHandler<GetStaffWork> for GetStaffWorkHandler {
    async fn handle(&self, _: GetStaffWork) -> Result<StaffWorkDto> {
        let totals = self.ledger.totals().await?;
        let mut work: BTreeMap<&str, [u64; 3]> = BTreeMap::new();
        for (step, index) in STEPS.into_iter().zip(0..) {
            for (user, _) in totals.steps.get(step.as_str()).into_iter().flat_map(|sums| sums.iter()) {
                work.entry(user).or_default()[index] = totals.steps[step.as_str()].count(user);
            }
        }
        let mut items = Vec::new();
        for (user, [confirmed, cooked, delivered]) in work {
            let account = match user.parse() {
                Ok(id) => self.users.get(&id).await?,
                Err(_) => None,
            };
            let name = account.map(|user| user.name().to_owned());
            items.push(StaffMemberWorkDto { user_id: user.to_owned(), name, confirmed, cooked, delivered });
        }
        Ok(StaffWorkDto { items })
    }
}
