//! Idempotency records: taken before a command runs, completed by its batch.

use mongodb::bson::doc;
use neuroglia::clock::Timestamp;
use neuroglia::data::{Reservation, Reserve};
use neuroglia::error::{Error, Result};

use super::connection::Connection;
use super::error::{error, is_duplicate};
use super::fields::Fields;
use super::schema::KEYS;

/// Tries to take a key; a record that comes or goes between two looks is tried anew.
const ATTEMPTS_MAX: u32 = 5;

/// How many keys are deleted in one operation.
const PURGE_STEP: i64 = 5000;

pub(super) async fn reserve(connection: &Connection, reserve: &Reserve) -> Result<Reservation> {
    let keys = connection.collection(KEYS);
    for _ in 0..ATTEMPTS_MAX {
        // A record that has not expired does not match, and a second one with its key cannot be inserted.
        let taken = keys.update_one(
            doc! { "_id": &reserve.key, "expires_at": { "$lte": reserve.now.unix_micros() } },
            doc! {
                "$set": {
                    "fingerprint": &reserve.fingerprint,
                    "token": &reserve.token,
                    "expires_at": reserve.running_until.unix_micros(),
                },
                "$unset": { "response": "" },
            },
        );
        match connection.tried(taken.upsert(true).into_future()).await? {
            Ok(_) => return Ok(Reservation::Taken),
            Err(cause) if is_duplicate(&cause) => {}
            Err(cause) => return Err(error(cause)),
        }
        let found = keys.find_one(doc! { "_id": &reserve.key, "expires_at": { "$gt": reserve.now.unix_micros() } });
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

/// Deletes keys whose time is over, in steps, so that others have their turn; gives their number.
pub(super) async fn purge_expired(connection: &Connection, now: Timestamp) -> Result<u64> {
    let (keys, expired) = (connection.collection(KEYS), doc! { "expires_at": { "$lte": now.unix_micros() } });
    let mut purged = 0;
    loop {
        let some = keys.find(expired.clone()).projection(doc! { "_id": 1 }).limit(PURGE_STEP);
        let ids: Vec<_> =
            connection.all(some.into_future()).await?.into_iter().filter_map(|mut key| key.remove("_id")).collect();
        let is_last = ids.len() < PURGE_STEP as usize;
        if !ids.is_empty() {
            let mut gone = expired.clone();
            gone.insert("_id", doc! { "$in": ids });
            purged += connection.run(keys.delete_many(gone).into_future()).await?.deleted_count;
        }
        if is_last {
            return Ok(purged);
        }
    }
}
