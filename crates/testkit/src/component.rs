//! Components that a test needs and that a machine may lack: programs, servers, rights, data.

/// Reports that a test, or a part of it, is skipped because a component is missing. If `CI` is `true` that is a failure: a test that never runs
/// protects nothing.
///
/// # Panics
/// Where the environment variable `CI` is `true`.
#[expect(clippy::print_stdout, reason = "a test that did not run says so")]
pub fn skip_without(component: &str) {
    let is_ci = std::env::var("CI").is_ok_and(|value| value == "true");
    assert!(!is_ci, "skipped although CI=true: {component}");
    println!("skipped: {component}");
}
