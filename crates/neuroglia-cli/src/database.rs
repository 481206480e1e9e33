//! The development database, as far as `--fresh` deletes it.
//!
//! Only what lies in the application's own development folder is ever deleted: a `DATABASE_URL`
//! that a developer exported may lead anywhere.

use std::path::{Component, Path};

use crate::Result;
use crate::project::Project;

/// Deletes the database that `url` names and says what was deleted.
///
/// # Errors
/// When the database is no file inside `folder`, or cannot be deleted.
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
    let path = project.root.join(path.split('?').next().unwrap_or(path));
    let climbs = path.components().any(|component| component == Component::ParentDir);
    if climbs || !path.starts_with(folder) {
        return Err(format!(
            "--fresh deletes inside {} only, and the database is {}: delete it yourself",
            folder.display(),
            path.display()
        ));
    }

    let mut deleted = Vec::new();
    // SQLite keeps the write-ahead log, its index and a rollback journal beside the database.
    for suffix in ["", "-wal", "-shm", "-journal", "-presence"] {
        let mut file = path.clone().into_os_string();
        file.push(suffix);
        match std::fs::remove_file(&file) {
            Ok(()) => deleted.push(
                Path::new(&file)
                    .strip_prefix(&project.root)
                    .unwrap_or(Path::new(&file))
                    .display()
                    .to_string(),
            ),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(format!("cannot delete {}: {error}", file.display())),
        }
    }
    if deleted.is_empty() {
        return Ok("there was no database to delete".to_owned());
    }
    Ok(format!("deleted {}", deleted.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(root: &Path) -> Project {
        Project { package: "app".to_owned(), folder: root.join("app"), root: root.to_owned() }
    }

    #[test]
    fn the_database_and_its_log_are_deleted() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let folder = root.path().join(".neuroglia/app");
        std::fs::create_dir_all(&folder).expect("the folder is ours");
        for name in ["dev.db", "dev.db-wal", "KEY"] {
            std::fs::write(folder.join(name), "x").expect("the folder is ours");
        }
        let url = Some("sqlite://.neuroglia/app/dev.db?mode=rwc");
        let said = delete(url, &project(root.path()), &folder);
        assert_eq!(said.as_deref(), Ok("deleted .neuroglia/app/dev.db, .neuroglia/app/dev.db-wal"));
        assert!(folder.join("KEY").exists());
        let said = delete(url, &project(root.path()), &folder);
        assert_eq!(said.as_deref(), Ok("there was no database to delete"));
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
            "postgres://h/d",
        ] {
            assert!(delete(Some(url), &project(root.path()), &folder).is_err(), "{url}");
        }
        assert!(precious.exists());
    }
}
