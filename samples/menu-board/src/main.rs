//! The menu board: one process that answers HTTP.

fn main() -> std::process::ExitCode {
    menu_board::app().run()
}
