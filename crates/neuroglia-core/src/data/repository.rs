//! The aggregates of one kind, seen through the running unit of work.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use super::{Condition, Cursor, Page, Path, Query, Reading, Select, UnitOfWork, Value};
use crate::di::{Dependencies, Inject, Scope};
use crate::domain::Aggregate;
use crate::error::Result;

/// Loads and saves aggregates of type `A`; injected as a field, without being registered.
///
/// Reading by id gives back what this unit of work has saved; queries see committed state only.
pub struct Repository<A> {
    work: Arc<UnitOfWork>,
    of: PhantomData<fn() -> A>,
}

impl<A: Aggregate> Repository<A> {
    /// The aggregates as this unit of work sees them; in an application the container makes it.
    pub fn new(work: Arc<UnitOfWork>) -> Self {
        Self { work, of: PhantomData }
    }

    /// The aggregate, or `None` when there is none.
    ///
    /// # Errors
    /// When the store cannot be reached, or its document is not an `A`.
    pub async fn get(&self, id: &A::Id) -> Result<Option<A>> {
        self.work.get(id).await
    }

    /// Those of the aggregates that exist, as this unit of work sees them, by one question; in the order in which their ids
    /// are given, one that is given twice two times.
    ///
    /// # Errors
    /// Those of [`get`](Self::get).
    pub fn get_all<'a>(&self, ids: impl IntoIterator<Item = &'a A::Id>) -> Reading<Vec<A>> {
        let ids: Vec<String> = ids.into_iter().map(ToString::to_string).collect();
        let limit = u32::try_from(ids.len()).unwrap_or(u32::MAX);
        let values = ids.iter().cloned().map(Value::Text).collect();
        let condition = Condition::In { path: Path::Id, values };
        let select = Select { collection: A::COLLECTION, condition, sort: Vec::new(), limit };
        let selects = if limit == 0 { Vec::new() } else { vec![select] };
        Reading::new(&self.work, Ok(selects), UnitOfWork::read_all).of_ids(ids)
    }

    /// Keeps the aggregate, and the events that it raised, in the unit of work.
    ///
    /// Nothing reaches the store before the unit commits; a conflict shows then. Aggregates are written and removed in the order
    /// in which each was first saved or removed.
    ///
    /// # Errors
    /// When the aggregate cannot be written as JSON, or when it is an older copy of what this unit has saved.
    pub fn save(&self, aggregate: &mut A) -> Result<()> {
        self.work.save(aggregate)
    }

    /// Removes the aggregate when the unit of work commits.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::error::ErrorKind::NotFound) when it was never saved.
    pub fn remove(&self, aggregate: &mut A) -> Result<()> {
        self.work.remove(aggregate)
    }

    /// The committed aggregates that match, one page of them.
    ///
    /// # Errors
    /// When the store cannot be reached, or the cursor belongs to another query.
    pub async fn find(&self, query: Query<A>) -> Result<Page<A>> {
        let limit = query.page_limit() as usize;
        let mut documents = Vec::new();
        let mut sort = Vec::new();
        for mut select in query.to_selects()? {
            select.limit = query.page_limit() + 1 - documents.len() as u32;
            documents.append(&mut self.work.store().query(&select).await?);
            sort = select.sort;
            if documents.len() > limit {
                break;
            }
        }
        let next = if documents.len() > limit {
            documents.truncate(limit);
            documents.last().map(|last| Cursor::after(A::COLLECTION, &sort, last)).transpose()?
        } else {
            None
        };
        let items = documents.iter().map(UnitOfWork::decode).collect::<Result<_>>()?;
        Ok(Page { items, next })
    }

    /// The first committed aggregate that matches. A later [`get`](Self::get) of it asks nobody: it gives what was
    /// read here, or what this unit of work has made of it.
    ///
    /// # Errors
    /// When the store cannot be reached.
    pub fn first(&self, query: Query<A>) -> Reading<Option<A>> {
        let selects = query.to_selects().map(|mut selects| {
            selects.iter_mut().for_each(|select| select.limit = 1);
            selects
        });
        Reading::new(&self.work, selects, |work, _, documents| {
            documents.into_iter().next().map(|document| work.read(document)).transpose()
        })
    }

    /// How many committed aggregates match.
    ///
    /// # Errors
    /// When the store cannot be reached.
    pub async fn count(&self, query: Query<A>) -> Result<u64> {
        self.work.store().count(&query.to_select()).await
    }
}

impl<A: Aggregate> Inject for Repository<A> {
    fn dependencies(needs: &mut Dependencies) {
        needs.one::<UnitOfWork>();
    }

    fn inject(scope: &Scope) -> Result<Self> {
        Ok(Self { work: scope.get()?, of: PhantomData })
    }
}

impl<A> Clone for Repository<A> {
    fn clone(&self) -> Self {
        Self { work: Arc::clone(&self.work), of: PhantomData }
    }
}

impl<A: Aggregate> fmt::Debug for Repository<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Repository of {}", A::COLLECTION)
    }
}
