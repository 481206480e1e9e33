//! User accounts: who may log in, and as what.
//!
//! The domain keeps a password only as the text that the hashing algorithm gives, and neither prints it nor puts
//! it into events. Names are compared in one spelling, so that `Chef@Example.com` is `chef@example.com`.

use std::fmt;
use std::str::FromStr;

use neuroglia::clock::Timestamp;
use neuroglia::domain::{Aggregate, DomainEvent, Root};
use neuroglia::id::Id;
use serde::{Deserialize, Serialize};

use crate::refusal::{Findings, Refusal};
use crate::stamp::Stamp;

/// The id of a user: the subject of a token, whoever issued it.
///
/// For an account of the pizzeria it is a UUIDv7; an external issuer's subject is any visible text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct UserId(String);

impl UserId {
    /// The most bytes of a user's id (OpenID Connect allows a subject as many).
    pub const BYTES_MAX: usize = 255;

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Id<User>> for UserId {
    fn from(id: Id<User>) -> Self {
        Self(id.to_string())
    }
}

impl FromStr for UserId {
    type Err = NotAUserId;

    fn from_str(text: &str) -> Result<Self, NotAUserId> {
        let sound =
            !text.is_empty() && text.len() <= Self::BYTES_MAX && text.bytes().all(|b| b.is_ascii_graphic());
        if sound { Ok(Self(text.to_owned())) } else { Err(NotAUserId) }
    }
}

impl TryFrom<String> for UserId {
    type Error = NotAUserId;

    fn try_from(text: String) -> Result<Self, NotAUserId> {
        text.parse()
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that cannot be the id of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAUserId;

impl fmt::Display for NotAUserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "must be 1 to {} visible ASCII characters", UserId::BYTES_MAX)
    }
}

impl std::error::Error for NotAUserId {}

/// What somebody may do in the pizzeria.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Orders, and follows the own orders.
    Customer,
    /// Cooks.
    Chef,
    /// Delivers.
    Driver,
    /// Keeps the menu and watches over every order.
    Manager,
    /// Runs the system.
    Admin,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 5] = [Self::Customer, Self::Chef, Self::Driver, Self::Manager, Self::Admin];

    /// Its name on the wire, in tokens and in documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Chef => "chef",
            Self::Driver => "driver",
            Self::Manager => "manager",
            Self::Admin => "admin",
        }
    }

    /// Whether it is held by people who work here, and who therefore see every order.
    pub const fn is_staff(self) -> bool {
        !matches!(self, Self::Customer)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or(UnknownRole)
    }
}

/// A text that names no role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownRole;

impl fmt::Display for UnknownRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("must be customer, chef, driver, manager or admin")
    }
}

impl std::error::Error for UnknownRole {}

/// The name that somebody logs in with, in one spelling: trimmed and lower-case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Username(String);

impl Username {
    /// The most characters of a user name, which an e-mail address fits into.
    pub const CHARS_MAX: usize = 254;

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Username {
    type Err = NotAUsername;

    fn from_str(text: &str) -> Result<Self, NotAUsername> {
        let text = text.trim();
        let sound = !text.is_empty()
            && text.chars().count() <= Self::CHARS_MAX
            && !text.chars().any(|c| c.is_control() || c.is_whitespace());
        if sound { Ok(Self(text.to_lowercase())) } else { Err(NotAUsername) }
    }
}

impl TryFrom<String> for Username {
    type Error = NotAUsername;

    fn try_from(text: String) -> Result<Self, NotAUsername> {
        text.parse()
    }
}

impl fmt::Display for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that cannot be a user name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAUsername;

impl fmt::Display for NotAUsername {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "must be 1 to {} characters without spaces", Username::CHARS_MAX)
    }
}

impl std::error::Error for NotAUsername {}

/// What the hashing algorithm made of a password; never printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// The hash with this text, in the algorithm's own format.
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// Its text, for the algorithm that verifies a password.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

/// Somebody who can log in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct User {
    id: UserId,
    username: Username,
    name: String,
    role: Role,
    password_hash: PasswordHash,
    #[serde(skip)]
    root: Root,
}

/// What is said of a new account, unjudged except for the role.
#[derive(Debug, Clone)]
pub struct UserDraft {
    /// The name to log in with.
    pub username: String,
    /// The name that people read.
    pub name: String,
    /// What the user may do.
    pub role: Role,
    /// What the hashing algorithm made of the password.
    pub password_hash: PasswordHash,
}

impl User {
    /// The most characters of the name that people read.
    pub const NAME_CHARS_MAX: usize = 100;

    /// The path of the user name, which is unique.
    pub const USERNAME_PATH: &'static str = "username";
    /// The path of the role.
    pub const ROLE_PATH: &'static str = "role";

    /// A new account.
    ///
    /// # Errors
    /// When the draft is not right, with everything that is wrong.
    pub fn create(id: Id<User>, draft: UserDraft, stamp: Stamp) -> Result<Self, Refusal> {
        let mut findings = Findings::default();
        let username = draft.username.parse::<Username>();
        let username =
            findings.take(username.map_err(|wrong| Refusal::at("/username", "format", wrong.to_string())));
        let name = findings.line("/name", &draft.name, Self::NAME_CHARS_MAX);
        findings.verdict()?;
        let mut user = Self {
            id: id.into(),
            username: username.expect("a wrong user name was refused"),
            name,
            role: draft.role,
            password_hash: draft.password_hash,
            root: Root::default(),
        };
        user.raise(UserCreated { user_id: user.id.clone(), role: user.role, at: stamp.at, by: stamp.by });
        Ok(user)
    }

    /// Replaces the name that people read and the role; the same again changes nothing.
    ///
    /// # Errors
    /// When the name is not right; nothing has changed then.
    pub fn change(&mut self, name: &str, role: Role, stamp: Stamp) -> Result<(), Refusal> {
        let mut findings = Findings::default();
        let name = findings.line("/name", name, Self::NAME_CHARS_MAX);
        findings.verdict()?;
        if self.name != name || self.role != role {
            self.name = name;
            self.role = role;
            self.raise(UserUpdated { user_id: self.id.clone(), role, at: stamp.at, by: stamp.by });
        }
        Ok(())
    }

    /// Replaces the password's hash.
    pub fn change_password(&mut self, password_hash: PasswordHash, stamp: Stamp) {
        self.password_hash = password_hash;
        self.raise(UserPasswordChanged { user_id: self.id.clone(), at: stamp.at, by: stamp.by });
    }

    /// The name to log in with.
    pub const fn username(&self) -> &Username {
        &self.username
    }

    /// The name that people read.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the user may do.
    pub const fn role(&self) -> Role {
        self.role
    }

    /// What the hashing algorithm made of the password.
    pub const fn password_hash(&self) -> &PasswordHash {
        &self.password_hash
    }
}

impl Aggregate for User {
    type Id = UserId;

    const COLLECTION: &'static str = "users";

    fn id(&self) -> &UserId {
        &self.id
    }

    fn root(&self) -> &Root {
        &self.root
    }

    fn root_mut(&mut self) -> &mut Root {
        &mut self.root
    }
}

/// An account was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserCreated {
    /// The user.
    pub user_id: UserId,
    /// What the user may do.
    pub role: Role,
    /// When.
    pub at: Timestamp,
    /// Who made it.
    pub by: Option<UserId>,
}

impl DomainEvent for UserCreated {
    const NAME: &'static str = "user.created";
}

/// An account has another name or another role from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserUpdated {
    /// The user.
    pub user_id: UserId,
    /// What the user may do.
    pub role: Role,
    /// When.
    pub at: Timestamp,
    /// Who changed it.
    pub by: Option<UserId>,
}

impl DomainEvent for UserUpdated {
    const NAME: &'static str = "user.updated";
}

/// An account has another password from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserPasswordChanged {
    /// The user.
    pub user_id: UserId,
    /// When.
    pub at: Timestamp,
    /// Who changed it.
    pub by: Option<UserId>,
}

impl DomainEvent for UserPasswordChanged {
    const NAME: &'static str = "user.password.changed";
}

#[cfg(test)]
mod tests {
    use neuroglia::id::Ids;

    use super::*;

    const HASH: &str = "$argon2id$v=19$m=1$canary";

    fn draft() -> UserDraft {
        UserDraft {
            username: " Chef@Example.com ".to_owned(),
            name: "Luigi".to_owned(),
            role: Role::Chef,
            password_hash: PasswordHash::new(HASH.to_owned()),
        }
    }

    fn stamp() -> Stamp {
        Stamp::anonymous(Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_user_name_has_one_spelling() {
        let user = User::create(Ids::sequence().next(), draft(), stamp()).expect("a right draft");
        assert_eq!(user.username().as_str(), "chef@example.com");
        let document = serde_json::to_value(&user).expect("a document");
        assert_eq!(document[User::USERNAME_PATH], "chef@example.com");
        assert_eq!(document[User::ROLE_PATH], "chef");
        assert_eq!(serde_json::from_value::<User>(document).expect("a user"), user);
    }

    #[test]
    fn a_wrong_draft_is_refused_with_everything_that_is_wrong() {
        let wrong = UserDraft { username: "two words".to_owned(), name: " ".to_owned(), ..draft() };
        let refusal = User::create(Ids::sequence().next(), wrong, stamp()).expect_err("a wrong draft");
        let pointers: Vec<&str> = refusal.violations().iter().map(|found| &*found.pointer).collect();
        assert_eq!(pointers, ["/username", "/name"]);
    }

    #[test]
    fn a_password_hash_is_neither_printed_nor_told() {
        let mut user = User::create(Ids::sequence().next(), draft(), stamp()).expect("a right draft");
        user.change_password(PasswordHash::new(HASH.to_owned()), stamp());
        assert!(!format!("{user:?} {:?}", draft()).contains("canary"));
        let events = user.take_events();
        assert_eq!(
            events.iter().map(|event| event.name()).collect::<Vec<_>>(),
            ["user.created", "user.password.changed"]
        );
        for event in events {
            assert!(!event.to_json().expect("json").contains("canary"));
        }
    }

    #[test]
    fn the_same_name_and_role_again_tell_nothing() {
        let mut user = User::create(Ids::sequence().next(), draft(), stamp()).expect("a right draft");
        user.take_events();
        user.change("Luigi", Role::Chef, stamp()).expect("a right name");
        assert!(user.take_events().is_empty());
        assert!(user.change(" ", Role::Admin, stamp()).is_err());
        assert_eq!(user.role(), Role::Chef);
        user.change("Luigi", Role::Driver, stamp()).expect("a right name");
        assert_eq!((user.role(), user.take_events().len()), (Role::Driver, 1));
    }

    #[test]
    fn an_id_is_short_and_visible() {
        assert!("auth0|507f1f77".parse::<UserId>().is_ok());
        for text in ["", "a b", "a\n", "é", &"x".repeat(256)] {
            assert_eq!(text.parse::<UserId>(), Err(NotAUserId), "{text:?}");
        }
    }

    #[test]
    fn a_role_reads_its_own_name_only() {
        for role in Role::ALL {
            assert_eq!(role.as_str().parse(), Ok(role));
            assert_eq!(serde_json::to_value(role).expect("json"), role.as_str());
        }
        assert_eq!("root".parse::<Role>(), Err(UnknownRole));
        assert!(!Role::Customer.is_staff());
    }
}
