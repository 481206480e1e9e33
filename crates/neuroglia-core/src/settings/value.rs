//! What a variable's text becomes.

use std::any::{TypeId, type_name};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::Serialize;
use url::Url;

use crate::settings::duration;
use crate::settings::secret::Secret;
use crate::settings::size::ByteSize;

/// What a field of a settings struct can be.
///
/// `Kind` is inferred and never written: it keeps the implementations apart, so that every type with `FromStr` is a
/// value without further ado, beside `Duration`, `Vec<T>`, `Option<T>` and [`Secret<T>`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read from a variable",
    label = "not a setting",
    note = "a setting is any type that implements `FromStr` with an error that implements `Display`: a number, `bool`, `String`, `Url`, `ByteSize`, your own …",
    note = "or `Duration`, or one of `Option<T>`, `Vec<T>` and `Secret<T>` of such a type",
    note = "a struct with `#[derive(Settings)]` is a section: write `#[setting(section)]` above the field"
)]
pub trait Value<Kind>: Sized + 'static {
    /// What the value looks like to an operator.
    fn form() -> Form;

    /// Reads the value.
    ///
    /// # Errors
    /// What is wrong with the text, as a phrase that continues it, such as `has no unit`. It is not shown when the
    /// value is secret.
    fn parse(text: &str) -> Result<Self, String>;

    /// What an unset variable without a default means; `None` when it must be set.
    fn absent() -> Option<Self> {
        None
    }
}

/// What a value looks like to an operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Form {
    /// The type in an operator's words, such as `duration`.
    #[serde(rename = "type")]
    pub type_name: Cow<'static, str>,
    /// A value of this type.
    #[serde(skip)]
    pub example: Cow<'static, str>,
    /// Whether it may be shown nowhere.
    pub secret: bool,
    /// Whether it may stay unset.
    pub optional: bool,
    /// Whether it is several values, separated by commas.
    pub list: bool,
    #[serde(skip)]
    pub(super) url: bool,
}

impl Form {
    /// A plain value.
    pub fn new(type_name: impl Into<Cow<'static, str>>, example: impl Into<Cow<'static, str>>) -> Self {
        Self {
            type_name: type_name.into(),
            example: example.into(),
            secret: false,
            optional: false,
            list: false,
            url: false,
        }
    }
}

/// The kind of a value with `FromStr`.
#[derive(Debug)]
pub struct Parsed;

/// The kind of a duration.
#[derive(Debug)]
pub struct Unit;

/// The kind of a list.
#[derive(Debug)]
pub struct List<Item>(PhantomData<Item>);

/// The kind of a value that may stay unset.
#[derive(Debug)]
pub struct Maybe<Inner>(PhantomData<Inner>);

/// The kind of a secret.
#[derive(Debug)]
pub struct Hidden<Inner>(PhantomData<Inner>);

#[diagnostic::do_not_recommend]
impl<T> Value<Parsed> for T
where
    T: FromStr + 'static,
    T::Err: fmt::Display,
{
    fn form() -> Form {
        let (words, example) = words_of::<T>();
        Form { url: TypeId::of::<T>() == TypeId::of::<Url>(), ..Form::new(words, example) }
    }

    fn parse(text: &str) -> Result<Self, String> {
        if TypeId::of::<T>() == TypeId::of::<bool>() {
            return switch(text)?.parse().map_err(|error: T::Err| error.to_string());
        }
        text.parse().map_err(|error: T::Err| {
            if TypeId::of::<T>() == TypeId::of::<ByteSize>() {
                return error.to_string();
            }
            format!("is no {}: {error}", words_of::<T>().0)
        })
    }
}

impl Value<Unit> for Duration {
    fn form() -> Form {
        Form::new("duration", "30s")
    }

    fn parse(text: &str) -> Result<Self, String> {
        duration::parse(text)
    }
}

impl<T: Value<Kind>, Kind> Value<List<Kind>> for Vec<T> {
    fn form() -> Form {
        let item = T::form();
        let type_name = Cow::Owned(format!("list of {}", item.type_name));
        Form { type_name, list: true, optional: false, ..item }
    }

    fn parse(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Ok(Self::new());
        }
        let item = |(index, item): (usize, &str)| {
            if item.is_empty() {
                return Err(format!("item {} is empty", index + 1));
            }
            T::parse(item).map_err(|problem| format!("item {} {problem}", index + 1))
        };
        items(text).enumerate().map(item).collect()
    }
}

impl<T: Value<Kind>, Kind> Value<Maybe<Kind>> for Option<T> {
    fn form() -> Form {
        Form { optional: true, ..T::form() }
    }

    fn parse(text: &str) -> Result<Self, String> {
        T::parse(text).map(Some)
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

impl<T: Value<Kind>, Kind> Value<Hidden<Kind>> for Secret<T> {
    fn form() -> Form {
        Form { secret: true, ..T::form() }
    }

    fn parse(text: &str) -> Result<Self, String> {
        T::parse(text).map(Self::new)
    }
}

/// The items of a list, without the white space around them.
pub(super) fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim)
}

/// What an operator may write for a `bool`, as what `bool` itself reads.
fn switch(text: &str) -> Result<&'static str, String> {
    let is_one_of = |words: [&str; 4]| words.iter().any(|word| word.eq_ignore_ascii_case(text));
    if is_one_of(["true", "on", "yes", "1"]) {
        Ok("true")
    } else if is_one_of(["false", "off", "no", "0"]) {
        Ok("false")
    } else {
        Err(String::from("is none of true, false, on, off, yes, no, 1, 0"))
    }
}

/// The type in an operator's words, with an example.
fn words_of<T: 'static>() -> (Cow<'static, str>, Cow<'static, str>) {
    words(TypeId::of::<T>(), type_name::<T>())
}

fn words(id: TypeId, full: &'static str) -> (Cow<'static, str>, Cow<'static, str>) {
    macro_rules! integers {
        ($($integer:ident)*) => {
            $(if id == TypeId::of::<$integer>() {
                let words = format!("whole number from {} to {}", $integer::MIN, $integer::MAX);
                return (words.into(), "1".into());
            }
            if id == TypeId::of::<std::num::NonZero<$integer>>() {
                let words = match $integer::MIN {
                    0 => format!("whole number from 1 to {}", $integer::MAX),
                    min => format!("whole number from {min} to {}, but not 0", $integer::MAX),
                };
                return (words.into(), "1".into());
            })*
        };
    }
    integers!(u8 u16 u32 u64 usize i8 i16 i32 i64 isize);
    let named = [
        (TypeId::of::<bool>(), "true or false", "true"),
        (TypeId::of::<String>(), "text", "text"),
        (TypeId::of::<Url>(), "URL", "https://example.com"),
        (TypeId::of::<ByteSize>(), "size", "2MiB"),
        (TypeId::of::<PathBuf>(), "path", "/var/lib/app"),
        (TypeId::of::<IpAddr>(), "IP address", "127.0.0.1"),
        (TypeId::of::<Ipv4Addr>(), "IPv4 address", "127.0.0.1"),
        (TypeId::of::<Ipv6Addr>(), "IPv6 address", "::1"),
        (TypeId::of::<SocketAddr>(), "IP address and port", "127.0.0.1:8000"),
        (TypeId::of::<f32>(), "number", "1.5"),
        (TypeId::of::<f64>(), "number", "1.5"),
        (TypeId::of::<char>(), "single character", "x"),
    ];
    if let Some((_, words, example)) = named.into_iter().find(|(known, ..)| *known == id) {
        return (words.into(), example.into());
    }
    let plain = full.split('<').next().unwrap_or(full);
    let name = plain.rsplit("::").next().unwrap_or(plain);
    (name.into(), format!("<{name}>").into())
}
