//! Real services for tests: private, on free ports of the loopback interface, gone with the test.
//!
//! `cargo xtask test` starts one server for the whole run and names it in [`POSTGRES_VARIABLE`]. Where the
//! variable is not set, as under a plain `cargo test`, each test process starts its own when it first needs it.

mod certificate;
mod mongo;
mod mongo_wire;
mod nats;
mod openid;
mod postgres;
mod private;
mod rabbitmq;
mod redis;
mod smtp;

pub use certificate::Certificate;
pub use mongo::{MONGODB_VARIABLE, Mongo, MongoDatabase};
pub use mongo_wire::Command as MongoCommand;
pub use nats::Nats;
pub use openid::OpenId;
pub use postgres::{Database, POSTGRES_VARIABLE, Postgres};
pub use rabbitmq::RabbitMq;
pub use redis::Redis;
pub use smtp::{Misbehaviour, Smtp, SmtpTls};
