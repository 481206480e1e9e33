//! What the compiler says about mistakes with the derive.

#[test]
fn mistakes_are_explained_by_the_compiler() {
    trybuild::TestCases::new().compile_fail("tests/ui/settings/*.rs");
}
