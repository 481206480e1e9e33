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

/// How many keys are deleted in one operation, or a few more whose time ended at the same moment.
const PURGE_STEP: u64 = 1000;

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

/// Deletes keys whose time is over, in steps, so that no operation takes long; gives their number.
pub(super) async fn purge_expired(connection: &Connection, now: Timestamp) -> Result<u64> {
    let keys = connection.collection(KEYS);
    let expired = |until: i64| doc! { "expires_at": { "$lte": until } };
    let mut purged = 0;
    loop {
        let step = keys.find(expired(now.unix_micros())).sort(doc! { "expires_at": 1 });
        let end = step.projection(doc! { "expires_at": 1 }).skip(PURGE_STEP - 1).limit(1);
        let end = connection.all(end.into_future()).await?;
        let until = end.first().map(|key| key.whole("expires_at")).transpose()?;
        let gone = keys.delete_many(expired(until.unwrap_or(now.unix_micros())));
        purged += connection.run(gone.into_future()).await?.deleted_count;
        if until.is_none() {
            return Ok(purged);
        }
    }
}
