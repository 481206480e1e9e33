//! The menu: read by anyone, kept by the manager.

mod add_pizza;
mod change_pizza;
mod get_pizza;
mod list_menu;
mod pizza_dto;
mod remove_pizza;
mod renew_edition;
mod seed_menu;

pub use add_pizza::AddPizza;
pub use change_pizza::ChangePizza;
pub use get_pizza::GetPizza;
pub use list_menu::ListMenu;
pub use pizza_dto::{PizzaDto, PricesDto, WritePizza};
pub use remove_pizza::RemovePizza;
pub use renew_edition::RenewEdition;
pub use seed_menu::{SeedMenu, Seeded};
