//! Mario's Pizzeria: all of its processes in one executable.

fn main() -> std::process::ExitCode {
    marios_pizzeria::app().run()
}
