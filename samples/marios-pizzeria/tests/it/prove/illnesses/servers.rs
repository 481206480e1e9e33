//! The servers that fall ill: each can be stopped and started again, and lets somebody in by a password that can be changed.

use neuroglia_testing::services::{Mongo, Nats, Postgres, RabbitMq, Redis, Smtp, SmtpTls};

use super::Resource;
use crate::prove::is_full;

/// Who is let in, by which password, and what the password is changed to.
const USER: &str = "mario";
const PASSWORD: &str = "right1";
const OTHER: &str = "right2";

/// A server of one ward.
pub(super) struct Server {
    /// Where it answers, with what it lets the pizzeria in by.
    pub(super) url: String,
    machine: Machine,
}

enum Machine {
    Postgres(Postgres),
    /// Not one that the environment names: that is elsewhere, and the way through the strait leads to this machine.
    Mongo(Mongo),
    Redis(Redis),
    RabbitMq(RabbitMq),
    /// A part of a broker that serves others too: one of its own takes a quarter of a minute to start.
    Shared,
    Nats(Nats),
    Smtp(Smtp),
}

impl Server {
    pub(super) fn start(resource: Resource) -> Self {
        let url =
            |scheme: &str, credentials: &str, port: u16| format!("{scheme}://{credentials}@127.0.0.1:{port}");
        let user = format!("{USER}:{PASSWORD}");
        let (url, machine) = match resource {
            Resource::Postgres => {
                let server = Postgres::start();
                server.add_user(USER, PASSWORD);
                (server.url().replace("postgres@", &format!("{user}@")), Machine::Postgres(server))
            }
            // To show a password costs time, which the short form does not have for what stands in for MongoDB.
            Resource::Mongo if !is_full() => {
                let server = Mongo::start();
                // The server names itself to a driver that looks for the others of its set.
                (format!("{}shop?directConnection=true", server.url()), Machine::Mongo(server))
            }
            Resource::Mongo => {
                let server = Mongo::start_for(USER, PASSWORD);
                let there = url("mongodb", &user, server.port());
                (format!("{there}/shop?directConnection=true&authSource=admin"), Machine::Mongo(server))
            }
            Resource::Redis => {
                let server = Redis::start_guarded(PASSWORD);
                (url("redis", &format!(":{PASSWORD}"), server.port()), Machine::Redis(server))
            }
            Resource::RabbitMq if !is_full() => (RabbitMq::shared().create_host(), Machine::Shared),
            Resource::RabbitMq => {
                let broker = RabbitMq::start();
                broker.add_user(USER, PASSWORD);
                (url("amqp", &user, broker.port()), Machine::RabbitMq(broker))
            }
            Resource::Nats => {
                let server = Nats::start_for(USER, PASSWORD);
                (url("nats", &user, server.port()), Machine::Nats(server))
            }
            Resource::Smtp => {
                let server = Smtp::start_guarded(SmtpTls::None);
                (url("smtp", Smtp::CREDENTIALS, server.port()), Machine::Smtp(server))
            }
        };
        Self { url, machine }
    }

    /// The mail server, if it is one.
    pub(super) fn as_smtp(&self) -> Option<&Smtp> {
        match &self.machine {
            Machine::Smtp(server) => Some(server),
            _ => None,
        }
    }

    pub(super) fn stop(&mut self) {
        match &mut self.machine {
            Machine::Postgres(server) => server.stop(),
            Machine::Mongo(server) => server.stop(),
            Machine::Redis(server) => server.stop(),
            Machine::RabbitMq(broker) => broker.stop(),
            Machine::Nats(server) => server.stop(),
            Machine::Smtp(server) => server.stop(),
            Machine::Shared => panic!("it serves others too"),
        }
    }

    pub(super) fn start_again(&mut self) {
        match &mut self.machine {
            Machine::Postgres(server) => server.start_again(),
            Machine::Mongo(server) => server.start_again(),
            Machine::Redis(server) => server.start_again(),
            Machine::RabbitMq(broker) => broker.start_again(),
            Machine::Nats(server) => server.start_again(),
            Machine::Smtp(server) => server.start_again(),
            Machine::Shared => panic!("it serves others too"),
        }
    }

    /// Changes the password to another one than the pizzeria has, or back; who is in may stay in.
    pub(super) fn change_password(&self, is_other: bool) {
        let (old, new) = if is_other { (PASSWORD, OTHER) } else { (OTHER, PASSWORD) };
        match &self.machine {
            Machine::Postgres(server) => server.change_password(USER, new),
            Machine::Mongo(server) => server.change_password(USER, old, new),
            Machine::Redis(server) => server.change_password(old, new),
            Machine::RabbitMq(broker) => broker.change_password(USER, new),
            Machine::Nats(server) => server.change_password(USER, new),
            Machine::Smtp(server) => server.change_password(is_other),
            Machine::Shared => panic!("it serves others too"),
        }
    }
}
