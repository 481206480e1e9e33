//! `neuroglia start`: several processes of the current release on one machine, kept running until all are stopped.
//!
//! The processes come from the Procfile, in the numbers of the formation. Each has ports that no other one has, its lines
//! are shown behind its name, and one that dies is started again after a pause that grows. A signal stops all at once: each
//! gets one SIGTERM and drains, and what is still there when the application's own deadline and its margin are over is
//! killed. A second signal goes on as a second one, by which applications end at once.
//!
//! It is what a process manager does, for a machine that has none; `neuroglia export systemd` is for one that has.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::{ExitCode, ExitStatus};
use std::str::FromStr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use neuroglia_core::settings::Value;
use rustix::process::Signal;

use crate::application::Application;
use crate::child::{Child, Event, forward_signals, say};
use crate::depot::Kept;
use crate::environment::Environment;
use crate::manifest::Release;
use crate::procfile::{Process, Procfile};
use crate::run::{note_what_is_left_out, released, take_from_platform};
use crate::{Result, port};

/// What the host waits between its own deadline and the end, with a second for the machine.
const KILL_MARGIN: Duration = Duration::from_secs(3);
/// The first pause before a process that died is started again; each further one is twice as long.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// A process that ran for so long has recovered.
const STEADY: Duration = Duration::from_secs(60);
/// How long output may still come after the end, from descendants that hold the pipe.
const OUTPUT_TIMEOUT: Duration = Duration::from_secs(1);
/// As the applications have it: the same may succeed later.
const EXIT_ABANDONED: u8 = 75;
/// What starting again does not mend: the command line, and what the application is told.
const HOPELESS: [i32; 2] = [64, 78];

/// What `neuroglia start` can be told.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How many of which process, such as `web=2,worker=1`; otherwise one of each
    #[arg(value_name = "PROCESS=NUMBER", value_delimiter = ',')]
    formation: Vec<Count>,
    /// The port of the first process that answers HTTP; each further one has the next that is not given yet
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// The depot, when it is not in a `.neuroglia` here or above
    #[arg(long, value_name = "FOLDER")]
    depot: Option<PathBuf>,
}

/// How many of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) process: String,
    pub(crate) number: u16,
}

impl FromStr for Count {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let parsed = text.split_once('=').and_then(|(process, number)| {
            let number = number.parse().ok().filter(|&number| number <= 100)?;
            Some(Self { process: process.to_owned(), number })
        });
        parsed.ok_or_else(|| {
            format!("`{text}` is no part of a formation: write web=2, with at most 100 of each")
        })
    }
}

/// Runs the formation until it is stopped.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let release = released(arguments.depot.as_deref(), None)?;
    let application = &release.manifest.application;
    let procfile = Procfile::read(&release.folder, application)?;
    let mut environment = release.environment()?;
    take_from_platform(&mut environment)?;
    note_what_is_left_out(&release, &environment);
    let effective = Effective::ask(&release, &environment)?;
    let posts =
        posts(&procfile, &arguments.formation, &environment, arguments.port.unwrap_or(effective.port))?;
    for post in &posts {
        for address in post.ports() {
            port::check_free(([127, 0, 0, 1], address).into())?;
        }
    }
    say(&format!(
        "release {} for {}: {} processes",
        release.manifest.id,
        release.manifest.deploy,
        posts.len()
    ));
    Formation::new(&release, &environment, posts, effective.shutdown_timeout)?.run()
}

/// What the application says of settings that have a default.
struct Effective {
    port: u16,
    shutdown_timeout: Duration,
}

impl Effective {
    fn ask(release: &Kept<Release>, environment: &Environment) -> Result<Self> {
        let application = Application::here(&release.manifest.application, release.executable(), environment);
        let report = application.config()?;
        let value = |name: &str| {
            let variables = report["variables"].as_array().into_iter().flatten();
            let found = variables.into_iter().find(|variable| variable["name"] == name);
            found.and_then(|variable| variable["value"].as_str()).map(str::to_owned)
        };
        let timeout = value("SHUTDOWN_TIMEOUT").unwrap_or_else(|| "30s".to_owned());
        Ok(Self {
            port: value("PORT").and_then(|port| port.parse().ok()).filter(|&port| port > 0).unwrap_or(8000),
            shutdown_timeout: <Duration as Value<_>>::parse(&timeout)
                .map_err(|problem| format!("SHUTDOWN_TIMEOUT is `{timeout}` and {problem}"))?,
        })
    }
}

/// One process of the formation, with what is its own.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Post {
    label: String,
    arguments: Vec<String>,
    variables: BTreeMap<&'static str, u16>,
}

impl Post {
    fn ports(&self) -> impl Iterator<Item = u16> {
        self.variables.values().copied()
    }
}

/// The processes that were asked for.
fn posts(procfile: &Procfile, counts: &[Count], environment: &Environment, port: u16) -> Result<Vec<Post>> {
    for count in counts {
        if procfile.get(&count.process).is_none() {
            return Err(format!("there is no process {}: there are {}", count.process, procfile.names()));
        }
    }
    let number_of = |process: &Process| match counts.iter().rfind(|count| count.process == process.name) {
        Some(count) => count.number,
        None => u16::from(counts.is_empty()),
    };
    let admin_port = environment.port("ADMIN_PORT")?;
    let mut ports = Ports::default();
    // Both firsts are taken before anybody's second, so that they are where the deploy says.
    let answers = |process: &Process| process.answers_http() && number_of(process) > 0;
    let mut first_port = procfile.long_running().any(answers).then(|| ports.take_from(port)).transpose()?;
    let mut first_admin_port = admin_port.map(|first| ports.take_from(first)).transpose()?;
    let mut posts = Vec::new();
    for process in procfile.long_running() {
        for number in 1..=number_of(process) {
            let mut variables = BTreeMap::new();
            if process.answers_http() {
                let own = first_port.take().map_or_else(|| ports.take_from(port), Ok)?;
                variables.insert("PORT", own);
            }
            if let Some(first) = admin_port {
                let own = first_admin_port.take().map_or_else(|| ports.take_from(first), Ok)?;
                variables.insert("ADMIN_PORT", own);
            }
            let (label, arguments) = (format!("{}.{number}", process.name), process.arguments.clone());
            posts.push(Post { label, arguments, variables });
        }
    }
    if posts.is_empty() {
        return Err("a formation of nothing was asked for: write web=1".to_owned());
    }
    Ok(posts)
}

/// The ports that are given already, of whatever kind: PORT and ADMIN_PORT count up beside each other.
#[derive(Default)]
struct Ports(BTreeSet<u16>);

impl Ports {
    /// The first port from here that nobody has.
    fn take_from(&mut self, first: u16) -> Result<u16> {
        let free = (first..=u16::MAX).find(|port| self.0.insert(*port));
        free.ok_or_else(|| format!("there are more processes than ports above {first}: choose a lower one"))
    }
}

/// A post, and who stands there.
struct Member {
    post: Post,
    environment: Environment,
    state: State,
    /// How often in a row it died young.
    failures: u32,
    open_streams: usize,
}

enum State {
    Running {
        child: Child,
        since: Instant,
    },
    /// It died, and is started again at this time.
    Waiting(Instant),
    Ended,
}

/// All processes, and what is known of the end.
struct Formation<'a> {
    release: &'a Kept<Release>,
    members: Vec<Member>,
    sender: Sender<Event>,
    events: Receiver<Event>,
    shutdown_timeout: Duration,
    stops_asked: u32,
    deadline: Option<Instant>,
    code: u8,
}

impl<'a> Formation<'a> {
    fn new(
        release: &'a Kept<Release>,
        environment: &Environment,
        posts: Vec<Post>,
        shutdown_timeout: Duration,
    ) -> Result<Self> {
        let (sender, events) = channel();
        forward_signals(sender.clone())?;
        let member = |post: Post| {
            let mut environment = environment.clone();
            if post.variables.contains_key("PORT") {
                environment.remove("SERVER_PORT");
            }
            for (name, port) in &post.variables {
                environment.set(name, port.to_string());
            }
            let state = State::Waiting(Instant::now());
            Member { post, environment, state, failures: 0, open_streams: 0 }
        };
        let members = posts.into_iter().map(member).collect();
        let (stops_asked, deadline, code) = (0, None, 0);
        Ok(Self { release, members, sender, events, shutdown_timeout, stops_asked, deadline, code })
    }

    fn run(mut self) -> Result<ExitCode> {
        while self.members.iter().any(|member| !matches!(member.state, State::Ended)) {
            self.start_what_is_due();
            match self.next_event() {
                Some(Event::Signal) => self.stop(None),
                Some(Event::Exited(member)) => self.exited(member),
                Some(Event::OutputEnded(member)) => self.output_ended(member),
                None => self.enforce_deadline(),
            }
        }
        self.show_the_rest();
        Ok(ExitCode::from(self.code))
    }

    fn start_what_is_due(&mut self) {
        for number in 0..self.members.len() {
            if matches!(self.members[number].state, State::Waiting(at) if at <= Instant::now()) {
                self.start(number);
            }
        }
    }

    fn start(&mut self, number: usize) {
        let label_width = self.members.iter().map(|member| member.post.label.len()).max().unwrap_or_default();
        let member = &mut self.members[number];
        let label = &member.post.label;
        let Release { application, .. } = &self.release.manifest;
        let application = Application::here(application, self.release.executable(), &member.environment);
        let mut command = application.command(&member.post.arguments);
        match Child::spawn(&mut command, number, &format!("{label:label_width$} | "), &self.sender) {
            Ok(child) => {
                let ports: String =
                    member.post.variables.iter().map(|(name, port)| format!(", {name}={port}")).collect();
                say(&format!("{label} started (process {}{ports})", child.pid().as_raw_nonzero()));
                member.state = State::Running { child, since: Instant::now() };
                member.open_streams += 2;
            }
            Err(failure) => {
                say(&format!("{label}: {failure}"));
                member.state = State::Waiting(Instant::now() + pause(member.failures));
                member.failures += 1;
            }
        }
    }

    /// The next event, or `None` when it is time for something else.
    fn next_event(&self) -> Option<Event> {
        let restarts = self.members.iter().filter_map(|member| match member.state {
            State::Waiting(at) => Some(at),
            _ => None,
        });
        match restarts.chain(self.deadline).min() {
            None => self.events.recv().ok(),
            Some(at) => self.events.recv_timeout(at.saturating_duration_since(Instant::now())).ok(),
        }
    }

    fn exited(&mut self, number: usize) {
        let is_stopping = self.stops_asked > 0;
        let member = &mut self.members[number];
        let State::Running { child, since } = &mut member.state else { return };
        let status = child.reap();
        let lived = since.elapsed();
        let label = &member.post.label;
        if is_stopping {
            say(&format!("{label} has stopped ({status})"));
            member.state = State::Ended;
            if self.code == 0 {
                self.code = code_of(status);
            }
            return;
        }
        if status.code().is_some_and(|code| HOPELESS.contains(&code)) {
            say(&format!("{label} ended ({status}); starting it again would not help, so all are stopped"));
            member.state = State::Ended;
            return self.stop(Some(code_of(status)));
        }
        member.failures = if lived >= STEADY { 0 } else { member.failures };
        let pause = pause(member.failures);
        member.failures += 1;
        say(&format!("{label} ended by itself ({status}); it is started again in {} s", pause.as_secs()));
        member.state = State::Waiting(Instant::now() + pause);
    }

    fn output_ended(&mut self, number: usize) {
        let member = &mut self.members[number];
        member.open_streams = member.open_streams.saturating_sub(1);
    }

    /// Stops everybody; a further time it is meant more seriously.
    fn stop(&mut self, code: Option<u8>) {
        self.stops_asked += 1;
        self.code = code.unwrap_or(self.code);
        let signal = if self.stops_asked > 2 { Signal::KILL } else { Signal::TERM };
        if self.stops_asked == 1 {
            let within = self.shutdown_timeout + KILL_MARGIN;
            say(&format!("stopping all, within {} s", within.as_secs()));
            self.deadline = Some(Instant::now() + within);
        }
        self.signal_all(signal);
    }

    fn signal_all(&mut self, signal: Signal) {
        for member in &mut self.members {
            match &member.state {
                State::Running { child, .. } => child.signal(signal),
                State::Waiting(_) => member.state = State::Ended,
                State::Ended => {}
            }
        }
    }

    fn enforce_deadline(&mut self) {
        if self.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            self.deadline = None;
            say("the deadline is over; what still runs is killed");
            self.code = EXIT_ABANDONED;
            self.signal_all(Signal::KILL);
        }
    }

    fn show_the_rest(&mut self) {
        let deadline = Instant::now() + OUTPUT_TIMEOUT;
        while self.members.iter().any(|member| member.open_streams > 0) {
            match self.events.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(Event::OutputEnded(number)) => self.output_ended(number),
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return,
            }
        }
    }
}

impl Drop for Formation<'_> {
    /// Should this process fail, nothing is left behind with a port.
    fn drop(&mut self) {
        for member in &mut self.members {
            if let State::Running { child, .. } = &mut member.state {
                child.signal(Signal::TERM);
                child.reap();
            }
        }
    }
}

fn pause(failures: u32) -> Duration {
    PAUSE_MIN.saturating_mul(2_u32.saturating_pow(failures)).min(PAUSE_MAX)
}

/// The code of an end; one by a signal counts as work that was abandoned.
fn code_of(status: ExitStatus) -> u8 {
    status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(EXIT_ABANDONED)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn procfile() -> Procfile {
        let text = "release: shop admin migrate\nweb: shop web\nworker: shop worker\n";
        Procfile::parse("Procfile", text, "shop").expect("it is right")
    }

    fn labels(counts: &str) -> Result<Vec<(String, Vec<u16>)>> {
        given(8000, "9000", counts)
    }

    /// Who is given which ADMIN_PORT and PORT, in this order.
    fn given(port: u16, admin_port: &str, counts: &str) -> Result<Vec<(String, Vec<u16>)>> {
        let counts: Vec<Count> =
            counts.split_terminator(',').map(|count| count.parse().expect("a count")).collect();
        let mut environment = Environment::default();
        environment.set("ADMIN_PORT", admin_port);
        let posts = posts(&procfile(), &counts, &environment, port)?;
        Ok(posts.iter().map(|post| (post.label.clone(), post.ports().collect())).collect())
    }

    #[test]
    fn each_process_has_ports_of_its_own() {
        let named = |label: &str, ports: &[u16]| (label.to_owned(), ports.to_vec());
        assert_eq!(labels(""), Ok(vec![named("web.1", &[9000, 8000]), named("worker.1", &[9001])]));
        assert_eq!(
            labels("worker=1,web=2"),
            Ok(vec![
                named("web.1", &[9000, 8000]),
                named("web.2", &[9001, 8001]),
                named("worker.1", &[9002])
            ])
        );
        assert_eq!(labels("worker=2").map(|posts| posts.len()), Ok(2));
    }

    #[test]
    fn no_port_is_given_twice_where_the_two_kinds_are_neighbours() {
        let named = |label: &str, ports: &[u16]| (label.to_owned(), ports.to_vec());
        assert_eq!(
            given(8000, "8001", "web=3,worker=1"),
            Ok(vec![
                named("web.1", &[8001, 8000]),
                named("web.2", &[8003, 8002]),
                named("web.3", &[8005, 8004]),
                named("worker.1", &[8006]),
            ])
        );
        // One port for both is the application's fault to tell; here each process has two.
        assert_eq!(given(8000, "8000", "web=1"), Ok(vec![named("web.1", &[8001, 8000])]));
        // Without a process that answers, the port that it would have is free for others.
        assert_eq!(given(8000, "8000", "worker=1"), Ok(vec![named("worker.1", &[8000])]));
        assert!(given(65_535, "8001", "web=2").is_err_and(|failure| failure.contains("lower")));
    }

    #[test]
    fn a_formation_of_nothing_or_of_strangers_is_refused() {
        assert!(labels("web=0").is_err_and(|failure| failure.contains("nothing")));
        assert!(labels("wbe=1").is_err_and(|failure| failure.contains("web, worker")));
        for wrong in ["web", "web=x", "web=101"] {
            assert!(wrong.parse::<Count>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_pause_grows_to_a_bound() {
        let seconds: Vec<u64> = (0..7).map(|failures| pause(failures).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(pause(u32::MAX), PAUSE_MAX);
    }
}
