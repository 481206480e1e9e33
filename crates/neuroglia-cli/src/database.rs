//! The development database, as far as `--fresh` deletes it.
//!
//! Only what lies in the application's own development folder is ever deleted: a `DATABASE_URL`
//! that a developer exported may lead anywhere.

use std::fs::{File, TryLockError};
use std::path::{Component, Path, PathBuf};

use percent_encoding::percent_decode_str;

use crate::Result;
use crate::project::Project;

const PRESENCE: &str = "-presence";

/// Deletes the database that `url` names and says what was deleted.
///
/// # Errors
/// When the database is no file inside `folder`, is in use, or cannot be deleted.
pub(crate) fn delete(url: Option<&str>, project: &Project, folder: &Path) -> Result<String> {
    let Some(url) = url else {
        return Err("--fresh needs DATABASE_URL in deployment/dev, to know what to delete".to_owned());
    };
    if url.starts_with("memory:") {
        return Ok("the database is kept in memory; nothing to delete".to_owned());
    }
    let Some(path) = url.strip_prefix("sqlite://") else {
        let scheme = url.split(':').next().unwrap_or_default();
        return Err(format!(
            "--fresh deletes sqlite:// databases only, and DATABASE_URL is {scheme}://: empty that one yourself"
        ));
    };
    // As the application reads the URL, or another file than its own would be deleted.
    let path = path.split('?').next().unwrap_or(path);
    let path = percent_decode_str(path)
        .decode_utf8()
        .map_err(|_| "the path in DATABASE_URL is not UTF-8: correct it".to_owned())?;
    let path = project.root.join(&*path);
    let climbs = path.components().any(|component| component == Component::ParentDir);
    if climbs || !path.starts_with(folder) {
        return Err(format!(
            "--fresh deletes inside {} only, and the database is {}: delete it yourself",
            folder.display(),
            path.display()
        ));
    }

    let _alone = alone_with(&path)?;
    let mut deleted = Vec::new();
    // SQLite keeps the write-ahead log, its index and a rollback journal beside the database.
    for suffix in ["", "-wal", "-shm", "-journal", PRESENCE] {
        let file = beside(&path, suffix);
        match std::fs::remove_file(&file) {
            Ok(()) => deleted.push(file.strip_prefix(&project.root).unwrap_or(&file).display().to_string()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(format!("cannot delete {}: {error}", file.display())),
        }
    }
    if deleted.is_empty() {
        return Ok("there was no database to delete".to_owned());
    }
    Ok(format!("deleted {}", deleted.join(", ")))
}

/// The sign that nobody else uses the database, as long as it lives; `None` when nobody ever did.
///
/// Every process of an application holds a shared lock on this file beside its database.
fn alone_with(database: &Path) -> Result<Option<File>> {
    let path = beside(database, PRESENCE);
    let failed = |error: std::io::Error| format!("cannot open {}: {error}", path.display());
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(format!(
            "a running application uses {}: stop it (Ctrl-C in its terminal), then try again",
            database.display()
        )),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(suffix);
    PathBuf::from(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(root: &Path) -> Project {
        Project {
            package: "app".to_owned(),
            folder: root.join("app"),
            root: root.to_owned(),
            version: "1.0.0".to_owned(),
        }
    }

    #[test]
    fn the_database_and_its_log_are_deleted() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let folder = root.path().join(".neuroglia/app");
        std::fs::create_dir_all(&folder).expect("the folder is ours");
        for name in ["my dev.db", "my dev.db-wal", "my dev.db-presence", "KEY"] {
            std::fs::write(folder.join(name), "x").expect("the folder is ours");
        }
        let url = Some("sqlite://.neuroglia/app/my%20dev.db?mode=rwc");
        let said = delete(url, &project(root.path()), &folder);
        let expected = ["", "-wal", "-presence"].map(|suffix| format!(".neuroglia/app/my dev.db{suffix}"));
        assert_eq!(said, Ok(format!("deleted {}", expected.join(", "))));
        assert!(folder.join("KEY").exists());
        let said = delete(url, &project(root.path()), &folder);
        assert_eq!(said.as_deref(), Ok("there was no database to delete"));
    }

    #[test]
    fn a_database_in_use_is_not_deleted() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let folder = root.path().join(".neuroglia/app");
        std::fs::create_dir_all(&folder).expect("the folder is ours");
        let database = folder.join("dev.db");
        std::fs::write(&database, "x").expect("the folder is ours");
        let presence = File::create(folder.join("dev.db-presence")).expect("the folder is ours");
        presence.lock_shared().expect("nobody else has it");
        let url = Some("sqlite://.neuroglia/app/dev.db");
        let refused = delete(url, &project(root.path()), &folder).expect_err("it is in use");
        assert!(refused.contains("stop it") && refused.contains("dev.db"), "{refused}");
        assert!(database.exists());
        drop(presence);
        delete(url, &project(root.path()), &folder).expect("nobody uses it any more");
        assert!(!database.exists());
    }

    #[test]
    fn nothing_outside_the_folder_is_deleted() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let folder = root.path().join(".neuroglia/app");
        let precious = root.path().join("precious.db");
        std::fs::write(&precious, "x").expect("the folder is ours");
        let absolute = format!("sqlite://{}", precious.display());
        for url in [
            absolute.as_str(),
            "sqlite://precious.db",
            "sqlite://.neuroglia/app/../../precious.db",
            "sqlite://.neuroglia/app/%2e%2e/%2E./precious.db",
            "postgres://h/d",
        ] {
            assert!(delete(Some(url), &project(root.path()), &folder).is_err(), "{url}");
        }
        assert!(precious.exists());
    }
}
