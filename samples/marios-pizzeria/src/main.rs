//! Mario's Pizzeria: its web and admin processes in one executable.

fn main() -> std::process::ExitCode {
    marios_pizzeria::app().run()
}
