//! What the compiler says about mistakes with the container and with messages.

#[test]
fn mistakes_with_services_and_messages_are_explained_by_the_compiler() {
    trybuild::TestCases::new().compile_fail("tests/ui/inject/*.rs");
}

#[test]
fn what_is_above_the_core_has_no_name_in_it() {
    trybuild::TestCases::new().compile_fail("tests/ui/walls/*.rs");
}
