//! Mistakes with `#[controller]`, and what the compiler says of each.

#[test]
fn mistakes_are_told_in_the_users_own_words() {
    trybuild::TestCases::new().compile_fail("tests/ui/controller/*.rs");
}
