//! The check of the whole graph, in the words of whoever wrote the registrations.
//!
//! The search for cycles and captive dependencies is a depth-first walk with the path at hand; a captive
//! dependency is a singleton that reaches a scoped service directly or through transient ones.

use std::any::TypeId;
use std::collections::{HashMap, HashSet};

use super::collection::{Lifetime, Service, ServiceCollection, short_name};
use super::inject::{Dependencies, Inject, Key, Need};
use crate::fault::{Area, Fault, Faults};

/// A type that is built from outside the graph.
pub(super) struct Entry {
    name: &'static str,
    needs: fn(&mut Dependencies),
    from_root: bool,
}

impl Entry {
    pub(super) fn scoped<T: Inject>() -> Self {
        Self { name: Key::of::<T>().name, needs: T::dependencies, from_root: false }
    }

    pub(super) fn root<T: Inject>() -> Self {
        Self { name: Key::of::<T>().name, needs: T::dependencies, from_root: true }
    }
}

pub(super) fn registered_twice(service: &Service) -> Fault {
    let (name, key) = (short_name(service.implementation.name), short_name(service.key.name));
    Fault {
        area: Area::Services,
        code: "duplicate",
        what: format!("`{name}` is registered twice as `{key}`"),
        at: service.implementation.name.to_owned(),
        fix: "keep one of the two registrations, or use `try_add` in the second place".to_owned(),
    }
}

pub(super) fn check(collection: &ServiceCollection) -> Faults {
    let graph = GraphView::of(&collection.services);
    let mut faults = Faults::default();
    let mut ambiguous = HashSet::new();
    for (index, service) in collection.services.iter().enumerate() {
        let needs = &graph.needs[index];
        graph.check_needs(service.implementation.name, Some(service.key.name), needs, &mut ambiguous, &mut faults);
        if service.lifetime == Lifetime::Singleton {
            graph.check_captive(service.implementation.name, service.key.name, needs, &mut faults);
        }
    }
    for entry in &collection.entries {
        let mut needs = Dependencies::default();
        (entry.needs)(&mut needs);
        graph.check_needs(entry.name, None, &needs, &mut ambiguous, &mut faults);
        if entry.from_root {
            graph.check_captive(entry.name, entry.name, &needs, &mut faults);
        }
    }
    graph.check_cycles(&mut faults);
    faults
}

struct GraphView<'a> {
    services: &'a [Service],
    needs: Vec<Dependencies>,
    by_key: HashMap<TypeId, Vec<usize>>,
}

impl<'a> GraphView<'a> {
    fn of(services: &'a [Service]) -> Self {
        let mut by_key: HashMap<TypeId, Vec<usize>> = HashMap::new();
        for (index, service) in services.iter().enumerate() {
            by_key.entry(service.key.id).or_default().push(index);
        }
        Self { services, needs: services.iter().map(Service::dependencies).collect(), by_key }
    }

    fn targets(&self, needs: &Dependencies) -> Vec<usize> {
        needs.list.iter().filter_map(|need| self.by_key.get(&need.key.id)).flatten().copied().collect()
    }

    fn check_needs(
        &self,
        name: &'static str,
        key: Option<&'static str>,
        needs: &Dependencies,
        ambiguous: &mut HashSet<TypeId>,
        faults: &mut Faults,
    ) {
        let who = display_name(name, key);
        for need in &needs.list {
            let found = self.by_key.get(&need.key.id).map_or(0, Vec::len);
            let wanted = short_name(need.key.name);
            if found == 0 && need.need == Need::One {
                faults.push(Fault {
                    area: Area::Services,
                    code: "missing",
                    what: format!("`{who}` needs `{wanted}`, which is not registered"),
                    at: name.to_owned(),
                    fix: format!("register it, for example `services.add_scoped::<{wanted}, …>()`"),
                });
            }
            if found > 1 && need.need != Need::All && ambiguous.insert(need.key.id) {
                let candidates: Vec<_> = self.by_key[&need.key.id]
                    .iter()
                    .map(|&index| format!("`{}`", display_name(self.services[index].implementation.name, None)))
                    .collect();
                faults.push(Fault {
                    area: Area::Services,
                    code: "duplicate",
                    what: format!(
                        "`{who}` needs one `{wanted}`, and {found} are registered: {}",
                        candidates.join(", ")
                    ),
                    at: name.to_owned(),
                    fix: format!("register one, `replace` the others, or take all as `Vec<Arc<{wanted}>>`"),
                });
            }
        }
    }

    fn check_captive(&self, name: &'static str, key: &'static str, needs: &Dependencies, faults: &mut Faults) {
        let who = display_name(name, Some(key));
        if let Some(handle) = needs.scope_bound {
            faults.push(captive(&who, name, &format!("{who} → {handle}"), handle));
        }
        let mut seen = HashSet::new();
        let mut stack: Vec<(usize, String)> =
            self.targets(needs).into_iter().map(|target| (target, who.clone())).collect();
        while let Some((index, path)) = stack.pop() {
            if !seen.insert(index) {
                continue;
            }
            let service = &self.services[index];
            let target = short_name(service.key.name);
            let path = format!("{path} → {target}");
            match service.lifetime {
                Lifetime::Singleton => {}
                Lifetime::Scoped => faults.push(captive(&who, name, &path, &target)),
                Lifetime::Transient => {
                    let needs = &self.needs[index];
                    if let Some(handle) = needs.scope_bound {
                        faults.push(captive(&who, name, &format!("{path} → {handle}"), handle));
                    }
                    stack.extend(self.targets(needs).into_iter().map(|target| (target, path.clone())));
                }
            }
        }
    }

    fn check_cycles(&self, faults: &mut Faults) {
        let mut done = vec![false; self.services.len()];
        for start in 0..self.services.len() {
            let mut path = Vec::new();
            self.walk(start, &mut path, &mut done, faults);
        }
    }

    fn walk(&self, index: usize, path: &mut Vec<usize>, done: &mut [bool], faults: &mut Faults) {
        if let Some(position) = path.iter().position(|&other| other == index) {
            let cycle: Vec<_> = path[position..].iter().chain([&index]).map(|&i| self.name(i)).collect();
            faults.push(Fault {
                area: Area::Services,
                code: "cycle",
                what: format!("services need each other in a circle: {}", cycle.join(" → ")),
                at: self.services[index].implementation.name.to_owned(),
                fix: "take one of them out of the circle, for example by an event or a smaller port".to_owned(),
            });
            return;
        }
        if done[index] {
            return;
        }
        path.push(index);
        for target in self.targets(&self.needs[index]) {
            self.walk(target, path, done, faults);
        }
        path.pop();
        done[index] = true;
    }

    fn name(&self, index: usize) -> String {
        display_name(self.services[index].implementation.name, Some(self.services[index].key.name))
    }
}

fn captive(who: &str, at: &str, path: &str, target: &str) -> Fault {
    Fault {
        area: Area::Services,
        code: "captive",
        what: format!("`{who}` lives as long as the application and needs `{target}`, which lives for one scope: {path}"),
        at: at.to_owned(),
        fix: format!("make `{who}` scoped, or let it open scopes of its own with `ScopeFactory`"),
    }
}

/// What people call a service: the type that is built, or, for a factory, the type that it is found as.
fn display_name(implementation: &str, key: Option<&str>) -> String {
    match key {
        Some(key) if implementation.contains("::Held<") => format!("the factory of {}", short_name(key)),
        _ => short_name(implementation),
    }
}
