//! Aggregates as documents behind one store port, changed by units of work.
//!
//! Reads see what is committed; writes are gathered by the scope's [`UnitOfWork`] and leave in one atomic
//! [`Batch`] at the end: documents with the versions that they expect, outbox messages, the idempotency record
//! and the application's own SQL. The port is then small, and the same for every engine.
//!
//! A handler works with a [`Repository`] for each kind of aggregate:
//!
//! ```
//! # use neuroglia_core::data::{Field, Query, Repository};
//! # use neuroglia_core::domain::{Aggregate, Root};
//! # use neuroglia_core::error::{Error, Result};
//! # use neuroglia_core::id::Id;
//! # use serde::{Deserialize, Serialize};
//! # #[derive(Serialize, Deserialize)]
//! # struct Pizza { id: Id<Pizza>, name: String, available: bool, #[serde(skip)] root: Root }
//! # impl Aggregate for Pizza {
//! #     type Id = Id<Pizza>;
//! #     const COLLECTION: &'static str = "pizzas";
//! #     fn id(&self) -> &Self::Id { &self.id }
//! #     fn root(&self) -> &Root { &self.root }
//! #     fn root_mut(&mut self) -> &mut Root { &mut self.root }
//! # }
//! impl Pizza {
//!     const AVAILABLE: Field<Self, bool> = Field::new("available");
//!     const NAME: Field<Self, String> = Field::new("name");
//! }
//!
//! async fn withdraw(pizzas: &Repository<Pizza>, id: Id<Pizza>) -> Result<()> {
//!     let mut pizza = pizzas.get(&id).await?.ok_or_else(|| Error::not_found("pizza", id))?;
//!     pizza.available = false;
//!     pizzas.save(&mut pizza)
//! }
//!
//! async fn menu(pizzas: &Repository<Pizza>) -> Result<Vec<Pizza>> {
//!     let page = pizzas.find(Query::filter(Pizza::AVAILABLE.eq(true)).ascending(Pizza::NAME)).await?;
//!     Ok(page.items)
//! }
//! ```

mod cursor;
mod kept;
pub mod memory;
mod migration;
mod page;
mod query;
mod reading;
mod repository;
mod store;
mod unit_of_work;

pub use cursor::Cursor;
pub(crate) use kept::{KEPT_ENTRIES, KEPT_UNTIL};
pub use migration::{AppliedMigration, History, Index, Migration, MigrationRun, Migrations, Step};
pub use page::{PAGE_LIMIT_DEFAULT, PAGE_LIMIT_MAX, Page};
pub use query::{
    Condition, Direction, Field, Filter, Op, Path, Query, Scalar, Select, Sort, Value, check_name,
};
pub use reading::{Reading, together};
pub use repository::Repository;
pub use store::{
    Batch, Change, Completion, Document, NativeStep, OutboxMessage, Reservation, Reserve, Store, Write,
};
pub(crate) use unit_of_work::Ending;
pub use unit_of_work::{UnitOfWork, register};
