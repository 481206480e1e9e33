//! A value that can be used but not shown.

use std::any::Any;

use zeroize::Zeroize;

/// A value that never reaches a log: it has no `Debug`, no `Display` and no `Serialize`.
///
/// A struct that holds one cannot derive `Debug` either; that is meant. The only way in is [`expose`], which a
/// reviewer can search for. The memory of a `Secret<String>` or `Secret<Vec<u8>>` is overwritten when it is dropped.
///
/// [`expose`]: Self::expose
///
/// ```
/// use neuroglia_core::settings::Secret;
///
/// let key = Secret::new(String::from("4mJ0…"));
/// assert_eq!(key.expose(), "4mJ0…");
/// ```
#[derive(Clone)]
pub struct Secret<T: 'static>(T);

impl<T> Secret<T> {
    /// Hides a value.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value, for the one place that needs it.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> From<T> for Secret<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T: 'static> Drop for Secret<T> {
    fn drop(&mut self) {
        let value: &mut dyn Any = &mut self.0;
        if let Some(text) = value.downcast_mut::<String>() {
            text.zeroize();
        } else if let Some(bytes) = value.downcast_mut::<Vec<u8>>() {
            bytes.zeroize();
        }
    }
}
