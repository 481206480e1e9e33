//! `#[derive(Settings)]`.
//!
//! All mistakes of a struct are reported together. Beside them an implementation that loads nothing is emitted, so
//! that the places that use the struct do not add errors of their own.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{
    AngleBracketedGenericArguments, Attribute, Data, DeriveInput, Error, Expr, ExprLit, Field, Fields,
    GenericArgument, Lit, LitInt, LitStr, Meta, Path, PathArguments, Result, Token, Type,
};

const FIELD_KEYS: &str =
    "`default`, `alias`, `example`, `min_bytes`, `check`, `section`, `flatten` and `defaults`";

pub(crate) fn expand(input: &DeriveInput) -> TokenStream {
    let mut errors = Vec::new();
    let check = struct_check(&input.attrs, &mut errors);
    let parts: Vec<Part<'_>> = fields(input, &mut errors)
        .into_iter()
        .enumerate()
        .map(|(index, field)| Part::of(index, field, &mut errors))
        .collect();

    let name = &input.ident;
    let (impl_generics, type_generics, where_clause) = input.generics.split_for_impl();
    // A name that no field of the user's can have, as it is only known here.
    let loader = Ident::new("loader", Span::mixed_site());
    let body = if errors.is_empty() {
        body(&loader, &parts, check.as_ref())
    } else {
        quote!(::core::option::Option::None)
    };
    let errors = errors.iter().map(Error::to_compile_error);
    quote! {
        #(#errors)*

        #[automatically_derived]
        impl #impl_generics ::neuroglia::settings::Settings for #name #type_generics #where_clause {
            fn load(#loader: &mut ::neuroglia::settings::Loader) -> ::core::option::Option<Self> {
                let _ = &#loader;
                #body
            }
        }
    }
}

fn body(loader: &Ident, parts: &[Part<'_>], check: Option<&Path>) -> TokenStream {
    let steps = parts.iter().map(|part| part.load(loader));
    let fields = parts.iter().map(|part| {
        let (field, value) = (&part.field.ident, part.binding());
        quote!(#field: #value?)
    });
    let whole = quote!(Self { #(#fields),* });
    let result = match check {
        Some(check) => quote_spanned!(check.span()=> #loader.checked_all(#whole, #check)),
        None => quote!(::core::option::Option::Some(#whole)),
    };
    quote! {
        #(#steps)*
        #result
    }
}

fn fields<'a>(input: &'a DeriveInput, errors: &mut Vec<Error>) -> Vec<&'a Field> {
    let span = match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => return fields.named.iter().collect(),
            Fields::Unit => return Vec::new(),
            Fields::Unnamed(fields) => fields.span(),
        },
        Data::Enum(data) => data.enum_token.span,
        Data::Union(data) => data.union_token.span,
    };
    errors.push(Error::new(
        span,
        "settings are a struct with named fields, as their names are those of the variables: \
         `struct ServerSettings { port: u16 }`",
    ));
    Vec::new()
}

/// One field with what its attributes say.
struct Part<'a> {
    field: &'a Field,
    index: usize,
    default: Option<LitStr>,
    aliases: Vec<LitStr>,
    example: Option<LitStr>,
    min_bytes: Option<LitInt>,
    check: Option<Path>,
    section: Option<Span>,
    flatten: Option<Span>,
    defaults: Vec<(Ident, LitStr)>,
}

impl<'a> Part<'a> {
    fn of(index: usize, field: &'a Field, errors: &mut Vec<Error>) -> Self {
        let mut part = Self {
            field,
            index,
            default: None,
            aliases: Vec::new(),
            example: None,
            min_bytes: None,
            check: None,
            section: None,
            flatten: None,
            defaults: Vec::new(),
        };
        for key in keys(&field.attrs, errors) {
            errors.extend(part.read(&key).err());
        }
        part.judge(errors);
        part
    }

    fn read(&mut self, key: &Meta) -> Result<()> {
        let Some(name) = key.path().get_ident().map(Ident::to_string) else {
            return Err(unknown(key.path()));
        };
        match name.as_str() {
            "default" => once(&mut self.default, key, text(key, "default = \"8000\"")?),
            "alias" => {
                let alias = text(key, "alias = \"SERVER_PORT\"")?;
                let is_name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
                if alias.value().is_empty() || !alias.value().chars().all(is_name) {
                    return Err(Error::new(
                        alias.span(),
                        "a variable's name is made of `A`–`Z`, `0`–`9` and `_`, such as `SERVER_PORT`",
                    ));
                }
                self.aliases.push(alias);
                Ok(())
            }
            "example" => once(&mut self.example, key, text(key, "example = \"9000\"")?),
            "min_bytes" => match value(key) {
                Some(Expr::Lit(ExprLit { lit: Lit::Int(bytes), .. })) => {
                    bytes.base10_parse::<usize>()?;
                    once(&mut self.min_bytes, key, bytes.clone())
                }
                _ => Err(malformed(key, "min_bytes = 32")),
            },
            "check" => once(&mut self.check, key, function(key)?),
            "section" => once(&mut self.section, key, flag(key, "section")?),
            "flatten" => once(&mut self.flatten, key, flag(key, "section, flatten")?),
            "defaults" => self.read_defaults(key),
            _ => Err(unknown(key.path())),
        }
    }

    /// Reads the defaults for the fields of a section; one that is wrong does not hide the next.
    fn read_defaults(&mut self, key: &Meta) -> Result<()> {
        let form = "section, defaults(page_size = \"50\")";
        let Meta::List(list) = key else {
            return Err(malformed(key, form));
        };
        let defaults = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)?;
        let mut outcome = if defaults.is_empty() { Err(malformed(key, form)) } else { Ok(()) };
        for error in defaults.iter().filter_map(|default| self.read_default(default, form).err()) {
            match &mut outcome {
                Ok(()) => outcome = Err(error),
                Err(errors) => errors.combine(error),
            }
        }
        outcome
    }

    fn read_default(&mut self, default: &Meta, form: &str) -> Result<()> {
        let Some(field) = default.path().get_ident() else {
            return Err(malformed(default, form));
        };
        if self.defaults.iter().any(|(known, _)| known == field) {
            return Err(Error::new(field.span(), "this field has a default already; it can have one"));
        }
        self.defaults.push((field.clone(), text(default, form)?));
        Ok(())
    }

    /// Finds keys that do not go together, or not with the field's type.
    fn judge(&mut self, errors: &mut Vec<Error>) {
        if let (None, Some(flatten)) = (self.section, self.flatten) {
            errors
                .push(Error::new(flatten, "only a section can be flattened: `#[setting(section, flatten)]`"));
        }
        if let (None, Some((field, _))) = (self.section, self.defaults.first()) {
            errors.push(Error::new(
                field.span(),
                "only a section has fields to give defaults; the default of a value is `default = \"…\"`",
            ));
        }
        if self.section.is_some() {
            let foreign = [
                self.default.as_ref().map(Spanned::span),
                self.aliases.first().map(Spanned::span),
                self.example.as_ref().map(Spanned::span),
                self.min_bytes.as_ref().map(Spanned::span),
                self.check.as_ref().map(Spanned::span),
            ];
            for span in foreign.into_iter().flatten() {
                errors.push(Error::new(
                    span,
                    "a section has no value of its own: write this inside the section's struct",
                ));
            }
            return;
        }
        if let Some(default) = &self.default {
            if let Some(outer) = outermost(&self.field.ty).filter(|outer| *outer == "Option") {
                errors.push(Error::new(
                    default.span(),
                    format!("a setting with a default is never absent: remove the default, or the `{outer}` around the type"),
                ));
            }
            if mentions_secret(&self.field.ty) {
                errors.push(Error::new(
                    default.span(),
                    "a secret has no default: whoever reads the program reads it",
                ));
            }
        }
    }

    /// Where the field's value is kept until all are loaded.
    fn binding(&self) -> Ident {
        format_ident!("field_{}", self.index, span = Span::mixed_site())
    }

    fn variable_name(&self) -> String {
        self.field.ident.as_ref().map(variable_name).unwrap_or_default()
    }

    fn load(&self, loader: &Ident) -> TokenStream {
        let (ty, name, binding) = (&self.field.ty, self.variable_name(), self.binding());
        if self.section.is_some() {
            let prefix = if self.flatten.is_some() { String::new() } else { format!("{name}_") };
            let section = if self.flatten.is_some() {
                quote_spanned!(ty.span()=> #loader.load::<#ty>())
            } else {
                quote_spanned!(ty.span()=> #loader.section::<#ty>(#name))
            };
            if self.defaults.is_empty() {
                return quote!(let #binding = #section;);
            }
            let names = self.defaults.iter().map(|(field, _)| format!("{prefix}{}", variable_name(field)));
            let texts = self.defaults.iter().map(|(_, text)| text);
            return quote! {
                let #binding = #loader.with_defaults(&[#((#names, #texts)),*], |#loader| #section);
            };
        }
        let aliases = &self.aliases;
        let default = self.default.iter();
        let example = self.example.iter();
        let min_bytes = self.min_bytes.iter();
        let help = Some(doc(&self.field.attrs)).filter(|help| !help.is_empty()).into_iter();
        let variable = quote! {
            ::neuroglia::settings::Variable::new(#name)
                #(.alias(#aliases))*
                #(.default(#default))*
                #(.example(#example))*
                #(.min_bytes(#min_bytes))*
                #(.help(#help))*
        };
        let value = quote_spanned!(ty.span()=> let #binding = #loader.value::<#ty, _>(#variable););
        let check = self.check.iter().map(
            |check| quote_spanned!(check.span()=> let #binding = #loader.checked(#name, #binding, #check);),
        );
        quote!(#value #(#check)*)
    }
}

fn struct_check(attributes: &[Attribute], errors: &mut Vec<Error>) -> Option<Path> {
    let mut check = None;
    for key in keys(attributes, errors) {
        let read = if key.path().is_ident("check") {
            function(&key).and_then(|path| once(&mut check, &key, path))
        } else {
            Err(Error::new(
                key.path().span(),
                "unknown key; on the struct stands only `#[setting(check = path)]`",
            ))
        };
        errors.extend(read.err());
    }
    check
}

/// What stands in all `#[setting(…)]`, key by key, so that one that is wrong does not hide the next.
fn keys(attributes: &[Attribute], errors: &mut Vec<Error>) -> Vec<Meta> {
    let mut keys = Vec::new();
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("setting")) {
        match attribute.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated) {
            Ok(parsed) => keys.extend(parsed),
            Err(error) => errors.push(error),
        }
    }
    keys
}

fn once<T>(slot: &mut Option<T>, key: &Meta, value: T) -> Result<()> {
    if slot.is_some() {
        return Err(Error::new(key.span(), "this key stands twice; it can have one value"));
    }
    *slot = Some(value);
    Ok(())
}

fn value(key: &Meta) -> Option<&Expr> {
    match key {
        Meta::NameValue(pair) => Some(&pair.value),
        Meta::Path(_) | Meta::List(_) => None,
    }
}

fn text(key: &Meta, form: &str) -> Result<LitStr> {
    match value(key) {
        Some(Expr::Lit(ExprLit { lit: Lit::Str(text), .. })) => Ok(text.clone()),
        Some(other) => Err(Error::new(
            other.span(),
            format!("expected a text, as an operator would write it: `#[setting({form})]`"),
        )),
        None => Err(malformed(key, form)),
    }
}

fn function(key: &Meta) -> Result<Path> {
    match value(key) {
        Some(Expr::Path(path)) => Ok(path.path.clone()),
        _ => Err(malformed(key, "check = path::of::a_function")),
    }
}

fn flag(key: &Meta, form: &str) -> Result<Span> {
    match key {
        Meta::Path(path) => Ok(path.span()),
        Meta::NameValue(_) | Meta::List(_) => Err(malformed(key, form)),
    }
}

fn malformed(key: &Meta, form: &str) -> Error {
    Error::new(key.span(), format!("expected `#[setting({form})]`"))
}

fn unknown(path: &Path) -> Error {
    Error::new(path.span(), format!("unknown key; expected one of {FIELD_KEYS}"))
}

/// The name of a field's variable, without prefixes.
fn variable_name(field: &Ident) -> String {
    field.unraw().to_string().to_uppercase()
}

/// The name of a type without its path and its arguments.
fn outermost(ty: &Type) -> Option<&Ident> {
    match ty {
        Type::Path(path) => path.path.segments.last().map(|segment| &segment.ident),
        _ => None,
    }
}

/// Whether a type, or one of its arguments, is called `Secret`. One behind another name is found at boot.
fn mentions_secret(ty: &Type) -> bool {
    let Type::Path(path) = ty else {
        return false;
    };
    path.path.segments.iter().any(|segment| {
        let in_arguments = |arguments: &AngleBracketedGenericArguments| {
            arguments.args.iter().any(|one| matches!(one, GenericArgument::Type(inner) if mentions_secret(inner)))
        };
        segment.ident == "Secret"
            || matches!(&segment.arguments, PathArguments::AngleBracketed(arguments) if in_arguments(arguments))
    })
}

/// The doc comment as it was written, without the space that follows each `///`.
fn doc(attributes: &[Attribute]) -> String {
    let mut lines: Vec<String> = Vec::new();
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("doc")) {
        let Meta::NameValue(pair) = &attribute.meta else {
            continue;
        };
        if let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = &pair.value {
            let text = text.value();
            lines.extend(
                text.lines().map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end().to_owned()),
            );
            if text.is_empty() {
                lines.push(String::new());
            }
        }
    }
    lines.join("\n").trim_matches('\n').to_owned()
}
