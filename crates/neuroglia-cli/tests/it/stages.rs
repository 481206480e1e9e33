//! Build, release, run: three stages that know no more of each other than they must.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde_json::Value;

use crate::terminal::Workshop;

const RELEASE: [&str; 4] = ["release", "--env", "deployment/production", "--secrets-elsewhere"];

/// The folders of builds or releases, oldest first.
fn kept(workshop: &Workshop, kind: &str) -> Vec<PathBuf> {
    let folder = workshop.path(".neuroglia/fixture-app").join(kind);
    let mut kept: Vec<_> = std::fs::read_dir(folder)
        .map(|entries| entries.map(|entry| entry.expect("it is readable").path()).collect())
        .unwrap_or_default();
    kept.sort();
    kept
}

fn manifest(path: PathBuf) -> Value {
    let text = std::fs::read_to_string(path).expect("it was written");
    serde_json::from_str(&text).expect("it is JSON")
}

fn id(folder: &std::path::Path) -> String {
    folder.file_name().expect("it has a name").to_string_lossy().into_owned()
}

#[test]
fn a_commit_becomes_a_build_a_release_and_a_process() {
    let workshop = Workshop::new().commit().export("UNRELATED", "must not leak").export("PORT", "1234");

    // Build: everything that went in is known, and nothing of a deploy.
    workshop.done(&["build"]);
    let build = kept(&workshop, "builds").remove(0);
    let built = manifest(build.join("build.json"));
    assert_eq!((&built["application"], &built["version"]), (&"fixture-app".into(), &"0.0.0".into()));
    assert_eq!(built["source"]["commit"].as_str().map(str::len), Some(40), "{built}");
    assert_eq!(built["source"]["is_dirty"], false);
    for digest in [&built["cargo_lock"], &built["executable"]["digest"]] {
        assert_eq!(
            digest.as_str().map(|digest| (&digest[..7], digest.len())),
            Some(("sha256:", 71)),
            "{built}"
        );
    }
    assert!(built["rustc"].as_str().is_some_and(|rustc| rustc.starts_with("rustc 1.")), "{built}");
    let mode = std::fs::metadata(build.join("fixture-app")).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o555, "it runs and is not written");

    // Release: the source is not needed any more.
    std::fs::remove_dir_all(workshop.path("src")).expect("it is ours");
    std::fs::remove_file(workshop.path("Cargo.toml")).expect("it is ours");
    let said = workshop.done(&RELEASE);
    assert!(said.contains("not judged here"), "{said}");
    let release = kept(&workshop, "releases").remove(0);
    let text = std::fs::read_to_string(release.join("release.json")).expect("it was written");
    let released: Value = serde_json::from_str(&text).expect("it is JSON");
    assert_eq!(released["build"], built);
    assert_eq!(released["deploy"], "production");
    assert!(text.contains("DATABASE_URL_FILE") && !text.contains("/run/secrets/database_url"), "{text}");
    assert_eq!(
        workshop.path(".neuroglia/fixture-app/current").canonicalize().ok(),
        release.canonicalize().ok()
    );

    // Run: the process is the application's own, to the exit code.
    std::fs::remove_dir_all(workshop.path("deployment")).expect("it is ours");
    let (output, status) = workshop.neuroglia(&["run", "admin", "tell", "--what", "a b"]).end();
    assert_eq!(status.code(), Some(7), "{output}");
    let told = format!("release {} told [\"--what\", \"a b\"], serve\n", id(&release));
    assert_eq!(output, told);
    let calls = workshop.read("calls.log");
    for expected in
        ["env ENVIRONMENT=production\n", "env PORT=1234\n", "env KEY_FILE=/run/secrets/fixture_key\n"]
    {
        assert!(calls.contains(expected), "no {expected}: {calls}");
    }
    assert!(!calls.contains("UNRELATED"), "{calls}");
}

#[test]
fn what_cannot_be_said_of_a_build_is_no_build() {
    let workshop = Workshop::new();
    assert!(workshop.refused(&["build"]).contains("--allow-dirty"));
    let workshop = workshop.commit();
    workshop.write("src/more.rs", "");
    let refused = workshop.refused(&["build"]);
    assert!(refused.contains("not committed"), "{refused}");
    workshop.done(&["build", "--allow-dirty"]);
    assert_eq!(manifest(kept(&workshop, "builds").remove(0).join("build.json"))["source"]["is_dirty"], true);

    workshop.write("Cargo.lock", "version = 4\n");
    let refused = workshop.refused(&["build", "--allow-dirty"]);
    assert!(refused.contains("--locked"), "cargo says why: {refused}");
    assert_eq!(kept(&workshop, "builds").len(), 1);
}

#[test]
fn a_static_build_needs_no_loader() {
    let workshop = Workshop::new().commit();
    workshop.done(&["build", "--static"]);
    let executable =
        std::fs::read(kept(&workshop, "builds").remove(0).join("fixture-app")).expect("it is there");
    // The program headers of a 64-bit ELF file of this machine's byte order; type 3 names a loader.
    let number = |at: usize, length: usize| {
        let bytes = executable[at..at + length].iter().rev();
        bytes.fold(0_usize, |number, &byte| number << 8 | usize::from(byte))
    };
    assert_eq!(&executable[..5], b"\x7fELF\x02");
    let (offset, size, count) = (number(32, 8), number(54, 2), number(56, 2));
    let types: Vec<usize> = (0..count).map(|header| number(offset + header * size, 4)).collect();
    assert!(types.contains(&1) && !types.contains(&3), "{types:?}");
}

#[test]
fn a_configuration_that_would_not_start_is_not_released() {
    let workshop = Workshop::new().commit();
    workshop.done(&["build"]);
    let refused = workshop.refused(&["release", "--env", "deployment/production"]);
    assert!(
        refused.contains("a secret cannot be read") && refused.contains("--secrets-elsewhere"),
        "{refused}"
    );

    let line = |line: &str| {
        let text = workshop.read("deployment/production/app.env");
        workshop.write("deployment/production/app.env", &format!("{text}{line}\n"));
        workshop.refused(&RELEASE)
    };
    let refused = line("KEY=hunter2");
    assert!(
        refused.contains("KEY is a secret") && refused.contains("KEY_FILE=/run/secrets/key"),
        "{refused}"
    );
    assert!(!refused.contains("hunter2"), "{refused}");
    let refused = line("BEHAVIOUR=unlikely");
    assert!(refused.contains("BEHAVIOUR stands here twice"), "{refused}");
    workshop.write("deployment/production/app.env", "BEHAVIOUR=unlikely\n");
    let refused = workshop.refused(&RELEASE);
    assert!(refused.contains("`BEHAVIOUR` is not to my taste (here): mend it"), "{refused}");
    workshop.write("deployment/production/app.env", "RELEASE_ID=mine\n");
    assert!(workshop.refused(&RELEASE).contains("RELEASE_ID"));
    assert_eq!(kept(&workshop, "releases"), Vec::<PathBuf>::new());
}

#[test]
fn releases_are_listed_gone_back_to_and_never_changed() {
    let workshop = Workshop::new().commit();
    assert!(workshop.refused(&["run", "web"]).contains("neuroglia build"));
    workshop.done(&["build"]);
    assert!(workshop.refused(&["run", "web"]).contains("no current release"));
    let behaviour = |word: &str| {
        let told = workshop.neuroglia(&["run", "admin", "tell"]).end().0;
        assert!(told.contains(&format!(", {word}\n")), "{told}");
    };
    for word in ["first", "second"] {
        workshop.write("deployment/production/app.env", &format!("BEHAVIOUR={word}\n"));
        workshop.done(&RELEASE);
        behaviour(word);
    }
    let releases = kept(&workshop, "releases");
    let [first, second] = [id(&releases[0]), id(&releases[1])];
    let is_current = |id: &str| workshop.done(&["releases"]).contains(&format!("\n*  {id}  production"));
    assert!(is_current(&second));

    workshop.done(&["rollback"]);
    assert!(is_current(&first));
    behaviour("first");
    assert!(workshop.refused(&["rollback"]).contains("no release for production before"));
    workshop.done(&["rollback", &second]);
    assert!(is_current(&second));
    assert!(workshop.refused(&["rollback", "none"]).contains("there is no release none"));
    let refused = workshop.refused(&["run", "mail"]);
    assert!(refused.contains("there are release, web, worker, and admin"), "{refused}");

    workshop.done(&["releases", "--verify"]);
    let config = releases[0].join("config/app.env");
    std::fs::remove_file(&config).expect("the folder is ours");
    std::fs::write(&config, "BEHAVIOUR=other\n").expect("the folder is ours");
    let refused = workshop.refused(&["releases", "--verify"]);
    assert!(refused.contains(&format!("the configuration of release {first} was changed")), "{refused}");
    assert!(workshop.refused(&["rollback", &first]).contains("was changed"));
}

#[test]
fn a_release_takes_every_file_of_its_deploy_along() {
    let workshop = Workshop::new().commit();
    workshop.done(&["build"]);
    std::fs::create_dir(workshop.path("deployment/production/tls")).expect("the folder is ours");
    workshop.write("deployment/production/tls/authority.pem", "one\n");
    workshop.done(&RELEASE);
    std::fs::remove_dir_all(workshop.path("deployment")).expect("it is ours");
    let release = kept(&workshop, "releases").remove(0);
    let authority = release.join("config/tls/authority.pem");
    assert_eq!(std::fs::read_to_string(&authority).expect("it was taken along"), "one\n");
    let files = manifest(release.join("release.json"))["config"]["files"].clone();
    assert_eq!(files, serde_json::json!(["app.env", "tls/authority.pem"]));

    let verify = || workshop.neuroglia(&["releases", "--verify"]).end();
    assert_eq!(verify().1.code(), Some(0));
    let write = |text: &str| {
        let _ = std::fs::remove_file(&authority);
        std::fs::write(&authority, text).expect("the folder is ours");
        verify()
    };
    assert!(write("two\n").0.contains("was changed"));
    assert_eq!(write("one\n").1.code(), Some(0));
    let elsewhere = release.join("config/authority.pem");
    std::fs::rename(&authority, &elsewhere).expect("the folder is ours");
    assert!(verify().0.contains("was changed"), "its name is part of it");
}

#[test]
fn what_does_not_belong_into_a_release_is_refused() {
    let workshop = Workshop::new().commit();
    workshop.done(&["build"]);
    std::os::unix::fs::symlink(workshop.path("Cargo.lock"), workshop.path("deployment/production/lock"))
        .expect("the folder is ours");
    let refused = workshop.refused(&RELEASE);
    assert!(refused.contains("lock is a link that leads out of the deploy"), "{refused}");
    assert_eq!(kept(&workshop, "releases"), Vec::<PathBuf>::new());
}

#[test]
fn what_is_exported_and_does_not_reach_the_application_is_named() {
    let workshop = Workshop::new().commit().export("PORT", "1234").export("UNRELATED", "other");
    let workshop = workshop.export("KEY", "hunter2").export("SHUTDOWN_TIMEOUT", "9s");
    workshop.done(&["build"]);
    workshop.done(&RELEASE);
    let (output, status) = workshop.neuroglia(&["run", "admin", "tell"]).end();
    assert_eq!(status.code(), Some(7), "{output}");
    let notes: Vec<_> = output.lines().filter(|line| line.starts_with("note: ")).collect();
    let expected = "note: exported and left out: SHUTDOWN_TIMEOUT, KEY; a release has its own configuration: \
                    set them in deployment/production, and release again";
    assert_eq!(notes, [expected], "{output}");
    let calls = workshop.read("calls.log");
    assert!(calls.contains("env PORT=1234\n") && !calls.contains("hunter2"), "{calls}");
}

#[test]
fn a_depot_stands_where_it_is_told_to() {
    let workshop = Workshop::new().commit();
    let depot = workshop.path("depot").display().to_string();
    workshop.write(".gitignore", "target\ncalls.log\n/depot\n");
    workshop.done(&["build", "--allow-dirty", "--depot", &depot]);
    workshop.done(&[&RELEASE[..], &["--depot", &depot]].concat());
    assert!(workshop.done(&["releases", "--depot", &depot]).contains("production"));
    let (output, status) = workshop.neuroglia(&["run", "--depot", &depot, "admin", "tell"]).end();
    assert_eq!(status.code(), Some(7), "{output}");
    assert_eq!(kept(&workshop, "builds"), Vec::<PathBuf>::new());
}
