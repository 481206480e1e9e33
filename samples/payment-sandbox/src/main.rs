//! The payment sandbox: one process that answers merchants and tells them by webhooks.

fn main() -> std::process::ExitCode {
    payment_sandbox::app().run()
}
