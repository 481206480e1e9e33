//! Several structs from one environment, and declarations that do not go together.

use std::net::IpAddr;

use neuroglia::settings::{Environment, Loader, Settings, Variable};

use super::pizzeria::*;

/// What the host needs; it has a variable in common with the application.
#[derive(Settings)]
struct HostSettings {
    /// The port the HTTP server binds.
    #[setting(alias = "SERVER_PORT", default = "8000")]
    port: u16,
    #[setting(default = "0.0.0.0")]
    server_host: IpAddr,
}

#[test]
fn several_structs_load_from_one_environment() {
    let environment = Environment::from_pairs([("PORT", "x"), ("JWT_SECRET_KEY", STRONG)]);
    let report = environment.load::<(HostSettings, PizzeriaSettings)>(&["PIZZERIA_"]).report;
    let names: Vec<_> = report.entries().iter().map(|entry| entry.variable.name()).collect();
    assert_eq!(names.iter().filter(|name| **name == "PORT").count(), 1);
    let faults: Vec<_> = report.faults().iter().map(|fault| fault.code).collect();
    assert_eq!(faults, ["invalid", "missing"]);

    let mut loader = Loader::new(Environment::from_pairs(LEAST));
    let host: Option<HostSettings> = loader.load();
    let pizzeria: Option<PizzeriaSettings> = loader.load();
    assert!(loader.finish(&["PIZZERIA_"]).faults().is_empty());
    let host = host.expect("it has defaults");
    assert_eq!((host.port, host.server_host.is_unspecified()), (8000, true));
    assert!(pizzeria.is_some());
}

#[test]
fn declarations_that_contradict_each_other_are_faults() {
    struct Contradicting;
    impl Settings for Contradicting {
        fn load(loader: &mut Loader) -> Option<Self> {
            let _: Option<u16> = loader.value(Variable::new("PORT").default("8000"));
            let _: Option<u16> = loader.value(Variable::new("PORT").default("9000"));
            let _: Option<Option<String>> = loader.value(Variable::new("LOG"));
            let _: Option<Option<String>> = loader.value(Variable::new("LOG_FILE").alias("JOURNAL"));
            let _: Option<Option<String>> = loader.value(Variable::new("JOURNAL"));
            Some(Self)
        }
    }
    let loaded = Environment::from_pairs([("A", "b")]).load::<Contradicting>(&[]);
    assert!(loaded.settings.is_none());
    let faults: Vec<_> =
        loaded.report.faults().iter().map(|fault| (fault.code, fault.what.as_str())).collect();
    assert_eq!(
        faults,
        [
            ("declared_twice", "`PORT` is declared twice, with different types or defaults"),
            ("clash", "`LOG_FILE` is a variable, and also names the file of `LOG`"),
            ("clash", "`JOURNAL` is a name of `JOURNAL` and of `LOG_FILE`"),
        ]
    );
}

#[test]
fn settings_that_vanish_without_a_reason_are_a_fault() {
    struct Silent;
    impl Settings for Silent {
        fn load(_: &mut Loader) -> Option<Self> {
            None
        }
    }
    let faults = faults_of::<Silent>(&Environment::from_pairs([("A", "b")]));
    assert_eq!((faults.len(), faults[0].code), (1, "defect"));
}
