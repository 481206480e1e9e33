//! Passwords: kept as argon2id hashes, checked without telling which accounts exist.
//!
//! # Design notes
//! * **Parameters** are the second choice of the OWASP Password Storage Cheat Sheet for argon2id: 19 MiB of
//!   memory, two passes, one lane. A hash carries its own, so that they can be raised later without touching what
//!   is stored.
//! * **The same work for everybody.** Where there is no account, the password is checked against a hash that no
//!   password has. Time then says nothing about who is a customer.
//! * **Bounded.** A hash is 19 MiB and tens of milliseconds of one core, on purpose; so only a few are computed at
//!   once, away from the threads that serve requests, and the others wait. A permit stays with the computation and
//!   not with whoever asked for it: hanging up early does not make room for another one.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use argon2::password_hash::phc::PasswordHash;
use argon2::{ARGON2ID_IDENT, Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use neuroglia_core::error::{Error, Result};
use neuroglia_core::settings::Secret;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::Semaphore;

const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const SALT_BYTES: usize = 16;

/// The hash that unknown accounts have: well-formed, made of random bytes, and the result of no password.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$xXJ/GYC6W+R3+EBlyOaNyw$9ESc++cZvUBh1P8m4JZPjENn40t/Ss9ycmt2ET9SoUA";

/// Crockford's base 32: no letter looks like a digit, and five random bits choose one without a bias.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const GENERATED_CHARS: usize = 20;

/// Hashes passwords and checks them.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use neuroglia::auth::Passwords;
/// use neuroglia_core::settings::Secret;
///
/// let passwords = Passwords::default();
/// let password = Secret::new("correct horse battery staple".to_owned());
/// let stored = passwords.hash(&password).await?;
/// assert!(passwords.verify(&password, Some(&stored)).await?);
/// assert!(!passwords.verify(&password, None).await?);
/// # Ok::<(), neuroglia_core::error::Error>(())
/// # }).unwrap();
/// ```
pub struct Passwords {
    slots: Arc<Semaphore>,
    computed: Arc<AtomicU64>,
}

impl Passwords {
    /// The shortest password that is accepted, in bytes.
    pub const BYTES_MIN: usize = 8;

    /// The longest password that is accepted, in bytes.
    pub const BYTES_MAX: usize = 256;

    /// Passwords of which so many are hashed or checked at once, with 19 MiB each.
    pub fn new(concurrency: NonZeroUsize) -> Self {
        Self { slots: Arc::new(Semaphore::new(concurrency.get())), computed: Arc::default() }
    }

    /// The hash of a password, as a PHC string that can be stored.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](neuroglia_core::error::ErrorKind::Invalid) when the password is shorter than
    /// [`BYTES_MIN`](Self::BYTES_MIN) or longer than [`BYTES_MAX`](Self::BYTES_MAX).
    pub async fn hash(&self, password: &Secret<String>) -> Result<String> {
        if !(Self::BYTES_MIN..=Self::BYTES_MAX).contains(&password.expose().len()) {
            return Err(Error::invalid("password.length", "a password has 8 to 256 bytes"));
        }
        let password = password.clone();
        self.compute(move || {
            let salt = random::<SALT_BYTES>()?;
            let hash = argon2id().hash_password_with_salt(password.expose().as_bytes(), &salt);
            hash.map(|hash| hash.to_string()).map_err(Error::internal)
        })
        .await?
    }

    /// Whether this is the password of an account, by the hash that is stored for it; `None` is an account that
    /// does not exist, which takes as long to refuse as one that does.
    ///
    /// # Errors
    /// Only when the process is ending and nothing is computed any more.
    pub async fn verify(&self, password: &Secret<String>, stored: Option<&str>) -> Result<bool> {
        // Nobody has such a password, and this is known without looking at the account.
        if password.expose().len() > Self::BYTES_MAX {
            return Ok(false);
        }
        let (hash, known) = reference(stored);
        let password = password.clone();
        let matches = self
            .compute(move || argon2id().verify_password(password.expose().as_bytes(), &hash).is_ok())
            .await?;
        Ok(matches && known)
    }

    /// A password for somebody who has none yet: 20 letters and digits, 100 random bits.
    ///
    /// # Errors
    /// When the machine has no random numbers.
    pub fn generate() -> Result<Secret<String>> {
        let bytes = random::<GENERATED_CHARS>()?;
        Ok(Secret::new(bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect()))
    }

    /// How many hashes were computed so far, to hash or to verify.
    pub fn computed(&self) -> u64 {
        self.computed.load(Ordering::Relaxed)
    }

    async fn compute<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let slot = Arc::clone(&self.slots).acquire_owned().await.map_err(Error::internal)?;
        let computed = Arc::clone(&self.computed);
        let work = move || {
            let _slot = slot;
            computed.fetch_add(1, Ordering::Relaxed);
            work()
        };
        tokio::task::spawn_blocking(work).await.map_err(Error::internal)
    }
}

impl Default for Passwords {
    /// As many at once as there are cores, four at most.
    fn default() -> Self {
        let most = NonZeroUsize::MIN.saturating_add(3);
        Self::new(thread::available_parallelism().unwrap_or(NonZeroUsize::MIN).min(most))
    }
}

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passwords").field("computed", &self.computed()).finish_non_exhaustive()
    }
}

fn argon2id() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).expect("the parameters are constants in range");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// The hash to check a password against, and whether an account has it.
fn reference(stored: Option<&str>) -> (PasswordHash, bool) {
    let nobody = || PasswordHash::new(NOBODY).expect("the constant is a PHC string");
    match stored.map(PasswordHash::new) {
        None => (nobody(), false),
        Some(Ok(hash)) if hash.algorithm == ARGON2ID_IDENT => (hash, true),
        Some(_) => {
            tracing::error!(
                "a stored password hash is not an argon2id PHC string; its account cannot log in"
            );
            (nobody(), false)
        }
    }
}

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| Error::internal("the machine has no random numbers"))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_costs_what_an_account_costs() {
        let (nobody, known) = reference(None);
        assert!(!known);
        let password = b"a password of an account";
        let made = argon2id().hash_password_with_salt(password, &[7; SALT_BYTES]).expect("a hash");
        assert_eq!(nobody.params, made.params);
        assert_eq!(nobody.version, made.version);
        assert_eq!(nobody.algorithm, made.algorithm);
        let lengths =
            |hash: &PasswordHash| (hash.salt.map(|salt| salt.len()), hash.hash.map(|hash| hash.len()));
        assert_eq!(lengths(&nobody), lengths(&made));
    }

    #[test]
    fn what_is_no_argon2id_hash_is_nobody() {
        for stored in [
            "",
            "hunter2",
            "$2b$12$C6UzMDM.H6dfI/f/IKcEeO",
            "$argon2i$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2g",
        ] {
            let (hash, known) = reference(Some(stored));
            assert!(!known, "{stored}");
            assert_eq!(hash.to_string(), NOBODY);
        }
    }

    #[test]
    fn generated_passwords_differ_and_are_easy_to_read() {
        let (one, other) = (Passwords::generate().expect("random"), Passwords::generate().expect("random"));
        assert_ne!(one.expose(), other.expose());
        assert_eq!(one.expose().len(), GENERATED_CHARS);
        assert!(one.expose().bytes().all(|byte| ALPHABET.contains(&byte)));
    }
}
