//! The payment sandbox as an executable that cargo builds beside the tests, which start it and kill it.

fn main() -> std::process::ExitCode {
    payment_sandbox::app().run()
}
