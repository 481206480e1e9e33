//! `#[derive(Inject)]`.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, Field, Fields, Type};

pub(crate) fn expand(input: &DeriveInput) -> TokenStream {
    let mut errors = Vec::new();
    let dispose = struct_options(input, &mut errors);
    let ports = ports(input, &mut errors);
    let fields: Vec<&Field> = match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => fields.named.iter().collect(),
            Fields::Unit => Vec::new(),
            Fields::Unnamed(fields) => {
                errors.push(Error::new_spanned(
                    fields,
                    "`Inject` needs named fields: write `struct Handler { orders: Arc<dyn Orders> }`",
                ));
                Vec::new()
            }
        },
        Data::Enum(data) => {
            errors.push(Error::new(data.enum_token.span, "`Inject` can be derived for structs only"));
            Vec::new()
        }
        Data::Union(data) => {
            errors.push(Error::new(data.union_token.span, "`Inject` can be derived for structs only"));
            Vec::new()
        }
    };

    let mut needs = Vec::new();
    let mut inits = Vec::new();
    for field in fields {
        let (name, ty) = (&field.ident, &field.ty);
        if let Type::Reference(reference) = ty {
            errors.push(Error::new_spanned(
                reference,
                "the container hands over owned handles: write `Arc<T>` instead of a reference",
            ));
            continue;
        }
        let mistakes = errors.len();
        let takes_default = takes_default(field, &mut errors);
        if takes_default {
            inits.push(quote_spanned!(ty.span()=> #name: <#ty as ::core::default::Default>::default()));
        }
        if takes_default || errors.len() > mistakes {
            continue;
        }
        // The place is the type's; `needs` and `scope` are ours also when the type comes out of another macro.
        let span = Span::call_site().located_at(ty.span());
        needs.push(quote_spanned!(span=> <#ty as ::neuroglia::di::Inject>::dependencies(needs);));
        inits.push(quote_spanned!(span=> #name: <#ty as ::neuroglia::di::Inject>::inject(scope)?));
    }

    let name = &input.ident;
    let (impl_generics, type_generics, where_clause) = input.generics.split_for_impl();
    let built = if errors.is_empty() {
        quote!(::core::result::Result::Ok(Self { #(#inits),* }))
    } else {
        // The mistakes are reported where they are; whoever uses the struct should not hear of them too.
        quote!(::core::unreachable!())
    };
    let errors = errors.iter().map(Error::to_compile_error);
    let disposer = dispose.then(|| {
        quote_spanned! {name.span()=>
            fn disposer() -> ::core::option::Option<::neuroglia::di::Disposer<Self>> {
                ::core::option::Option::Some(|instance| ::std::boxed::Box::pin(async move {
                    ::neuroglia::di::Dispose::dispose(&*instance).await
                }))
            }
        }
    });
    let provides = ports.iter().map(|port| {
        quote_spanned! {port.span()=>
            impl #impl_generics ::neuroglia::di::Provides<#port> for #name #type_generics #where_clause {
                fn provide(self: ::std::sync::Arc<Self>) -> ::std::sync::Arc<#port> {
                    self
                }
            }
        }
    });
    quote! {
        #(#errors)*

        impl #impl_generics ::neuroglia::di::Inject for #name #type_generics #where_clause {
            fn dependencies(needs: &mut ::neuroglia::di::Dependencies) {
                let _ = &needs;
                #(#needs)*
            }

            fn inject(scope: &::neuroglia::di::Scope) -> ::neuroglia::error::Result<Self> {
                let _ = scope;
                #built
            }

            #disposer
        }

        #(#provides)*
    }
}

fn struct_options(input: &DeriveInput, errors: &mut Vec<Error>) -> bool {
    let mut dispose = false;
    for attribute in input.attrs.iter().filter(|attribute| attribute.path().is_ident("inject")) {
        let parsed = attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("dispose") {
                dispose = true;
                Ok(())
            } else {
                Err(meta.error("expected `dispose`: `#[inject(dispose)]`"))
            }
        });
        errors.extend(parsed.err());
    }
    dispose
}

fn ports(input: &DeriveInput, errors: &mut Vec<Error>) -> Vec<Type> {
    let mut ports = Vec::new();
    for attribute in input.attrs.iter().filter(|attribute| attribute.path().is_ident("provides")) {
        match attribute.parse_args::<Type>() {
            Ok(port) => ports.push(port),
            Err(_) => errors
                .push(Error::new(attribute.span(), "expected a port: `#[provides(dyn OrderRepository)]`")),
        }
    }
    ports
}

fn takes_default(field: &Field, errors: &mut Vec<Error>) -> bool {
    let mut default = false;
    for attribute in &field.attrs {
        if attribute.path().is_ident("provides") {
            errors.push(Error::new_spanned(attribute, "`#[provides(…)]` belongs on the struct"));
        }
        if attribute.path().is_ident("inject") {
            let parsed = attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("default") {
                    default = true;
                    Ok(())
                } else {
                    Err(meta.error("expected `default`: `#[inject(default)]` on a field"))
                }
            });
            errors.extend(parsed.err());
        }
    }
    default
}
