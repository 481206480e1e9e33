//! What is to be read, before it is asked for, so that several reads can be one question.

use std::fmt;
use std::future::IntoFuture;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::{Document, Select, UnitOfWork};
use crate::error::Result;

/// Something that a [`Repository`](super::Repository) reads: awaited alone, or asked for together with another by
/// [`together`].
///
/// The future gives what the repository's method says.
#[must_use = "nothing is read before this is awaited"]
pub struct Reading<T> {
    work: Arc<UnitOfWork>,
    selects: Result<Vec<Select>>,
    ids: Vec<String>,
    read: Read<T>,
}

/// Makes of documents what was asked for, with the ids that it was asked for by.
type Read<T> = fn(&UnitOfWork, &[String], Vec<Document>) -> Result<T>;

impl<T> Reading<T> {
    pub(super) fn new(work: &Arc<UnitOfWork>, selects: Result<Vec<Select>>, read: Read<T>) -> Self {
        Self { work: Arc::clone(work), selects, ids: Vec::new(), read }
    }

    pub(super) fn of_ids(self, ids: Vec<String>) -> Self {
        Self { ids, ..self }
    }
}

impl<T: Send + 'static> IntoFuture for Reading<T> {
    type Output = Result<T>;
    type IntoFuture = BoxFuture<'static, Result<T>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Self { work, selects, ids, read } = self;
            // One part after the other, as a list that goes on behind a cursor has several.
            for select in selects? {
                let documents = work.store().query(&select).await?;
                if !documents.is_empty() {
                    return read(&work, &ids, documents);
                }
            }
            read(&work, &ids, Vec::new())
        })
    }
}

/// Reads both at once: one round trip, and one state of the store for both, where the engine can answer so.
///
/// ```
/// use neuroglia_core::data::{Query, Repository, together};
/// # use neuroglia_core::domain::{Aggregate, Root};
/// # use neuroglia_core::error::Result;
/// # use neuroglia_core::id::Id;
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Serialize, Deserialize)]
/// # struct Pizza { id: Id<Self>, #[serde(skip)] root: Root }
/// # impl Aggregate for Pizza {
/// #     type Id = Id<Self>;
/// #     const COLLECTION: &'static str = "pizzas";
/// #     fn id(&self) -> &Id<Self> { &self.id }
/// #     fn root(&self) -> &Root { &self.root }
/// #     fn root_mut(&mut self) -> &mut Root { &mut self.root }
/// # }
/// # type Customer = Pizza;
///
/// async fn before_an_order(
///     pizzas: &Repository<Pizza>,
///     wanted: &[Id<Pizza>],
///     customers: &Repository<Customer>,
///     known: Query<Customer>,
/// ) -> Result<(Vec<Pizza>, Option<Customer>)> {
///     together(pizzas.get_all(wanted), customers.first(known)).await
/// }
/// ```
///
/// # Errors
/// When the store cannot be reached, or a document is not what it is read as.
pub async fn together<A, B>(first: Reading<A>, second: Reading<B>) -> Result<(A, B)>
where
    A: Send + 'static,
    B: Send + 'static,
{
    if !first.work.shares_store(&second.work) {
        return Ok((first.await?, second.await?));
    }
    let Reading { work, selects, ids, read } = first;
    let mut selects = selects?;
    let of_first = selects.len();
    selects.extend(second.selects?);
    let mut answers = if selects.is_empty() { Vec::new() } else { work.store().query_all(&selects).await? };
    let of_second = answers.split_off(of_first);
    let first = read(&work, &ids, answers.into_iter().flatten().collect())?;
    let second = (second.read)(&second.work, &second.ids, of_second.into_iter().flatten().collect())?;
    Ok((first, second))
}

impl<T> fmt::Debug for Reading<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reading").field("selects", &self.selects).finish_non_exhaustive()
    }
}
