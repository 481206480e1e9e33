//! Idempotency records: taken before a command runs, completed by its batch.

use mongodb::bson::doc;
use neuroglia::data::{Reservation, Reserve};
use neuroglia::error::{Error, Result};

use super::connection::Connection;
use super::error::{error, is_duplicate};
use super::fields::{Fields, micros};
use super::schema::KEYS;

/// Tries to take a key; a record that comes or goes between two looks is tried anew.
const ATTEMPTS_MAX: u32 = 5;

pub(super) async fn reserve(connection: &Connection, reserve: &Reserve) -> Result<Reservation> {
    let keys = connection.collection(KEYS);
    // An upsert knows no expression with the server's clock, so the clock is asked before.
    let now = connection.now().await?.unix_micros();
    for _ in 0..ATTEMPTS_MAX {
        // A record that has not expired does not match, and a second one with its key cannot be inserted.
        let taken = keys.update_one(
            doc! { "_id": &reserve.key, "expires_at": { "$lte": now } },
            doc! {
                "$set": {
                    "fingerprint": &reserve.fingerprint,
                    "token": &reserve.token,
                    "expires_at": now.saturating_add(micros(reserve.hold)),
                },
                "$unset": { "response": "" },
            },
        );
        match connection.tried(taken.upsert(true).into_future()).await? {
            Ok(_) => return Ok(Reservation::Taken),
            Err(cause) if is_duplicate(&cause) => {}
            Err(cause) => return Err(error(cause)),
        }
        let found = keys.find_one(doc! { "_id": &reserve.key, "expires_at": { "$gt": now } });
        if let Some(found) = connection.run(found.into_future()).await? {
            let fingerprint = found.text("fingerprint")?;
            return Ok(match found.text_if_any("response")? {
                Some(response) => Reservation::Done { fingerprint, response },
                None => Reservation::Running { fingerprint },
            });
        }
    }
    Err(Error::unavailable("the idempotency key was taken and given back again and again"))
}

pub(super) async fn release(connection: &Connection, key: &str, token: &str) -> Result<()> {
    let held = doc! { "_id": key, "token": token, "response": { "$exists": false } };
    connection.run(connection.collection(KEYS).delete_one(held).into_future()).await.map(drop)
}

/// Deletes keys whose time is over, at most so many; gives their number.
pub(super) async fn purge_expired(connection: &Connection, limit: u32) -> Result<u64> {
    if limit == 0 {
        return Ok(0);
    }
    let keys = connection.collection(KEYS);
    let now = connection.now().await?.unix_micros();
    let over = doc! { "expires_at": { "$lte": now } };
    let some = keys.find(over).projection(doc! { "_id": 1 }).limit(i64::from(limit));
    let ids = connection.all(some.into_future()).await?;
    let ids: Vec<_> = ids.into_iter().filter_map(|mut found| found.remove("_id")).collect();
    if ids.is_empty() {
        return Ok(0);
    }
    // What somebody takes anew meanwhile is not over any more.
    let gone = keys.delete_many(doc! { "_id": { "$in": ids }, "expires_at": { "$lte": now } });
    Ok(connection.run(gone.into_future()).await?.deleted_count)
}
