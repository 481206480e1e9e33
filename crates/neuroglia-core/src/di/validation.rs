//! The check of the whole graph, in the words of whoever wrote the registrations.
//!
//! A circle is looked for from every edge. A captive dependency is a singleton that reaches a scoped service
//! directly or through transient ones, found by a depth-first walk with the path at hand.

use std::any::TypeId;
use std::collections::{HashSet, VecDeque};
use std::fmt;

use super::collection::{Lifetime, Service, ServiceCollection, short_name};
use super::edges::Edges;
use super::inject::{Dependencies, Inject, Key, Need};
use crate::fault::{Area, Fault, Faults};

/// A type that is built from outside the graph.
pub(super) struct Entry {
    key: Key,
    needs: fn(&mut Dependencies),
    /// How long it lives.
    lifetime: Lifetime,
}

impl Entry {
    pub(super) fn scoped<T: Inject>() -> Self {
        Self { key: Key::of::<T>(), needs: T::dependencies, lifetime: Lifetime::Scoped }
    }

    pub(super) fn root<T: Inject>() -> Self {
        Self { key: Key::of::<T>(), needs: T::dependencies, lifetime: Lifetime::Singleton }
    }

    fn is_same_as(&self, other: &Self) -> bool {
        self.key.id == other.key.id && self.lifetime == other.lifetime
    }
}

pub(super) fn registered_twice(service: &Service) -> Fault {
    let (who, key) = (Who::of(service), short_name(service.key.name));
    Fault {
        area: Area::Services,
        code: "duplicate",
        what: format!("{who} is registered twice as `{key}`"),
        at: who.at.to_owned(),
        fix: "keep one of the two registrations, or use `try_add` in the second place".to_owned(),
    }
}

pub(super) fn disposed_as_another(service: &Service, other: &str) -> Fault {
    let (who, other) = (Who::of(service), short_name(other));
    Fault {
        area: Area::Services,
        code: "dispose",
        what: format!("{who} cannot be disposed of as a `{other}`"),
        at: who.at.to_owned(),
        fix: format!(
            "register the type itself and `Service::forward` the port: `factory::<{other}, …>(…).disposed::<{other}>()`"
        ),
    }
}

pub(super) fn check(collection: &ServiceCollection) -> Faults {
    let graph = Edges::of(&collection.services);
    let mut faults = Faults::default();
    let mut ambiguous = HashSet::new();
    for (index, service) in collection.services.iter().enumerate() {
        let (who, needs) = (Who::of(service), &graph.needs[index]);
        graph.check_needs(who, service.lifetime, needs, &mut ambiguous, &mut faults);
        if service.lifetime == Lifetime::Singleton {
            graph.check_captive(who, needs, &mut faults);
        }
    }
    for (index, entry) in collection.entries.iter().enumerate() {
        // A handler may be listed for several events.
        if collection.entries[..index].iter().any(|other| other.is_same_as(entry)) {
            continue;
        }
        let mut needs = Dependencies::default();
        (entry.needs)(&mut needs);
        let is_root = entry.lifetime == Lifetime::Singleton;
        let who = Who { at: entry.key.name, is_made: false, is_root };
        graph.check_needs(who, entry.lifetime, &needs, &mut ambiguous, &mut faults);
        if entry.lifetime == Lifetime::Singleton {
            graph.check_captive(who, &needs, &mut faults);
        }
    }
    graph.check_cycles(&mut faults);
    faults
}

impl Edges<'_> {
    fn check_needs(
        &self,
        who: Who,
        lifetime: Lifetime,
        needs: &Dependencies,
        ambiguous: &mut HashSet<TypeId>,
        faults: &mut Faults,
    ) {
        for need in &needs.list {
            let found = self.found(need.key.id);
            let wanted = short_name(need.key.name);
            if found.is_empty() && need.need == Need::One {
                let implementation = if wanted.starts_with("dyn ") { "…" } else { &wanted };
                let add = if lifetime == Lifetime::Singleton { "add_singleton" } else { "add_scoped" };
                faults.push(Fault {
                    area: Area::Services,
                    code: "missing",
                    what: format!("{who} needs `{wanted}`, which is not registered"),
                    at: who.at.to_owned(),
                    fix: format!("register it, for example `services.{add}::<{wanted}, {implementation}>()`"),
                });
            }
            if found.len() > 1 && need.need != Need::All && ambiguous.insert(need.key.id) {
                let candidates: Vec<_> =
                    found.iter().map(|&index| Who::of(&self.services[index]).to_string()).collect();
                faults.push(Fault {
                    area: Area::Services,
                    code: "duplicate",
                    what: format!(
                        "{who} needs one `{wanted}`, and {} are registered: {}",
                        found.len(),
                        candidates.join(", ")
                    ),
                    at: who.at.to_owned(),
                    fix: format!("register one, `replace` the others, or take all as `Vec<Arc<{wanted}>>`"),
                });
            }
        }
    }

    fn check_captive(&self, who: Who, needs: &Dependencies, faults: &mut Faults) {
        if let Some(handle) = needs.scope_bound {
            faults.push(captive(who, &format!("{} → {handle}", who.label()), handle));
        }
        let (mut seen, mut told) = (HashSet::new(), HashSet::new());
        let mut stack: Vec<(usize, String)> =
            self.targets(needs).into_iter().rev().map(|target| (target, who.label())).collect();
        while let Some((index, path)) = stack.pop() {
            if !seen.insert(index) {
                continue;
            }
            let service = &self.services[index];
            let target = short_name(service.key.name);
            let path = format!("{path} → {target}");
            match service.lifetime {
                Lifetime::Singleton => {}
                Lifetime::Scoped => {
                    if told.insert(service.key.id) {
                        faults.push(captive(who, &path, &target));
                    }
                }
                Lifetime::Transient => {
                    let needs = &self.needs[index];
                    if let Some(handle) = needs.scope_bound {
                        faults.push(captive(who, &format!("{path} → {handle}"), handle));
                    }
                    stack.extend(self.targets(needs).into_iter().rev().map(|target| (target, path.clone())));
                }
            }
        }
    }

    /// Reports a circle for every edge that is part of one: two circles may share all but one of them.
    fn check_cycles(&self, faults: &mut Faults) {
        let mut place = vec![0; self.services.len()];
        for (position, index) in self.in_order().into_iter().enumerate() {
            place[index] = position;
        }
        let edges = || {
            let targets = |source: usize| self.targets(&self.needs[source]).into_iter();
            (0..self.services.len())
                .flat_map(move |source| targets(source).map(move |target| (source, target)))
        };
        // Without circles everything comes after what it needs.
        if edges().all(|(source, target)| place[target] < place[source]) {
            return;
        }
        let mut told = HashSet::new();
        for (source, target) in edges() {
            let Some(mut circle) = self.path(target, source) else { continue };
            let first = (0..circle.len()).min_by_key(|&position| circle[position]).unwrap_or_default();
            circle.rotate_left(first);
            if told.insert(circle.clone()) {
                faults.push(self.cycle(&circle));
            }
        }
    }

    /// The shortest way from one service to another, both included.
    fn path(&self, from: usize, to: usize) -> Option<Vec<usize>> {
        let mut reached_by = vec![None; self.services.len()];
        let mut queue = VecDeque::from([from]);
        while let Some(index) = queue.pop_front() {
            if index == to {
                let mut path = vec![to];
                let mut last = to;
                while last != from {
                    last = reached_by[last]?;
                    path.push(last);
                }
                path.reverse();
                return Some(path);
            }
            for target in self.targets(&self.needs[index]) {
                if target != from && reached_by[target].is_none() {
                    reached_by[target] = Some(index);
                    queue.push_back(target);
                }
            }
        }
        None
    }

    fn cycle(&self, circle: &[usize]) -> Fault {
        let who = |&index: &usize| Who::of(&self.services[index]);
        let names: Vec<_> = circle.iter().chain(circle.first()).map(|index| who(index).label()).collect();
        Fault {
            area: Area::Services,
            code: "cycle",
            what: format!("services need each other in a circle: {}", names.join(" → ")),
            at: circle.first().map(who).map_or_else(String::new, |who| who.at.to_owned()),
            fix: "take one of them out of the circle, for example by an event or a smaller port".to_owned(),
        }
    }
}

fn captive(who: Who, path: &str, target: &str) -> Fault {
    let label = who.label();
    let fix = if who.is_root {
        format!("make what `{label}` needs a singleton, or let it open scopes of its own with `ScopeFactory`")
    } else {
        format!("make `{label}` scoped, or let it open scopes of its own with `ScopeFactory`")
    };
    Fault {
        area: Area::Services,
        code: "captive",
        what: format!(
            "{who} lives as long as the application and needs `{target}`, which lives for one scope: {path}"
        ),
        at: who.at.to_owned(),
        fix,
    }
}

/// What people call a service: the type that is built, or, for a factory, the type that it is found as.
#[derive(Clone, Copy)]
struct Who {
    /// The full name of that type.
    at: &'static str,
    /// Whether it comes ready or from a factory.
    is_made: bool,
    /// Whether the host builds it, for as long as the application lives.
    is_root: bool,
}

impl Who {
    fn of(service: &Service) -> Self {
        Self {
            at: service.implementation.unwrap_or(service.key).name,
            is_made: service.implementation.is_none(),
            is_root: false,
        }
    }

    /// The name without the path.
    fn label(self) -> String {
        short_name(self.at)
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let made = if self.is_made { "the factory of " } else { "" };
        write!(f, "{made}`{}`", self.label())
    }
}
