//! The table of an application's messages: what it can be asked, listed once.

use std::any::{TypeId, type_name};
use std::fmt;

use serde::Serialize;

use super::event::{EventHandler, EventHandlers};
use super::message::{Command, Kind, Message, Query};
use super::pipeline::{Listed, Pipeline, short_name};
use super::retry::Turns;
use crate::di::{Inject, Service, ServiceCollection};
use crate::domain::{AnyEvent, DomainEvent};
use crate::fault::{Area, Fault, Faults};
use crate::identity::{Correlation, Identity};

/// The kind of an event, in a description.
const EVENT: &str = "event";

/// What [`Messages`] tells of a message or an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MessageDescription {
    /// The name of its type, or of the event.
    pub name: String,
    /// `command`, `query` or `event`.
    pub kind: String,
    /// The type of its handler.
    pub handler: String,
}

/// The messages of an application, their handlers and the pipeline around them.
///
/// The list feeds the check of the graph at boot, `describe` and the documentation.
pub struct Messages {
    pipeline: Pipeline,
    listed: Listed,
    events: EventHandlers,
    declared: ServiceCollection,
    faults: Faults,
    descriptions: Vec<MessageDescription>,
}

impl Messages {
    /// An empty table.
    pub fn new(pipeline: Pipeline) -> Self {
        Self {
            pipeline,
            listed: Listed::default(),
            events: EventHandlers::default(),
            declared: ServiceCollection::new(),
            faults: Faults::default(),
            descriptions: Vec::new(),
        }
    }

    /// Lists a command.
    #[must_use]
    pub fn command<C: Command>(self) -> Self {
        self.message::<_, C>()
    }

    /// Lists a query.
    #[must_use]
    pub fn query<Q: Query>(self) -> Self {
        self.message::<_, Q>()
    }

    /// Lists a handler that runs inside the unit of work in which an `E` is raised.
    #[must_use]
    pub fn event<E: DomainEvent, H: EventHandler<E>>(mut self) -> Self {
        let is_new = self.events.on::<E, H>();
        self.event_handler::<H>(E::NAME, is_new)
    }

    /// Lists a handler that runs inside the unit of work in which any event is raised.
    #[must_use]
    pub fn every_event<H: EventHandler<AnyEvent>>(mut self) -> Self {
        let is_new = self.events.on_every::<H>();
        self.event_handler::<H>("*", is_new)
    }

    /// Replaces the pipeline around every message.
    #[must_use]
    pub fn pipeline(mut self, pipeline: Pipeline) -> Self {
        self.pipeline = pipeline;
        self
    }

    /// What is listed, in order.
    pub fn descriptions(&self) -> &[MessageDescription] {
        &self.descriptions
    }

    /// The names of the behaviours around each message, outermost first.
    pub fn pipeline_names(&self) -> Vec<&'static str> {
        self.pipeline.names()
    }

    /// Adds what the mediator needs to an application's services.
    pub fn register(mut self, services: &mut ServiceCollection) {
        self.pipeline.declare(&mut self.declared);
        services.take_entries(self.declared);
        for fault in self.faults.iter() {
            services.fault(fault.clone());
        }
        services.try_add(Service::instance(crate::clock::Clock::system()));
        services.try_add(Service::instance(crate::id::Ids::random()));
        services.try_add(Service::per_scope_or(Identity::anonymous()));
        services.try_add(Service::per_scope_or(Correlation::default()));
        services.add_instance(self.pipeline.listing(self.listed));
        services.add_instance(self.events);
        services.try_add(Service::instance(Turns::default()));
    }

    fn message<As, M: Message<As>>(mut self) -> Self {
        let is_new = self.listed.insert(TypeId::of::<M>());
        self.declared.enter::<M::Handler>();
        let kind = match M::KIND {
            Kind::Command => "command",
            Kind::Query => "query",
        };
        self.note(is_new, type_name::<M>(), kind, short_name::<M>(), short_name::<M::Handler>());
        self
    }

    fn event_handler<H: Inject>(mut self, event: &str, is_new: bool) -> Self {
        self.declared.enter::<H>();
        self.note(is_new, type_name::<H>(), EVENT, event, short_name::<H>());
        self
    }

    /// Describes an entry, and finds fault with one that was there before.
    fn note(&mut self, is_new: bool, listed: &str, kind: &str, name: &str, handler: &str) {
        if !is_new {
            let (what, fix) = if kind == EVENT {
                let what = format!("the handler `{handler}` is listed twice for the event `{name}`");
                (what, "list each handler once for an event")
            } else {
                (format!("the {kind} `{name}` is listed twice"), "list each message once")
            };
            self.faults.push(Fault {
                area: Area::Services,
                code: "duplicate",
                what,
                at: listed.to_owned(),
                fix: fix.to_owned(),
            });
        }
        self.descriptions.push(MessageDescription {
            name: name.to_owned(),
            kind: kind.to_owned(),
            handler: handler.to_owned(),
        });
    }
}

impl Default for Messages {
    fn default() -> Self {
        Self::new(Pipeline::standard())
    }
}

impl fmt::Debug for Messages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.descriptions).finish()
    }
}
