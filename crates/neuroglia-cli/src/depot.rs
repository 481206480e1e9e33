//! The depot: the folder that holds builds, releases, and which of them runs.
//!
//! ```text
//! <depot>/builds/<id>/{build.json, Procfile, <application>}
//! <depot>/releases/<id>/{release.json, Procfile, <application>, config/…}
//! <depot>/current → releases/<id>
//! ```
//!
//! A build or a release comes into being by one rename, and is never written again: its files are closed to writing.
//! What runs is one symbolic link, which is also replaced by a rename, so that there is no moment without it. The run
//! stage needs the depot alone: neither cargo nor the source.

use std::fs::{File, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use crate::Result;
use crate::manifest::{self, Build, Manifest, Release};

const CURRENT: &str = "current";
const RELEASES: &str = "releases";

/// Where builds and releases are kept.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Depot {
    folder: PathBuf,
}

/// A build or a release, with the folder that it lies in.
#[derive(Debug, Clone)]
pub(crate) struct Kept<M> {
    pub(crate) folder: PathBuf,
    pub(crate) manifest: M,
}

/// What a depot keeps.
pub(crate) trait Keepsake: Manifest {
    const FOLDER: &'static str;
    const KIND: &'static str;
    const MADE_BY: &'static str;
}

impl Keepsake for Build {
    const FOLDER: &'static str = "builds";
    const KIND: &'static str = "build";
    const MADE_BY: &'static str = "neuroglia build";
}

impl Keepsake for Release {
    const FOLDER: &'static str = RELEASES;
    const KIND: &'static str = "release";
    const MADE_BY: &'static str = "neuroglia release --env deployment/<deploy>";
}

impl Depot {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The depot that was asked for, or the only one in a `.neuroglia` of this folder or of one above it.
    ///
    /// # Errors
    /// When there is none, or more than one.
    pub(crate) fn find(asked: Option<&Path>) -> Result<Self> {
        match asked {
            Some(folder) if folder.is_dir() => Ok(Self::new(folder.to_owned())),
            Some(folder) => {
                Err(format!("there is no depot {}: make one with `neuroglia build`", folder.display()))
            }
            None => {
                let here = std::env::current_dir()
                    .map_err(|error| format!("there is no current folder: {error}"))?;
                Self::above(&here)
            }
        }
    }

    fn above(here: &Path) -> Result<Self> {
        for folder in here.ancestors() {
            let mut depots: Vec<_> = folders_in(&folder.join(".neuroglia"))?
                .into_iter()
                .filter(|candidate| {
                    candidate.join(Build::FOLDER).is_dir() || candidate.join(RELEASES).is_dir()
                })
                .collect();
            match depots.len() {
                0 => {}
                1 => return Ok(Self::new(depots.remove(0))),
                _ => {
                    let shown: Vec<_> = depots.iter().map(|depot| depot.display().to_string()).collect();
                    return Err(format!(
                        "there are several depots ({}): choose one with --depot",
                        shown.join(", ")
                    ));
                }
            }
        }
        Err("nothing has been built here: run `neuroglia build`, or name a depot with --depot".to_owned())
    }

    /// All of a kind, oldest first.
    ///
    /// # Errors
    /// When a folder or a manifest cannot be read.
    pub(crate) fn all<M: Keepsake>(&self) -> Result<Vec<Kept<M>>> {
        folders_in(&self.folder.join(M::FOLDER))?
            .into_iter()
            .map(|folder| Ok(Kept { manifest: manifest::read(&folder)?, folder }))
            .collect()
    }

    /// The one with this id, or the newest.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn get<M: Keepsake>(&self, id: Option<&str>) -> Result<Kept<M>> {
        let mut all = self.all::<M>()?;
        let found = match id {
            None => all.pop(),
            Some(id) => all.into_iter().find(|kept| kept.manifest.id() == id),
        };
        let shown = self.folder.display();
        found.ok_or_else(|| match id {
            None => format!("there is no {} in {shown}: make one with `{}`", M::KIND, M::MADE_BY),
            Some(id) => {
                format!("there is no {} {id} in {shown}: `neuroglia releases` lists what there is", M::KIND)
            }
        })
    }

    /// The release that runs.
    ///
    /// # Errors
    /// When none does.
    pub(crate) fn current(&self) -> Result<Kept<Release>> {
        let id = self.current_id().ok_or_else(|| {
            format!(
                "there is no current release in {}: make one with `{}`",
                self.folder.display(),
                Release::MADE_BY
            )
        })?;
        self.get(Some(&id))
    }

    /// The id of the release that runs.
    pub(crate) fn current_id(&self) -> Option<String> {
        let target = std::fs::read_link(self.folder.join(CURRENT)).ok()?;
        Some(target.file_name()?.to_str()?.to_owned())
    }

    /// Makes a release the current one, at once and for good.
    ///
    /// # Errors
    /// When the link cannot be written.
    pub(crate) fn switch_to(&self, id: &str) -> Result<()> {
        let beside = self.folder.join(format!(".{CURRENT}.{}", std::process::id()));
        let _ = std::fs::remove_file(&beside);
        symlink(Path::new(RELEASES).join(id), &beside)
            .and_then(|()| std::fs::rename(&beside, self.folder.join(CURRENT)))
            .and_then(|()| File::open(&self.folder)?.sync_all())
            .map_err(|error| format!("cannot make {id} the current release: {error}"))
    }

    /// Adds what `fill` writes into a folder that nobody sees before it is complete.
    ///
    /// # Errors
    /// When `fill` fails, the disk does, or somebody has just taken the id.
    pub(crate) fn add<M: Keepsake>(
        &self,
        id: &str,
        fill: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<PathBuf> {
        let room = self.folder.join(M::FOLDER);
        let (draft, folder) = (room.join(format!(".{id}.{}", std::process::id())), room.join(id));
        let failed = |error: std::io::Error| format!("cannot write {}: {error}", folder.display());
        std::fs::create_dir_all(&draft).map_err(failed)?;
        let added = fill(&draft)
            .and_then(|()| close(&draft).map_err(failed))
            // Onto a folder that holds something, a rename fails.
            .and_then(|()| std::fs::rename(&draft, &folder).map_err(failed))
            .and_then(|()| File::open(&room).and_then(|room| room.sync_all()).map_err(failed));
        match added {
            Ok(()) => Ok(folder),
            Err(failure) => {
                let _ = std::fs::remove_dir_all(&draft);
                Err(failure)
            }
        }
    }
}

/// Closes the files of a folder to writing, and brings them to the disk.
fn close(folder: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            close(&path)?;
            continue;
        }
        let file = File::open(&path)?;
        let mode = file.metadata()?.permissions().mode();
        // A file that is shared with its build is closed already.
        if mode & 0o222 != 0 {
            std::fs::set_permissions(&path, Permissions::from_mode(mode & 0o555))?;
        }
        file.sync_all()?;
    }
    File::open(folder)?.sync_all()
}

/// The folders in a folder by name, without those that are hidden; none when it is not there.
fn folders_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let failed = |error: std::io::Error| format!("cannot read {}: {error}", folder.display());
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut folders = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let is_hidden = entry.file_name().to_string_lossy().starts_with('.');
        if !is_hidden && entry.path().is_dir() {
            folders.push(entry.path());
        }
    }
    folders.sort();
    Ok(folders)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn depot() -> (tempfile::TempDir, Depot) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let depot = Depot::new(folder.path().join(".neuroglia/app"));
        (folder, depot)
    }

    fn release(depot: &Depot, id: &str) -> Result<PathBuf> {
        depot.add::<Release>(id, |folder| {
            std::fs::create_dir(folder.join("config")).map_err(|error| error.to_string())?;
            std::fs::write(folder.join("config/app.env"), "A=1\n").map_err(|error| error.to_string())
        })
    }

    #[test]
    fn what_is_added_is_complete_closed_and_never_replaced() {
        let (root, depot) = depot();
        let folder = release(&depot, "a").expect("the folder is ours");
        let mode =
            std::fs::metadata(folder.join("config/app.env")).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o222, 0, "{mode:o}");
        let refused = release(&depot, "a").expect_err("it is there");
        assert!(refused.contains("cannot write"), "{refused}");
        depot.add::<Release>("b", |_| Err("no".to_owned())).expect_err("it was not filled");
        let left: Vec<_> =
            std::fs::read_dir(root.path().join(".neuroglia/app/releases")).expect("it is there").collect();
        assert_eq!(left.len(), 1, "no draft is left behind");
    }

    #[test]
    fn the_current_release_is_one_link() {
        let (_root, depot) = depot();
        assert_eq!(depot.current_id(), None);
        assert!(depot.current().is_err_and(|failure| failure.contains("neuroglia release")));
        for id in ["a", "b", "a"] {
            release(&depot, id).ok();
            depot.switch_to(id).expect("the folder is ours");
            assert_eq!(depot.current_id().as_deref(), Some(id));
        }
    }

    #[test]
    fn a_depot_is_found_from_below() {
        let (root, depot) = depot();
        let below = root.path().join("src/deep");
        std::fs::create_dir_all(&below).expect("the folder is ours");
        assert!(Depot::above(&below).is_err_and(|failure| failure.contains("neuroglia build")));
        release(&depot, "a").expect("the folder is ours");
        // What `neuroglia dev` keeps of another application is no depot.
        std::fs::create_dir_all(root.path().join(".neuroglia/other/accounts")).expect("the folder is ours");
        assert_eq!(Depot::above(&below), Ok(depot));
        std::fs::create_dir_all(root.path().join(".neuroglia/other/builds")).expect("the folder is ours");
        assert!(Depot::above(&below).is_err_and(|failure| failure.contains("--depot")));
    }
}
