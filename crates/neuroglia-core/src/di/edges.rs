//! The services seen as a graph: who needs whom.

use std::any::TypeId;
use std::collections::HashMap;

use super::collection::{Lifetime, Service};
use super::inject::Dependencies;

/// The registered services and the edges between them, by index.
pub(super) struct Edges<'a> {
    pub(super) services: &'a [Service],
    /// What each service needs.
    pub(super) needs: Vec<Dependencies>,
    by_key: HashMap<TypeId, Vec<usize>>,
}

impl<'a> Edges<'a> {
    pub(super) fn of(services: &'a [Service]) -> Self {
        let mut by_key: HashMap<TypeId, Vec<usize>> = HashMap::new();
        for (index, service) in services.iter().enumerate() {
            by_key.entry(service.key.id).or_default().push(index);
        }
        Self { services, needs: services.iter().map(Service::dependencies).collect(), by_key }
    }

    /// The services of a type, in the order of registration.
    pub(super) fn found(&self, key: TypeId) -> &[usize] {
        self.by_key.get(&key).map_or(&[], Vec::as_slice)
    }

    /// The services that these needs lead to, once each, in the order of the needs.
    pub(super) fn targets(&self, needs: &Dependencies) -> Vec<usize> {
        let mut targets = Vec::new();
        for &target in needs.list.iter().flat_map(|need| self.found(need.key.id)) {
            if !targets.contains(&target) {
                targets.push(target);
            }
        }
        targets
    }

    /// All services of a graph without circles, so that each comes after those that it needs.
    pub(super) fn in_order(&self) -> Vec<usize> {
        let mut order = Vec::with_capacity(self.services.len());
        let mut seen = vec![false; self.services.len()];
        for index in 0..self.services.len() {
            self.visit(index, &mut seen, &mut order);
        }
        order
    }

    fn visit(&self, index: usize, seen: &mut [bool], order: &mut Vec<usize>) {
        if std::mem::replace(&mut seen[index], true) {
            return;
        }
        for target in self.targets(&self.needs[index]) {
            self.visit(target, seen, order);
        }
        order.push(index);
    }

    /// For each service, whether it is scoped or a transient that is made of something scoped.
    pub(super) fn scope_needs(&self, order: &[usize]) -> Vec<bool> {
        let mut needs_scope = vec![false; self.services.len()];
        for &index in order {
            let needs = &self.needs[index];
            needs_scope[index] = match self.services[index].lifetime {
                Lifetime::Singleton => false,
                Lifetime::Scoped => true,
                Lifetime::Transient => {
                    needs.scope_bound.is_some()
                        || self.targets(needs).into_iter().any(|target| needs_scope[target])
                }
            };
        }
        needs_scope
    }
}
