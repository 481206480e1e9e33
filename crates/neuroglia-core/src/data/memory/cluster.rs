//! Nodes, leases and planned runs in memory: of one process, usually, and of several in tests.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use super::MemoryStore;
use crate::clock::Timestamp;
use crate::cluster::{Beat, Burial, ClusterStore, Lease, Node, NodeRecord};
use crate::error::Result;
use crate::work::{Inquest, NewWork};

/// What nodes know of each other.
#[derive(Default)]
pub(super) struct Cluster {
    nodes: BTreeMap<Uuid, Known>,
    leases: HashMap<String, Held>,
    runs: HashMap<String, Vec<Timestamp>>,
}

struct Known {
    record: NodeRecord,
    /// When it was first found silent since it last said that it lives.
    silent_since: Option<Timestamp>,
}

struct Held {
    holder: Option<Uuid>,
    lease: Lease,
}

impl Cluster {
    /// Whether it is a node that said that it lives, and was not buried.
    pub(super) fn knows(&self, node: Uuid) -> bool {
        self.nodes.contains_key(&node)
    }
}

#[async_trait]
impl ClusterStore for MemoryStore {
    async fn now(&self) -> Result<Timestamp> {
        self.with(|state| Ok(state.clock.now()))
    }

    async fn beat(&self, node: &Node) -> Result<Beat> {
        self.with(|state| {
            let now = state.clock.now();
            let before = state.cluster.nodes.remove(&node.id);
            let is_new = before.is_none();
            let started_at = before.map_or(now, |known| known.record.started_at);
            let record = NodeRecord { node: node.clone(), started_at, heartbeat_at: now };
            state.cluster.nodes.insert(node.id, Known { record, silent_since: None });
            let others = state.cluster.nodes.values().filter(|known| known.record.node.id != node.id);
            let longest_silence = others.map(|known| now.since(known.record.heartbeat_at)).max();
            Ok(Beat {
                now,
                is_new,
                cancelled: state.work.called_off(node.id),
                held: state.work.held_by(node.id),
                longest_silence: longest_silence.unwrap_or_default(),
            })
        })
    }

    async fn bury(&self, ttl: Duration, apart: Duration, limit: u32) -> Result<Vec<Burial>> {
        self.with(|state| {
            let now = state.clock.now();
            let mut left = limit as usize;
            let (mut burials, mut inquest) = (Vec::new(), Inquest::default());
            state.cluster.nodes.retain(|id, known| {
                let silent = now.since(known.record.heartbeat_at);
                if silent <= ttl {
                    return true;
                }
                if now.since(*known.silent_since.get_or_insert(now)) < apart {
                    return true;
                }
                let released = state.work.release_of_dead(*id, &mut inquest, left, now);
                left -= released;
                burials.push(Burial { node: *id, released: released as u64, silent });
                state.work.is_owner(*id)
            });
            Ok(burials)
        })
    }

    async fn leave(&self, node: Uuid) -> Result<()> {
        self.with(|state| {
            state.work.release_of_leaver(node, state.clock.now());
            state.cluster.nodes.remove(&node);
            Ok(())
        })
    }

    async fn nodes(&self) -> Result<Vec<NodeRecord>> {
        self.with(|state| Ok(state.cluster.nodes.values().map(|known| known.record.clone()).collect()))
    }

    async fn lease(&self, name: &str, holder: Uuid, ttl: Duration) -> Result<Option<Lease>> {
        self.with(|state| {
            let now = state.clock.now();
            let held = state
                .cluster
                .leases
                .entry(name.to_owned())
                .or_insert(Held { holder: None, lease: Lease { epoch: 0, expires_at: now } });
            let is_own = held.holder == Some(holder);
            if !is_own && held.holder.is_some() && held.lease.expires_at > now {
                return Ok(None);
            }
            held.lease.epoch += i64::from(!is_own);
            held.lease.expires_at = now + ttl;
            held.holder = Some(holder);
            Ok(Some(held.lease))
        })
    }

    async fn resign(&self, name: &str, holder: Uuid) -> Result<()> {
        self.with(|state| {
            if let Some(held) = state.cluster.leases.get_mut(name).filter(|held| held.holder == Some(holder))
            {
                held.holder = None;
            }
            Ok(())
        })
    }

    async fn plan(&self, schedule: &str, run_at: Timestamp, work: &NewWork) -> Result<bool> {
        self.with(|state| {
            let now = state.clock.now();
            let runs = state.cluster.runs.entry(schedule.to_owned()).or_default();
            if runs.contains(&run_at) {
                return Ok(false);
            }
            runs.push(run_at);
            state.work.add(work.clone(), now);
            Ok(true)
        })
    }

    async fn last_run(&self, schedule: &str) -> Result<Option<Timestamp>> {
        self.with(|state| Ok(state.cluster.runs.get(schedule).and_then(|runs| runs.iter().max()).copied()))
    }

    async fn purge_runs(&self, before: Timestamp) -> Result<u64> {
        self.with(|state| {
            let mut purged = 0;
            for runs in state.cluster.runs.values_mut() {
                let last = runs.iter().max().copied();
                let all = runs.len();
                runs.retain(|run| *run >= before || Some(*run) == last);
                purged += (all - runs.len()) as u64;
            }
            Ok(purged)
        })
    }
}
