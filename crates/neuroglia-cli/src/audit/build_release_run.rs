//! V: what runs is a release that can be named, found again, and made again.

use crate::audit::evidence::Evidence;
use crate::audit::finding::{Factor, Finding};

pub(super) fn check(evidence: &Evidence) -> Vec<Finding> {
    let mut findings = Vec::new();
    for deploy in evidence.deploys.iter().filter(|deploy| deploy.environment.get("RELEASE_ID").is_some()) {
        let what = "RELEASE_ID is set here, so all releases would have one name";
        findings.push(Factor::BuildReleaseRun.fault(&deploy.shown, what, "remove it: a release has its own"));
    }
    for (path, text) in &evidence.files {
        let stages: Vec<&str> = text.lines().filter_map(stage).collect();
        for image in
            text.lines().filter_map(image).filter(|image| !stages.contains(image) && !is_pinned(image))
        {
            let what = format!("the image {image} is another one tomorrow");
            findings.push(Factor::BuildReleaseRun.fault(path, what, "name a version, best a digest"));
        }
    }
    findings
}

/// The image that a line of a Dockerfile or a manifest names.
fn image(line: &str) -> Option<&str> {
    let line = line.trim_start().trim_start_matches("- ");
    let named = line.strip_prefix("FROM ").or_else(|| line.strip_prefix("image: "))?;
    let mut words = named.split_whitespace().filter(|word| !word.starts_with("--"));
    words.next().map(|image| image.trim_matches('"'))
}

/// The name that a Dockerfile gives to a stage.
fn stage(line: &str) -> Option<&str> {
    let (_, name) = line.strip_prefix("FROM ")?.split_once(" AS ")?;
    Some(name.trim())
}

fn is_pinned(image: &str) -> bool {
    let last = image.rsplit('/').next().unwrap_or(image);
    image == "scratch"
        || image.contains("@sha256:")
        || last.split_once(':').is_some_and(|(_, tag)| tag != "latest" && !tag.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::evidence::tests::{deploy, with};

    #[test]
    fn releases_without_a_name_of_their_own_are_found() {
        let fixed = deploy("production", &[("RELEASE_ID", "1")]);
        assert_eq!(check(&with(|evidence| evidence.deploys[1] = fixed)).len(), 1);
    }

    #[test]
    fn images_that_change_are_found() {
        let found = |line: &str| {
            let text = format!("{line}\n");
            check(&with(|evidence| evidence.files[1].1 = text)).len()
        };
        for line in [
            "FROM rust",
            "FROM --platform=linux/amd64 rust:latest AS build",
            "    image: registry:5000/shop",
            "  - image: \"a:latest\"",
        ] {
            assert_eq!(found(line), 1, "{line}");
        }
        for line in [
            "FROM scratch",
            "image: registry:5000/shop:1.0",
            "image: shop@sha256:abc",
            "# FROM rust",
            "images: a",
        ] {
            assert_eq!(found(line), 0, "{line}");
        }
    }
}
