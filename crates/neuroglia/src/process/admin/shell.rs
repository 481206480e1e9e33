//! `admin shell`: admin commands line by line, in one process with its settings and its connections.
//!
//! Each line is a command as it would stand behind `admin`, read by the same parser and run in a scope of its own. At a
//! terminal, lines can be edited, called back and completed; history is kept in memory only, because a line may hold what
//! nobody should find later. From a pipe the shell is a script: it prompts for nothing, and ends with the code of
//! the last command that failed.

use std::io::{self, BufRead, IsTerminal, Write};

use clap::{Args, Command};
use neuroglia_core::error::{Error, ErrorKind, Result, chain};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::MemHistory;
use rustyline::validate::Validator;
use rustyline::{Context, Editor, Helper};

use super::line::words;
use super::{AdminCommand, AdminContext, Room, SHELL};
use crate::argv;

/// What the shell itself can do, beside the admin commands.
const OWN: [(&str, &str); 6] = [
    ("config", "Show the effective settings, without secrets"),
    ("describe", "Show what the application is made of, or one part: describe routes"),
    ("messages", "Show the commands, queries and event handlers"),
    ("services", "Show what the container holds"),
    ("help", "Show this, or what a command takes: help seed"),
    ("exit", "End the shell"),
];

/// Runs admin commands line by line.
#[derive(Args)]
pub(super) struct Shell {
    /// End with the first command that fails, and with its code.
    #[arg(long)]
    strict: bool,
}

impl AdminCommand for Shell {
    const NAME: &'static str = SHELL;
    const ABOUT: &'static str = "Run admin commands line by line, from a terminal or a pipe";

    async fn run(self, context: &AdminContext) -> Result<()> {
        let room = context.room()?;
        let mut input = Input::open(context.application(), &room)?;
        let is_script = matches!(input, Input::Pipe);
        let _as_it_was = AsItWas::now();
        let mut failed = None;
        loop {
            let line;
            (input, line) = input.read().await?;
            let Some(line) = line else { break };
            match run_line(&line, context, &room).await {
                Ok(Next::Line) => {}
                Ok(Next::End) => break,
                Err(error) => {
                    let _ = writeln!(io::stderr(), "{}", told(&error));
                    let error = Error::new(error.kind(), "shell.failed", "a command failed")
                        .with_exit_code(error.exit_code());
                    if self.strict {
                        return Err(error);
                    }
                    failed = Some(error);
                }
            }
        }
        match failed {
            Some(error) if is_script => Err(error),
            // Whoever sat at the terminal has seen it.
            _ => Ok(()),
        }
    }
}

/// What comes after a line.
enum Next {
    Line,
    End,
}

async fn run_line(line: &str, context: &AdminContext, room: &Room) -> Result<Next> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(Next::Line);
    }
    let words = words(line).map_err(|problem| Error::invalid("shell.line", problem))?;
    let (first, rest) = words.split_first().map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
    match (first, rest) {
        ("exit" | "quit", []) => return Ok(Next::End),
        ("config", []) => context.print(room.config.trim_end())?,
        ("describe", []) => context.print(room.describe.trim_end())?,
        ("describe", [part]) => context.print(&part_of(&room.describe, part)?)?,
        ("messages" | "services", []) => context.print(&part_of(&room.describe, first)?)?,
        _ => run_command(&words, context, room).await?,
    }
    Ok(Next::Line)
}

/// The part of a description that has this title.
fn part_of(description: &str, title: &str) -> Result<String> {
    let mut parts = description.split("\n\n").map(str::trim_end);
    let has_title = |part: &&str| part.lines().next() == Some(title);
    parts.find(has_title).map(str::to_owned).ok_or_else(|| {
        let titles: Vec<_> =
            description.split("\n\n").skip(1).filter_map(|part| part.lines().next()).collect();
        Error::invalid("shell.part", format!("there is no part {title}: there are {}", titles.join(", ")))
    })
}

async fn run_command(words: &[String], context: &AdminContext, room: &Room) -> Result<()> {
    let matches = match command(room).try_get_matches_from(words) {
        Ok(matches) => matches,
        Err(answer) if answer.use_stderr() => {
            let text = answer.to_string();
            return Err(Error::invalid(
                "shell.line",
                text.trim_end().trim_start_matches("error: ").to_owned(),
            ));
        }
        // Help is an answer, not a mistake.
        Err(answer) => return context.print(answer.to_string().trim_end()),
    };
    let Some((name, matches)) = matches.subcommand() else { return Ok(()) };
    let Some(listed) = room.admin.commands.iter().find(|listed| listed.name == name) else { return Ok(()) };
    let scope = room.services.scope();
    // A context without the room: a shell in a shell would be of no use to anybody.
    let inner = AdminContext::new(scope.clone(), context.application());
    let outcome = (listed.run)(matches.clone(), &inner).await;
    inner.tell_others().await;
    drop(inner);
    scope.close().await;
    outcome
}

/// The parser of a line: that of `admin`, and what the shell itself can do.
fn command(room: &Room) -> Command {
    let own = OWN.iter().filter(|(name, _)| *name != "help");
    let command = argv::admin_command(&room.admin)
        .no_binary_name(true)
        .disable_help_flag(true)
        .override_usage("<COMMAND> [ARGUMENTS]");
    own.fold(command, |command, (name, about)| command.subcommand(Command::new(*name).about(*about)))
}

fn told(error: &Error) -> String {
    let violations = error.violation_list().iter();
    let lines = violations.map(|violation| format!("\n  {}: {}", violation.pointer, violation.detail));
    format!("{}{}", chain(error), lines.collect::<String>())
}

/// Where lines come from.
enum Input {
    Terminal(Box<Terminal>),
    Pipe,
}

/// A terminal whose lines can be edited.
struct Terminal {
    editor: Editor<Names, MemHistory>,
    prompt: String,
}

impl Input {
    fn open(application: &str, room: &Room) -> Result<Self> {
        if !io::stdin().is_terminal() {
            return Ok(Self::Pipe);
        }
        let config = rustyline::Config::builder().auto_add_history(true).build();
        let mut editor = Editor::with_history(config, MemHistory::new()).map_err(terminal_failed)?;
        let listed = room.admin.commands.iter().map(|listed| listed.name);
        let names = listed.chain(OWN.iter().map(|(name, _)| *name)).filter(|name| *name != Shell::NAME);
        editor.set_helper(Some(Names(names.map(str::to_owned).collect())));
        let _ = writeln!(io::stderr(), "{application}: `help` lists the commands, `exit` or Ctrl-D ends");
        let prompt = format!("{application}> ");
        Ok(Self::Terminal(Box::new(Terminal { editor, prompt })))
    }

    /// The next line; `None` at the end.
    async fn read(self) -> Result<(Self, Option<String>)> {
        // A thread of its own waits for it; the process does not wait for that thread when it ends.
        let reading = tokio::task::spawn_blocking(move || match self {
            Self::Pipe => {
                let mut line = String::new();
                let length = io::stdin().lock().read_line(&mut line).map_err(Error::internal)?;
                Ok((Self::Pipe, (length > 0).then_some(line)))
            }
            Self::Terminal(mut terminal) => {
                let line = loop {
                    match terminal.editor.readline(&terminal.prompt) {
                        Ok(line) => break Some(line),
                        // Ctrl-C takes back what was typed.
                        Err(ReadlineError::Interrupted) => {}
                        Err(ReadlineError::Eof) => break None,
                        Err(problem) => return Err(terminal_failed(problem)),
                    }
                };
                Ok((Self::Terminal(terminal), line))
            }
        });
        reading.await.map_err(Error::internal)?
    }
}

fn terminal_failed(problem: ReadlineError) -> Error {
    Error::new(ErrorKind::Internal, "shell.terminal", "the terminal cannot be read").with_source(problem)
}

/// Sets the terminal, if it is one, back to what it was: a process that is told to end leaves the thread that reads.
struct AsItWas(Option<Termios>);

impl AsItWas {
    fn now() -> Self {
        Self(tcgetattr(io::stdin()).ok())
    }
}

impl Drop for AsItWas {
    fn drop(&mut self) {
        if let Some(termios) = &self.0 {
            let _ = tcsetattr(io::stdin(), OptionalActions::Drain, termios);
        }
    }
}

/// The names with which a line can begin.
struct Names(Vec<String>);

impl Completer for Names {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        position: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let typed = &line[..position];
        if typed.contains(' ') {
            return Ok((position, Vec::new()));
        }
        Ok((0, self.0.iter().filter(|name| name.starts_with(typed)).cloned().collect()))
    }
}

impl Hinter for Names {
    type Hint = String;
}

impl Highlighter for Names {}

impl Validator for Names {}

impl Helper for Names {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_the_description_is_found_by_its_title() {
        let description = "shop 1.0\nprocesses: web\n\nmessages\n  query  Menu\n\nroutes\n  GET  /pizzas\n";
        assert_eq!(part_of(description, "messages").ok().as_deref(), Some("messages\n  query  Menu"));
        let unknown = part_of(description, "mesages").expect_err("there is none");
        assert!(chain(&unknown).contains("there are messages, routes"), "{}", chain(&unknown));
    }
}
