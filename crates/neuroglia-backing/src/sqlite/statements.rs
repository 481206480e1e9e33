//! The statements on one collection's documents, made once.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use neuroglia::data::check_name;
use neuroglia::error::Result;
use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

#[derive(Debug)]
pub(super) struct Statements {
    pub(super) load: SqlStr,
    pub(super) insert: SqlStr,
    pub(super) update: SqlStr,
    pub(super) delete: SqlStr,
    pub(super) version: SqlStr,
}

impl Statements {
    fn new(table: &str) -> Self {
        // Of the text, only the table's name varies, and it has been checked.
        let sql = |text: String| AssertSqlSafe(Arc::<str>::from(text)).into_sql_str();
        Self {
            load: sql(format!(
                "SELECT id, version, created_at, updated_at, body FROM \"{table}\" WHERE id = ?1"
            )),
            insert: sql(format!(
                "INSERT INTO \"{table}\" (id, version, created_at, updated_at, body) VALUES (?1, 0, ?2, ?2, ?3)"
            )),
            update: sql(format!(
                "UPDATE \"{table}\" SET version = version + 1, updated_at = ?3, body = ?4 \
                 WHERE id = ?1 AND version = ?2"
            )),
            delete: sql(format!("DELETE FROM \"{table}\" WHERE id = ?1 AND version = ?2")),
            version: sql(format!("SELECT version FROM \"{table}\" WHERE id = ?1")),
        }
    }
}

/// The statements of every collection that was asked for.
#[derive(Debug, Default)]
pub(super) struct Catalogue(RwLock<HashMap<&'static str, Arc<Statements>>>);

impl Catalogue {
    pub(super) fn of(&self, collection: &'static str) -> Result<Arc<Statements>> {
        if let Some(known) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(collection) {
            return Ok(Arc::clone(known));
        }
        check_name(collection)?;
        let made = Arc::new(Statements::new(collection));
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(collection, Arc::clone(&made));
        Ok(made)
    }
}
