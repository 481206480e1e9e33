//! Admin commands: one-off processes of the same executable, in a scope of the same container.

mod line;
mod mail;
mod shell;
mod work;

pub use mail::ListMail;

/// What the arguments of an [`AdminCommand`] are declared with. Its derives name it, so that it has to be in scope.
#[doc(no_inline)]
pub use clap;

use std::fmt;
use std::io::{self, BufRead, Write};
use std::sync::Arc;

use clap::{ArgMatches, Args, Command};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use neuroglia_core::clock::Clock;
use neuroglia_core::cluster::Voice;
use neuroglia_core::data::{History, Migrations, Store};
use neuroglia_core::di::{Inject, Scope, Services};
use neuroglia_core::error::{Error, ErrorKind, Result, chain};

pub use self::work::{Revised, revise_all};

/// Something that an operator does once, by `<application> admin <name>`.
///
/// The struct is its arguments: help, types and errors are clap's.
///
/// ```
/// use neuroglia::error::Result;
/// use neuroglia::process::admin::{AdminCommand, AdminContext, clap};
///
/// /// Says hello.
/// #[derive(clap::Args)]
/// struct Hello {
///     /// To whom.
///     #[arg(long)]
///     name: String,
/// }
///
/// impl AdminCommand for Hello {
///     const NAME: &'static str = "hello";
///     const ABOUT: &'static str = "Says hello";
///
///     async fn run(self, context: &AdminContext) -> Result<()> {
///         context.print(&format!("hello, {}", self.name))
///     }
/// }
/// ```
pub trait AdminCommand: Args + Send + 'static {
    /// Its name on the command line.
    const NAME: &'static str;
    /// What it does, in one line.
    const ABOUT: &'static str;
    /// Whether it runs on a store whose schema is not the expected one.
    const ANY_SCHEMA: bool = false;

    /// Does it. The exit code is 0, or that of the error: its kind's, or its own by [`Error::with_exit_code`].
    fn run(self, context: &AdminContext) -> impl Future<Output = Result<()>> + Send;
}

/// What an admin command works with.
pub struct AdminContext {
    scope: Scope,
    application: &'static str,
    room: Option<Arc<Room>>,
}

/// The command that runs others.
pub(crate) const SHELL: &str = "shell";

/// What that command needs to run others, and to tell of the application.
pub(crate) struct Room {
    pub(crate) admin: Admin,
    pub(crate) services: Services,
    /// The effective settings.
    pub(crate) config: String,
    pub(crate) describe: String,
}

impl AdminContext {
    pub(crate) fn new(scope: Scope, application: &'static str) -> Self {
        Self { scope, application, room: None }
    }

    pub(crate) fn within(self, room: Room) -> Self {
        Self { room: Some(Arc::new(room)), ..self }
    }

    fn room(&self) -> Result<Arc<Room>> {
        self.room.clone().ok_or_else(|| {
            Error::invalid("shell.nested", "a shell runs in a process of its own: start it by `admin shell`")
        })
    }

    /// The scope of this command.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Builds something from the scope, such as the mediator.
    ///
    /// What it needs is not checked at boot, because nothing tells before the command runs; a command that sends
    /// messages needs only what is checked.
    ///
    /// # Errors
    /// When a factory on the way fails.
    pub fn inject<T: Inject>(&self) -> Result<T> {
        self.scope.inject()
    }

    /// Tells other processes of what the command asked for or set free, however it ended: nothing runs beside a command
    /// that would.
    pub(crate) async fn tell_others(&self) {
        let voice = match self.scope.find::<dyn Store>() {
            Ok(None) => return,
            Ok(Some(_)) => self.inject::<Voice>(),
            Err(error) => Err(error),
        };
        match voice {
            Ok(voice) => voice.tell_the_rest().await,
            Err(error) => {
                tracing::warn!(error = chain(&error), "others are not told of work; they will look")
            }
        }
    }

    /// The name of the application.
    pub fn application(&self) -> &'static str {
        self.application
    }

    /// Prints a line of the command's result on standard output; its log goes to standard error.
    ///
    /// # Errors
    /// When nobody reads any more.
    pub fn print(&self, line: &str) -> Result<()> {
        let mut out = io::stdout().lock();
        writeln!(out, "{line}").map_err(|cause| {
            Error::new(ErrorKind::Internal, "stdout.closed", "standard output is closed").with_source(cause)
        })
    }

    /// Reads one line from standard input, without its end. A signal ends the wait for it.
    ///
    /// # Errors
    /// When there is none.
    pub async fn read_line(&self) -> Result<String> {
        // A thread of its own waits for it; the process does not wait for that thread when it ends.
        let reading = tokio::task::spawn_blocking(|| {
            let mut line = String::new();
            io::stdin().lock().read_line(&mut line).map(|_| line)
        });
        let line = reading.await.map_err(Error::internal)?.map_err(Error::internal)?;
        let line = line.trim_end_matches(['\r', '\n']);
        if line.is_empty() {
            return Err(Error::invalid("stdin.empty", "expected one line on standard input"));
        }
        Ok(line.to_owned())
    }
}

impl fmt::Debug for AdminContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminContext").field("scope", &self.scope).finish_non_exhaustive()
    }
}

type Run = fn(ArgMatches, &AdminContext) -> BoxFuture<'_, Result<()>>;

/// One listed command.
#[derive(Clone)]
pub(crate) struct Listed {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) any_schema: bool,
    pub(crate) command: fn() -> Command,
    pub(crate) run: Run,
}

/// The table of an application's admin commands. `migrate` and those for durable work are always there.
#[derive(Clone)]
pub struct Admin {
    pub(crate) commands: Vec<Listed>,
}

impl Admin {
    pub(crate) fn new() -> Self {
        Self { commands: Vec::new() }
            .command::<Migrate>()
            .command::<work::DeadLetters>()
            .command::<work::Work>()
            .command::<work::Nodes>()
            .command::<work::Subscriptions>()
            .command::<shell::Shell>()
    }

    /// Lists a command.
    #[must_use]
    pub fn command<C: AdminCommand>(mut self) -> Self {
        self.commands.push(Listed {
            name: C::NAME,
            about: C::ABOUT,
            any_schema: C::ANY_SCHEMA,
            command: || C::augment_args(Command::new(C::NAME)).about(C::ABOUT),
            run: |matches, context| {
                async move {
                    let arguments = C::from_arg_matches(&matches)
                        .map_err(|problem| Error::invalid("arguments", problem.to_string()))?;
                    arguments.run(context).await
                }
                .boxed()
            },
        });
        self
    }
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.commands.iter().map(|command| command.name)).finish()
    }
}

/// Brings the store's schema to what this release expects.
#[derive(Args)]
struct Migrate {
    /// Only tell which migrations are applied and which are not.
    #[arg(long)]
    status: bool,
}

impl AdminCommand for Migrate {
    const NAME: &'static str = "migrate";
    const ABOUT: &'static str = "Bring the store's schema to what this release expects";
    const ANY_SCHEMA: bool = true;

    async fn run(self, context: &AdminContext) -> Result<()> {
        let store = context.scope().find::<dyn Store>()?.ok_or_else(|| {
            Error::invalid("store.none", "the application has no store; there is nothing to migrate")
        })?;
        let migrations = context.scope().get::<Migrations>()?;
        if self.status {
            let applied = store.applied_migrations().await?;
            let own = store.own_history().await?;
            for history in [own, History { expected: migrations.0.clone(), applied }] {
                print_status(context, &history)?;
            }
            return Ok(());
        }
        let now = context.inject::<Clock>()?.now();
        let run = store.migrate(&migrations.0, now).await?;
        match run.applied.as_slice() {
            [] => context.print("the schema is up to date"),
            applied => {
                let list: Vec<_> = applied.iter().map(ToString::to_string).collect();
                context.print(&format!("applied {}", list.join(", ")))
            }
        }
    }
}

fn print_status(context: &AdminContext, History { expected, applied }: &History) -> Result<()> {
    expected.iter().try_for_each(|migration| {
        let (version, name) = (migration.version, migration.name);
        context.print(&match applied.iter().find(|done| done.version == version) {
            None => format!("{version:>4}  pending   {name}"),
            Some(done) if done.checksum != migration.checksum() => {
                format!("{version:>4}  CHANGED   {name}  applied {}", done.applied_at)
            }
            Some(done) => format!("{version:>4}  applied   {name}  {}", done.applied_at),
        })
    })
}
