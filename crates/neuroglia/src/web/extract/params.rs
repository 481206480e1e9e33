//! A path's parameters as a source of values: [`serde`] asks for one, for some in their order, or for them by name.

use std::borrow::Cow;
use std::fmt;

use percent_encoding::percent_decode_str;
use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{self, Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;
use smallvec::SmallVec;

use crate::web::routing::Matched;

/// Why parameters do not become a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unfit {
    /// A parameter is not of the value's form.
    Value,
    /// A parameter is not UTF-8 when it is decoded.
    NotUtf8,
    /// The action asks for something that no path has.
    Action(String),
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Value => "a parameter of the path has another form",
            Self::NotUtf8 => "a parameter of the path is not UTF-8",
            Self::Action(what) => what,
        })
    }
}

impl std::error::Error for Unfit {}

impl de::Error for Unfit {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self::Value
    }
}

/// The parameters of a request's path, decoded.
pub(super) struct Params<'a> {
    names: &'a [String],
    values: SmallVec<[Param<'a>; 2]>,
}

impl<'a> Params<'a> {
    /// Those of the path in which they were found.
    pub(super) fn of(matched: &'a Matched, path: &'a str) -> Result<Self, Unfit> {
        let decoded = |value| percent_decode_str(value).decode_utf8().map(Param).map_err(|_| Unfit::NotUtf8);
        let values = matched.values(path).map(decoded).collect::<Result<_, _>>()?;
        Ok(Self { names: matched.names(), values })
    }

    fn only(mut self) -> Result<Param<'a>, Unfit> {
        self.expect(1)?;
        self.values.pop().ok_or(Unfit::Value)
    }

    fn expect(&self, wanted: usize) -> Result<(), Unfit> {
        let found = self.values.len();
        if found == wanted {
            return Ok(());
        }
        Err(Unfit::Action(format!("the action takes {wanted} parameters from a path that has {found}")))
    }
}

macro_rules! of_the_only_one {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
            self.only()?.$method(visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for Params<'de> {
    type Error = Unfit;

    of_the_only_one! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 deserialize_f32
        deserialize_f64 deserialize_char deserialize_str deserialize_string deserialize_bytes
        deserialize_byte_buf deserialize_option deserialize_identifier deserialize_any
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        self.only()?.deserialize_enum(name, variants, visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        visitor.visit_seq(SeqDeserializer::new(self.values.into_iter()))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, count: usize, visitor: V) -> Result<V::Value, Unfit> {
        self.expect(count)?;
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        count: usize,
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        self.deserialize_tuple(count, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        let names = self.names.iter().map(String::as_str);
        visitor.visit_map(MapDeserializer::new(names.zip(self.values)))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        self.deserialize_map(visitor)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        visitor.visit_unit()
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        visitor.visit_unit()
    }
}

/// One parameter.
struct Param<'a>(Cow<'a, str>);

impl<'de> IntoDeserializer<'de, Unfit> for Param<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

macro_rules! parsed {
    ($($method:ident => $visit:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
            visitor.$visit(self.0.parse().map_err(|_| Unfit::Value)?)
        }
    )*};
}

impl<'de> Deserializer<'de> for Param<'de> {
    type Error = Unfit;

    parsed! {
        deserialize_bool => visit_bool
        deserialize_i8 => visit_i8
        deserialize_i16 => visit_i16
        deserialize_i32 => visit_i32
        deserialize_i64 => visit_i64
        deserialize_i128 => visit_i128
        deserialize_u8 => visit_u8
        deserialize_u16 => visit_u16
        deserialize_u32 => visit_u32
        deserialize_u64 => visit_u64
        deserialize_u128 => visit_u128
        deserialize_f32 => visit_f32
        deserialize_f64 => visit_f64
        deserialize_char => visit_char
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        match self.0 {
            Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
            Cow::Owned(text) => visitor.visit_string(text),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        visitor.visit_enum(self.0.into_deserializer())
    }

    fn deserialize_seq<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Unfit> {
        Err(Unfit::Action("one parameter of a path is one value".to_owned()))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Unfit> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unfit> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unfit> {
        self.deserialize_seq(visitor)
    }

    forward_to_deserialize_any! { str string bytes byte_buf unit unit_struct identifier ignored_any }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use serde::de::DeserializeOwned;

    use super::*;

    fn read<T: DeserializeOwned>(params: &[(&str, &'static str)]) -> Result<T, Unfit> {
        let names: Vec<String> = params.iter().map(|(name, _)| (*name).to_owned()).collect();
        let values = params.iter().map(|(_, value)| Param(Cow::Borrowed(*value))).collect();
        T::deserialize(Params { names: &names, values })
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Size {
        Small,
        Large,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Slug(String);

    #[derive(Debug, PartialEq, Deserialize)]
    struct Line {
        order: Option<u64>,
        line: Slug,
        size: Size,
    }

    #[test]
    fn one_parameter_is_a_value() {
        assert_eq!(read::<String>(&[("id", "margherita")]), Ok("margherita".to_owned()));
        assert_eq!(read::<Slug>(&[("id", "margherita")]), Ok(Slug("margherita".to_owned())));
        assert_eq!(read::<u8>(&[("id", "255")]), Ok(255));
        assert_eq!(read::<Size>(&[("id", "large")]), Ok(Size::Large));
        assert_eq!(read::<(char,)>(&[("id", "x")]), Ok(('x',)));
        assert_eq!(read::<Option<bool>>(&[("id", "true")]), Ok(Some(true)));
    }

    #[test]
    fn several_are_a_tuple_a_struct_or_a_map() {
        let three = [("order", "7"), ("line", "a"), ("size", "small")];
        assert_eq!(read::<(u32, String, Size)>(&three), Ok((7, "a".to_owned(), Size::Small)));
        let line = Line { order: Some(7), line: Slug("a".to_owned()), size: Size::Small };
        assert_eq!(read::<Line>(&three), Ok(line));
        assert_eq!(
            read::<BTreeMap<String, String>>(&three).map(|map| map["line"].clone()),
            Ok("a".to_owned())
        );
        assert_eq!(read::<Vec<String>>(&three).map(|all| all.len()), Ok(3));
    }

    #[test]
    fn another_form_leads_nowhere_and_another_number_is_the_actions_fault() {
        assert_eq!(read::<u8>(&[("id", "256")]), Err(Unfit::Value));
        assert_eq!(read::<Size>(&[("id", "huge")]), Err(Unfit::Value));
        assert_eq!(read::<Line>(&[("order", "7"), ("line", "a")]), Err(Unfit::Value));
        for (params, count) in [(&[][..], 0), (&[("a", "1"), ("b", "2")], 2)] {
            let Err(Unfit::Action(what)) = read::<u8>(params) else { panic!("{count} are not one") };
            assert!(what.contains(&count.to_string()), "{what}");
        }
        assert!(matches!(read::<(u8, u8)>(&[("a", "1")]), Err(Unfit::Action(_))));
        assert!(matches!(read::<(Vec<u8>,)>(&[("a", "1")]), Err(Unfit::Action(_))));
    }
}
