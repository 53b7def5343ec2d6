//! A stack in the wrong order does not compile. Each failing file has a twin that passes and
//! differs in one line.

#[test]
fn wrong_order_does_not_compile_and_its_twin_does() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/*_pass.rs");
    cases.compile_fail("tests/ui/*_fail.rs");
}
