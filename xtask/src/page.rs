//! A page that is written by people, but for what a command of the project measures.

use std::fs;

use crate::workspace::{Result, Workspace};

/// A page with two markers, between which a command writes.
pub(crate) struct Page {
    pub(crate) path: &'static str,
    /// The command, which the markers name.
    pub(crate) command: &'static str,
}

impl Page {
    /// The text between the markers.
    ///
    /// # Errors
    /// When the page cannot be read, or has no markers.
    pub(crate) fn kept(&self, workspace: &Workspace) -> Result<String> {
        let page = workspace.read(self.path)?;
        self.parts(&page).map(|(_, kept, _)| kept.trim().to_owned())
    }

    /// Writes a text between the markers.
    ///
    /// # Errors
    /// When the page cannot be read or written, or has no markers.
    pub(crate) fn write(&self, workspace: &Workspace, text: &str) -> Result<()> {
        let Self { path, .. } = self;
        let page = self.spliced(&workspace.read(path)?, text)?;
        fs::write(workspace.root.join(path), page)
            .map_err(|error| format!("cannot write {path}: {error}"))?;
        println!("{path} written");
        Ok(())
    }

    /// The page with another text between its markers.
    fn spliced(&self, page: &str, text: &str) -> Result<String> {
        let [begin, end] = self.markers();
        let (before, _, after) = self.parts(page)?;
        Ok(format!("{before}{begin}\n\n{}\n\n{end}{after}", text.trim_end()))
    }

    /// What is before, between and behind the markers.
    fn parts<'a>(&self, page: &'a str) -> Result<(&'a str, &'a str, &'a str)> {
        let [begin, end] = self.markers();
        let parts = page.split_once(&begin).and_then(|(before, rest)| {
            let (kept, after) = rest.split_once(&end)?;
            Some((before, kept, after))
        });
        parts.ok_or_else(|| format!("{} lacks the lines\n  {begin}\n  {end}", self.path))
    }

    fn markers(&self) -> [String; 2] {
        ["begin", "end"].map(|side| format!("<!-- written by `{}`: {side} -->", self.command))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_markers_is_replaced() {
        let [begin, end] = ["<!-- written by `make it`: begin -->", "<!-- written by `make it`: end -->"];
        let page = Page { path: "page.md", command: "make it" };
        let text = format!("# Page\n\n{begin}\nold\n{end}\n\nwords\n");
        let new = page.spliced(&text, "new\n").expect("the page has markers");
        assert_eq!(new, format!("# Page\n\n{begin}\n\nnew\n\n{end}\n\nwords\n"));
        assert_eq!(page.spliced(&new, "new").as_ref(), Ok(&new));
        assert!(page.spliced("# Page\n", "new").is_err());
    }
}
