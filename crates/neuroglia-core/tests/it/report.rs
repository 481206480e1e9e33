//! What the check of the graph says, word for word.

use std::sync::Arc;

use neuroglia::di::{Dispose, Inject, Lifetime, Service, ServiceCollection};
use neuroglia::mediation::{Mediator, Messages, Pipeline};

fn report(register: impl FnOnce(&mut ServiceCollection)) -> String {
    let mut services = ServiceCollection::new();
    register(&mut services);
    let faults = services.build().err().map(|faults| faults.to_string()).unwrap_or_default();
    // The test's own module is not what is looked at.
    faults.replace("it::report::", "")
}

trait Port: Send + Sync {}

struct Table;

#[derive(Inject)]
#[provides(dyn Port)]
struct Adapter {
    _table: Arc<Table>,
}
impl Port for Adapter {}
impl Dispose for Adapter {
    async fn dispose(&self) {}
}

#[derive(Inject)]
#[provides(dyn Port)]
struct OtherAdapter {}
impl Port for OtherAdapter {}

#[derive(Inject)]
struct Handler {
    _port: Arc<dyn Port>,
    _same: Arc<dyn Port>,
}

#[derive(Inject)]
struct Worker {
    _handler: Arc<Handler>,
}

#[test]
fn a_graph_that_holds_has_no_report() {
    let report = report(|services| {
        services.add_instance(Table).add_scoped::<dyn Port, Adapter>().add_scoped::<Handler, Handler>();
    });
    assert_eq!(report, "");
}

#[test]
fn missing_services_are_reported_once_for_each_consumer() {
    let report = report(|services| {
        services.add_singleton::<dyn Port, Adapter>().enter::<Handler>().enter::<Worker>();
    });
    assert_eq!(
        report,
        "  1. services: `Adapter` needs `Table`, which is not registered
     at   Adapter
     do   register it, for example `services.add_singleton::<Table, Table>()`
  2. services: `Worker` needs `Handler`, which is not registered
     at   Worker
     do   register it, for example `services.add_scoped::<Handler, Handler>()`
"
    );
}

#[test]
fn a_factory_is_named_by_what_it_makes() {
    struct Made;
    let report = report(|services| {
        services.add(Service::factory::<Made, (Arc<dyn Port>,), _>(Lifetime::Scoped, |_| Ok(Arc::new(Made))));
    });
    assert_eq!(
        report,
        "  1. services: the factory of `Made` needs `dyn Port`, which is not registered
     at   a_factory_is_named_by_what_it_makes::Made
     do   register it, for example `services.add_scoped::<dyn Port, …>()`
"
    );
}

#[test]
fn a_circle_is_reported_once_with_its_path() {
    #[derive(Inject)]
    struct Hen {
        _egg: Arc<Egg>,
    }
    #[derive(Inject)]
    struct Egg {
        _hen: Arc<Hen>,
        _brood: Vec<Arc<Hen>>,
    }
    #[derive(Inject)]
    struct Narcissus {
        _mirror: Arc<Narcissus>,
    }
    let report = report(|services| {
        services.add_scoped::<Hen, Hen>().add_scoped::<Egg, Egg>().add_transient::<Narcissus, Narcissus>();
    });
    assert_eq!(
        report,
        "  1. services: services need each other in a circle: Hen → Egg → Hen
     at   a_circle_is_reported_once_with_its_path::Hen
     do   take one of them out of the circle, for example by an event or a smaller port
  2. services: services need each other in a circle: Narcissus → Narcissus
     at   a_circle_is_reported_once_with_its_path::Narcissus
     do   take one of them out of the circle, for example by an event or a smaller port
"
    );
}

#[test]
fn circles_that_share_services_are_reported_each() {
    #[derive(Inject)]
    struct A {
        _b: Arc<B>,
        _c: Arc<C>,
    }
    #[derive(Inject)]
    struct B {
        _d: Arc<D>,
    }
    #[derive(Inject)]
    struct C {
        _d: Arc<D>,
    }
    #[derive(Inject)]
    struct D {
        _a: Arc<A>,
    }
    let report = report(|services| {
        services.add_scoped::<D, D>().add_scoped::<C, C>().add_scoped::<B, B>().add_scoped::<A, A>();
    });
    let circles: Vec<_> = report.lines().filter_map(|line| line.split("in a circle: ").nth(1)).collect();
    assert_eq!(circles, ["D → A → B → D", "D → A → C → D"]);
}

#[test]
fn what_a_handler_of_several_events_needs_is_reported_once() {
    #[derive(serde::Serialize)]
    struct Opened;
    impl neuroglia::domain::DomainEvent for Opened {
        const NAME: &'static str = "shop.opened";
    }
    #[derive(serde::Serialize)]
    struct Closed;
    impl neuroglia::domain::DomainEvent for Closed {
        const NAME: &'static str = "shop.closed";
    }
    #[derive(Inject)]
    struct Sign {
        _table: Arc<Table>,
    }
    impl neuroglia::mediation::EventHandler<Opened> for Sign {
        async fn handle(&self, _: &Opened) -> neuroglia::error::Result<()> {
            Ok(())
        }
    }
    impl neuroglia::mediation::EventHandler<Closed> for Sign {
        async fn handle(&self, _: &Closed) -> neuroglia::error::Result<()> {
            Ok(())
        }
    }
    let report = report(|services| {
        neuroglia::mediation::Messages::default()
            .event::<Opened, Sign>()
            .event::<Closed, Sign>()
            .register(services);
    });
    assert_eq!(report.matches("`Sign` needs `Table`").count(), 1, "{report}");
}

#[test]
fn a_captive_service_is_reported_with_its_path() {
    let report = report(|services| {
        services.add_scoped::<dyn Port, OtherAdapter>();
        services.add_singleton::<Handler, Handler>();
    });
    assert_eq!(
        report,
        "  1. services: `Handler` lives as long as the application and needs `dyn Port`, which lives for one \
         scope: Handler → dyn Port
     at   Handler
     do   make `Handler` scoped, or let it open scopes of its own with `ScopeFactory`
"
    );
}

#[test]
fn a_captive_service_is_found_through_transient_ones() {
    let report = report(|services| {
        services.add_scoped::<dyn Port, OtherAdapter>();
        services.add_transient::<Handler, Handler>();
        services.add_singleton::<Worker, Worker>();
        services.add(Service::connected::<Table, (Option<Arc<Handler>>,), _, _>(|_| async {
            Ok(Arc::new(Table))
        }));
    });
    assert_eq!(
        report,
        "  1. services: `Worker` lives as long as the application and needs `dyn Port`, which lives for one \
         scope: Worker → Handler → dyn Port
     at   Worker
     do   make `Worker` scoped, or let it open scopes of its own with `ScopeFactory`
  2. services: the factory of `Table` lives as long as the application and needs `dyn Port`, which lives for \
         one scope: Table → Handler → dyn Port
     at   Table
     do   make `Table` scoped, or let it open scopes of its own with `ScopeFactory`
"
    );
}

#[test]
fn a_mediator_belongs_to_a_scope() {
    #[derive(Inject)]
    struct Sender {
        _mediator: Mediator,
    }
    #[derive(Inject)]
    struct Timer {
        _sender: Arc<Sender>,
    }
    let report = report(|services| {
        Messages::new(Pipeline::empty()).register(services);
        services.add_singleton::<Timer, Timer>();
        services.add_transient::<Sender, Sender>();
        services.enter_root::<Sender>();
    });
    assert_eq!(
        report,
        "  1. services: `Timer` lives as long as the application and needs `Mediator`, which lives for one \
         scope: Timer → Sender → Mediator
     at   a_mediator_belongs_to_a_scope::Timer
     do   make `Timer` scoped, or let it open scopes of its own with `ScopeFactory`
  2. services: `Sender` lives as long as the application and needs `Mediator`, which lives for one scope: \
         Sender → Mediator
     at   a_mediator_belongs_to_a_scope::Sender
     do   make what `Sender` needs a singleton, or let it open scopes of its own with `ScopeFactory`
"
    );
}

#[test]
fn what_is_built_from_the_root_may_not_need_a_scope() {
    let report = report(|services| {
        services.add_scoped::<Handler, Handler>().add_scoped::<dyn Port, OtherAdapter>();
        services.enter_root::<Worker>();
    });
    assert_eq!(
        report,
        "  1. services: `Worker` lives as long as the application and needs `Handler`, which lives for one \
         scope: Worker → Handler
     at   Worker
     do   make what `Worker` needs a singleton, or let it open scopes of its own with `ScopeFactory`
"
    );
}

#[test]
fn one_of_several_is_ambiguous() {
    let report = report(|services| {
        services.add_scoped::<dyn Port, OtherAdapter>();
        services
            .add(Service::factory::<dyn Port, (), _>(Lifetime::Scoped, |()| Ok(Arc::new(OtherAdapter {}))));
        services.enter::<Handler>();
    });
    assert_eq!(
        report,
        "  1. services: `Handler` needs one `dyn Port`, and 2 are registered: `OtherAdapter`, the factory of \
         `dyn Port`
     at   Handler
     do   register one, `replace` the others, or take all as `Vec<Arc<dyn Port>>`
"
    );
}

#[test]
fn a_type_is_registered_once() {
    let report = report(|services| {
        services.add_scoped::<dyn Port, OtherAdapter>().add_singleton::<dyn Port, OtherAdapter>();
    });
    assert_eq!(
        report,
        "  1. services: `OtherAdapter` is registered twice as `dyn Port`
     at   OtherAdapter
     do   keep one of the two registrations, or use `try_add` in the second place
"
    );
}

#[test]
fn a_service_is_disposed_of_as_what_it_is() {
    let report = report(|services| {
        services.add(Service::shared::<dyn Port>(Arc::new(OtherAdapter {})).disposed::<Adapter>());
    });
    assert_eq!(
        report,
        "  1. services: the factory of `dyn Port` cannot be disposed of as a `Adapter`
     at   dyn Port
     do   register the type itself and `Service::forward` the port: `factory::<Adapter, …>(…).disposed::<Adapter>()`
"
    );
}

#[test]
fn every_fault_is_reported_at_once() {
    #[derive(Inject)]
    struct Circle {
        _circle: Arc<Circle>,
    }
    let mut services = ServiceCollection::new();
    services.fault(neuroglia::fault::Fault {
        area: neuroglia::fault::Area::Services,
        code: "own",
        what: "a registration function found something".to_owned(),
        at: String::new(),
        fix: String::new(),
    });
    services.add_scoped::<dyn Port, OtherAdapter>().add_scoped::<dyn Port, OtherAdapter>();
    services
        .add_singleton::<Handler, Handler>()
        .add_scoped::<Circle, Circle>()
        .add_scoped::<Adapter, Adapter>();
    let faults = services.build().expect_err("nothing holds");
    let codes: Vec<_> = faults.iter().map(|fault| fault.code).collect();
    assert_eq!(codes, ["own", "duplicate", "duplicate", "captive", "missing", "cycle"]);
}

#[test]
fn nothing_is_constructed_by_the_check() {
    let mut services = ServiceCollection::new();
    services.add(Service::factory::<Table, (), _>(Lifetime::Singleton, |()| panic!("it is only checked")));
    assert!(services.build().is_ok());
}

#[test]
fn services_are_described_in_the_order_of_registration() {
    let mut services = ServiceCollection::new();
    services.add_instance(Table).add_scoped::<dyn Port, Adapter>();
    let lines: Vec<_> = services
        .describe()
        .into_iter()
        .map(|service| {
            format!("{} {} {} {:?}", service.service, service.implementation, service.lifetime, service.needs)
        })
        .collect();
    assert_eq!(lines, ["Table factory singleton []", "dyn Port Adapter scoped [\"Table\"]"]);
}
