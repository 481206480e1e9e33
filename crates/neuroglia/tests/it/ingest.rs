//! Events that come over HTTP: who may send them, in which forms, and how often they are kept.

use std::sync::Arc;

use neuroglia::App;
use neuroglia::clock::{Clock, Timestamp};
use neuroglia::data::Store;
use neuroglia::data::memory::MemoryStore;
use neuroglia::di::{Inject, Service};
use neuroglia::domain::DomainEvent;
use neuroglia::error::Result;
use neuroglia::mediation::EventHandler;
use neuroglia::settings::{Environment, Settings};
use neuroglia::web::{EventIngestion, IngestKeys, IngestSettings};
use neuroglia::webhook::WebhookKey;
use neuroglia::work::{Consumer, WorkFilter, WorkRecord};
use neuroglia::{Role, Running};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::wire::{Reply, Wire};
