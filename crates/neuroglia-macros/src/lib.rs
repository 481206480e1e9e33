//! The three macros of Neuroglia: `Inject`, `Settings` and `controller`.
//!
//! They are re-exported, and meant to be read about, where they are used: `neuroglia::di::Inject`,
//! `neuroglia::settings::Settings` and `neuroglia::web::controller`. All three follow the same rules: an error
//! points at the user's token, all errors of one item are reported together, the user's item is emitted as it
//! was written, and expansions name only `::neuroglia::…` paths.

mod controller;
mod inject;
mod settings;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Lets the container build this struct from its fields.
///
/// Each field must itself be injectable: `Arc<T>`, `Arc<dyn Port>`, `Option<Arc<_>>`, `Vec<Arc<_>>`, `Clock`,
/// `Ids`, `Mediator`, `Repository<A>`, or another struct that derives `Inject`.
///
/// * `#[provides(dyn Port)]`, once for each port: the struct can be registered under that port.
/// * `#[inject(dispose)]`: the container calls the struct's `Dispose` when its scope, or the application, ends.
/// * `#[inject(default)]` on a field: the field is not injected, but set to its type's default.
///
/// # What it expands to
/// An implementation of `Inject` whose `dependencies` calls that of each field and whose `inject` builds each
/// field in order; and for each `#[provides(P)]` an implementation of `Provides<P>` that upcasts the `Arc`.
///
/// # Without the macro
/// ```ignore
/// impl Inject for Page {
///     fn dependencies(needs: &mut Dependencies) { <Arc<dyn Greeter>>::dependencies(needs); }
///     fn inject(scope: &Scope) -> Result<Self> { Ok(Self { greeter: Inject::inject(scope)? }) }
/// }
/// ```
#[proc_macro_derive(Inject, attributes(inject, provides))]
pub fn derive_inject(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    inject::expand(&input).into()
}

/// Makes the actions of an `impl` block answer requests.
///
/// `#[controller("/orders")]` gives the path that all actions begin with. An action is an `async fn` that takes
/// `&self` and extractors and returns a `Reply` or a `Result` of one; above it stands its method, its path and
/// who may call it, for example `#[get("/{id}", authenticated)]`. The verbs are `get`, `post`, `put`, `patch`
/// and `delete`; who may call it is `public`, `authenticated`, `roles("chef", "manager")` or
/// `policy = EXPRESSION`, and an action that does not say does not compile. The doc comment becomes the
/// operation's summary and description.
///
/// # What it expands to
/// The block as it was written, and an implementation of `Controller` whose `routes` has for each action a
/// `Route`: it enters the context with the policy, builds the controller, calls `from_request_parts` of each
/// parameter's type and `from_request` of the last one's, then the action, then `Reply::reply`. Its `declare` enters
/// each `T` of a parameter `Injected<T>` into the check at boot.
///
/// # Without the macro
/// A plain axum handler with `Injected<Mediator>`, added by `Web::plain`.
#[proc_macro_attribute]
pub fn controller(prefix: TokenStream, item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as syn::ItemImpl);
    controller::expand(prefix.into(), item).into()
}

/// Fills this struct from variables: the name of a field is the name of a variable, its type is the parser, its doc
/// comment is the operator's help.
///
/// A field is any type with `FromStr`, a `Duration`, a `ByteSize`, or an `Option`, a `Vec` or a `Secret` of one.
///
/// | on a field | meaning |
/// |---|---|
/// | `#[setting(default = "8000")]` | what counts when the variable is not set; without it, the variable is required |
/// | `#[setting(alias = "SERVER_PORT")]` | another name, in full; may stand several times |
/// | `#[setting(example = "9000")]` | a value for reports and templates |
/// | `#[setting(min_bytes = 32)]` | the fewest bytes of the value |
/// | `#[setting(check = path)]` | `fn(&FieldType) -> Result<(), impl Display>` judges the value |
/// | `#[setting(section)]` | the field is a struct of settings whose variables begin with the field's name |
/// | `#[setting(section, flatten)]` | the same without the prefix |
/// | `#[setting(section, defaults(page_size = "50"))]` | what counts for these fields of the section when they are not set |
///
/// On the struct, `#[setting(check = path)]` names a `fn(&Self, &mut Problems)` that judges the fields together; it
/// runs when all of them could be loaded. A section of type `Option<_>` is there when any of its variables is set.
///
/// # What it expands to
/// An implementation of `neuroglia::settings::Settings`. Its `load` asks the loader for each field in order, so that
/// every fault is found, and then puts the struct together.
///
/// # Without the macro
/// ```ignore
/// impl Settings for ServerSettings {
///     fn load(loader: &mut Loader) -> Option<Self> {
///         let port = loader.value(Variable::new("PORT").default("8000").help("The port the HTTP server binds."));
///         let payment = loader.section("PAYMENT");
///         Some(Self { port: port?, payment: payment? })
///     }
/// }
/// ```
#[proc_macro_derive(Settings, attributes(setting))]
pub fn derive_settings(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    settings::expand(&input).into()
}
