//! `#[controller]`.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{
    Attribute, Error, Expr, ExprLit, FnArg, GenericArgument, ImplItem, ImplItemFn, ItemImpl, Lit, LitStr,
    Meta, PatType, PathArguments, Result, ReturnType, Token, Type,
};

const VERBS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

const WHO: &str =
    "say who may call it: `public`, `authenticated`, `roles(\"chef\", \"manager\")` or `policy = EXPRESSION`";

pub(crate) fn expand(prefix: TokenStream, mut item: ItemImpl) -> TokenStream {
    let mut errors: Vec<Error> = Vec::new();
    let prefix = match syn::parse2::<LitStr>(prefix) {
        Ok(prefix) => prefix,
        Err(_) => {
            errors.push(Error::new(
                Span::call_site(),
                "expected the path of the controller: `#[controller(\"/orders\")]`",
            ));
            LitStr::new("", Span::call_site())
        }
    };
    if let Some((_, path, _)) = &item.trait_ {
        errors.push(Error::new(path.span(), "`#[controller]` belongs on an inherent `impl` block"));
    }
    let controller = item.self_ty.clone();
    let (mut routes, mut injected) = (Vec::new(), Vec::new());
    for member in &mut item.items {
        let ImplItem::Fn(action) = member else { continue };
        let verbs = take_verbs(&mut action.attrs);
        if !verbs.is_empty() {
            injected.extend(action.sig.inputs.iter().filter_map(injected_type).cloned());
        }
        for (verb, attribute) in verbs {
            match route(&controller, &prefix, &verb, &attribute, action) {
                Ok(route) => routes.push(route),
                Err(error) => errors.push(error),
            }
        }
    }
    // The user's block is emitted whatever was wrong, so that its other errors are its own.
    let errors = errors.iter().map(Error::to_compile_error);
    let entries = injected.iter().map(|ty| quote_spanned!(ty.span()=> services.enter::<#ty>();));
    let declare = (!injected.is_empty()).then(|| {
        quote! {
            fn declare(services: &mut ::neuroglia::di::ServiceCollection) {
                #(#entries)*
            }
        }
    });
    quote! {
        #item

        impl ::neuroglia::web::Controller for #controller {
            fn routes() -> ::std::vec::Vec<::neuroglia::web::Route> {
                ::std::vec![#(#routes),*]
            }

            #declare
        }

        #(#errors)*
    }
}

fn take_verbs(attributes: &mut Vec<Attribute>) -> Vec<(String, Attribute)> {
    let mut verbs = Vec::new();
    attributes.retain(|attribute| {
        let verb = attribute.path().get_ident().map(ToString::to_string);
        match verb.filter(|verb| VERBS.contains(&verb.as_str())) {
            Some(verb) => {
                verbs.push((verb, attribute.clone()));
                false
            }
            None => true,
        }
    });
    verbs
}

/// The `T` of a parameter `Injected<T>`.
fn injected_type(parameter: &FnArg) -> Option<&Type> {
    let FnArg::Typed(PatType { ty, .. }) = parameter else { return None };
    let Type::Path(path) = &**ty else { return None };
    let segment = path.path.segments.last().filter(|segment| segment.ident == "Injected")?;
    match &segment.arguments {
        PathArguments::AngleBracketed(arguments) => match arguments.args.first()? {
            GenericArgument::Type(ty) => Some(ty),
            _ => None,
        },
        _ => None,
    }
}

/// What stands in `#[get("/{id}", authenticated)]`.
struct Declaration {
    path: LitStr,
    policy: TokenStream,
}

impl Parse for Declaration {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let path: LitStr = input.parse().map_err(|error| {
            Error::new(error.span(), "expected the path of the action: `#[get(\"/{id}\", authenticated)]`")
        })?;
        if input.is_empty() {
            return Err(Error::new(path.span(), WHO));
        }
        input.parse::<Token![,]>()?;
        if input.is_empty() {
            return Err(Error::new(path.span(), WHO));
        }
        let meta: Meta = input.parse().map_err(|error| Error::new(error.span(), WHO))?;
        let policy = policy(&meta)?;
        input.parse::<Option<Token![,]>>()?;
        if !input.is_empty() {
            return Err(input.error("nothing comes after the policy"));
        }
        Ok(Self { path, policy })
    }
}

fn policy(meta: &Meta) -> Result<TokenStream> {
    let span = meta.span();
    match meta {
        Meta::Path(path) if path.is_ident("public") => {
            Ok(quote_spanned!(span=> ::neuroglia::web::Policy::Public))
        }
        Meta::Path(path) if path.is_ident("authenticated") => {
            Ok(quote_spanned!(span=> ::neuroglia::web::Policy::Authenticated))
        }
        Meta::List(list) if list.path.is_ident("roles") => {
            let roles = list.parse_args_with(Punctuated::<Expr, Token![,]>::parse_terminated)?;
            if roles.is_empty() {
                return Err(Error::new(span, "name at least one role: `roles(\"chef\", \"manager\")`"));
            }
            Ok(quote_spanned!(span=> ::neuroglia::web::Policy::roles([#roles])))
        }
        Meta::NameValue(pair) if pair.path.is_ident("policy") => {
            let value = &pair.value;
            Ok(quote_spanned!(value.span()=> #value))
        }
        _ => Err(Error::new(span, WHO)),
    }
}

fn route(
    controller: &Type,
    prefix: &LitStr,
    verb: &str,
    attribute: &Attribute,
    action: &ImplItemFn,
) -> Result<TokenStream> {
    let Declaration { path, policy } = match &attribute.meta {
        Meta::List(_) => attribute.parse_args()?,
        _ => return Err(Error::new(attribute.span(), format!("expected `#[{verb}(\"/path\", public)]`"))),
    };
    let signature = &action.sig;
    if signature.asyncness.is_none() {
        return Err(Error::new(signature.fn_token.span(), "an action is an `async fn`"));
    }
    let mut inputs = signature.inputs.iter();
    match inputs.next() {
        Some(FnArg::Receiver(receiver)) if receiver.reference.is_some() && receiver.mutability.is_none() => {}
        Some(other) => return Err(Error::new(other.span(), "the first parameter of an action is `&self`")),
        None => {
            return Err(Error::new(
                signature.paren_token.span.join(),
                "the first parameter of an action is `&self`",
            ));
        }
    }
    let parameters: Vec<&PatType> = inputs
        .filter_map(|input| match input {
            FnArg::Typed(parameter) => Some(parameter),
            FnArg::Receiver(_) => None,
        })
        .collect();

    let name = &signature.ident;
    let method = format_ident!("{}", verb.to_uppercase());
    let full_path = join(&prefix.value(), &path.value());
    let action_name = format!("{}::{name}", last_segment(controller));
    let docs = docs(&action.attrs);
    let returned = match &signature.output {
        ReturnType::Default => quote!(()),
        ReturnType::Type(_, ty) => quote!(#ty),
    };
    let describe = parameters.iter().map(|parameter| &*parameter.ty).map(|ty| {
        quote_spanned!(ty.span()=> (&::neuroglia::web::openapi::Probe::<#ty>::new()).describe_parameter(operation);)
    });
    let returned_span = signature.output.span();
    let describe_returned = quote_spanned!(returned_span=> (&::neuroglia::web::openapi::Probe::<#returned>::new()).describe_reply(operation););

    let bindings: Vec<_> = (0..parameters.len()).map(|index| format_ident!("parameter_{index}")).collect();
    let last = parameters.len().saturating_sub(1);
    let extract = parameters.iter().zip(&bindings).enumerate().map(|(index, (parameter, binding))| {
        let ty = &parameter.ty;
        let extracted = if index == last {
            quote_spanned! {ty.span()=>
                <#ty as ::neuroglia::web::axum::extract::FromRequest<(), _>>::from_request(
                    ::neuroglia::web::http::Request::from_parts(*parts, body), &()
                ).await
            }
        } else {
            quote_spanned! {ty.span()=>
                <#ty as ::neuroglia::web::axum::extract::FromRequestParts<()>>::from_request_parts(
                    &mut parts, &()
                ).await
            }
        };
        quote! {
            let #binding = match #extracted {
                ::core::result::Result::Ok(value) => value,
                ::core::result::Result::Err(rejection) => {
                    return ::neuroglia::web::axum::response::IntoResponse::into_response(rejection);
                }
            };
        }
    });
    let unused = parameters.is_empty().then(|| quote!(let _ = (parts, body);));
    let mutable = (parameters.len() > 1).then(|| quote!(let mut parts = parts;));
    let reply = quote_spanned!(returned_span=> ::neuroglia::web::Reply::reply(reply));

    Ok(quote! {
        ::neuroglia::web::Route::new(
            ::neuroglia::web::http::Method::#method,
            #full_path,
            #action_name,
            #policy,
            |operation| {
                // A glob, because which of the two traits in it is used depends on the types.
                use ::neuroglia::web::openapi::probe::methods::*;
                operation.documented(#docs);
                #(#describe)*
                #describe_returned
            },
            |scope, parts, body| async move {
                let controller = match <#controller as ::neuroglia::di::Inject>::inject(&scope) {
                    ::core::result::Result::Ok(controller) => controller,
                    ::core::result::Result::Err(error) => {
                        return ::neuroglia::web::axum::response::IntoResponse::into_response(
                            ::neuroglia::web::Problem::from(error)
                        );
                    }
                };
                #unused
                #mutable
                #(#extract)*
                let reply = <#controller>::#name(&controller, #(#bindings),*).await;
                #reply
            },
        )
    })
}

/// The prefix and the action's path as one; `/` as the action's path is the prefix itself.
fn join(prefix: &str, path: &str) -> String {
    let joined = format!("{}{}", prefix.trim_end_matches('/'), path);
    match joined.trim_end_matches('/') {
        "" => "/".to_owned(),
        trimmed => trimmed.to_owned(),
    }
}

fn last_segment(ty: &Type) -> String {
    match ty {
        Type::Path(path) => {
            path.path.segments.last().map(|segment| segment.ident.to_string()).unwrap_or_default()
        }
        other => quote!(#other).to_string(),
    }
}

/// The doc comment: the operation's summary and description.
fn docs(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value().trim().to_owned()),
            _ => None,
        },
        _ => None,
    });
    lines.collect::<Vec<_>>().join("\n")
}
