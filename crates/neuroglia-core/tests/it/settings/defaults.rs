//! A section of somebody else's, with the defaults of the application.

use neuroglia::settings::{Environment, Schema, Secret, Settings};

use super::pizzeria::{faults_of, settings_of};

/// As a library declares it.
#[derive(Settings)]
struct PageSettings {
    /// How many entries a page has.
    #[setting(default = "20")]
    page_size: u16,
    /// What stands at its top.
    page_title: Option<String>,
    /// Who answers for it.
    page_owner: String,
}

/// As an application uses it: in its own words, and once more under a name.
#[derive(Settings)]
struct BookSettings {
    #[setting(
        section,
        flatten,
        defaults(page_size = "50", page_title = "Books", page_owner = "the librarian")
    )]
    pages: PageSettings,
    #[setting(section, defaults(page_owner = "the archivist"))]
    archive: PageSettings,
}

/// A library that has the other for a section of its own.
#[derive(Settings)]
struct ShelfSettings {
    #[setting(section, flatten, defaults(page_size = "5", page_owner = "the shelf"))]
    pages: PageSettings,
}

#[test]
fn an_application_has_defaults_of_its_own() {
    let empty = Environment::from_pairs([("", ""); 0]);
    let settings = settings_of(empty.load::<BookSettings>(&[]));
    assert_eq!((settings.pages.page_size, settings.archive.page_size), (50, 20));
    assert_eq!(settings.pages.page_title.as_deref(), Some("Books"));
    assert_eq!(settings.archive.page_title, None);
    assert_eq!(settings.pages.page_owner, "the librarian");
    assert_eq!(settings.archive.page_owner, "the archivist");

    let set = Environment::from_pairs([("PAGE_SIZE", "7"), ("ARCHIVE_PAGE_OWNER", "Ada")]);
    let settings = settings_of(set.load::<BookSettings>(&[]));
    assert_eq!((settings.pages.page_size, settings.archive.page_owner.as_str()), (7, "Ada"));
}

#[test]
fn they_are_what_is_described() {
    let schema = Schema::of::<BookSettings>();
    let default = |name: &str| {
        let variable = schema.variables().find(|variable| variable.name() == name);
        variable.expect(name).default_text().map(str::to_owned)
    };
    assert_eq!(default("PAGE_SIZE").as_deref(), Some("50"));
    assert_eq!(default("PAGE_TITLE").as_deref(), Some("Books"));
    assert_eq!(default("ARCHIVE_PAGE_SIZE").as_deref(), Some("20"));
    assert_eq!(default("ARCHIVE_PAGE_TITLE"), None);
}

#[test]
fn the_outermost_counts() {
    #[derive(Settings)]
    struct RoomSettings {
        #[setting(section, flatten, defaults(page_size = "9"))]
        shelf: ShelfSettings,
    }

    let empty = Environment::from_pairs([("", ""); 0]);
    let pages = settings_of(empty.load::<RoomSettings>(&[])).shelf.pages;
    assert_eq!((pages.page_size, pages.page_owner.as_str()), (9, "the shelf"));
}

#[test]
fn a_section_that_may_be_absent_has_them_when_it_is_there() {
    #[derive(Settings)]
    struct MaybeSettings {
        #[setting(section, defaults(page_owner = "the librarian"))]
        extra: Option<PageSettings>,
    }

    let load = |pairs: &[(&'static str, &'static str)]| {
        settings_of(Environment::from_pairs(pairs.iter().copied()).load::<MaybeSettings>(&[])).extra
    };
    assert!(load(&[]).is_none());
    let owner = load(&[("EXTRA_PAGE_SIZE", "3")]).map(|extra| extra.page_owner);
    assert_eq!(owner.as_deref(), Some("the librarian"));
}

#[test]
fn one_that_is_wrong_is_a_fault() {
    #[expect(dead_code, reason = "only its declaration is looked at")]
    #[derive(Settings)]
    struct WrongSettings {
        #[setting(section, flatten, defaults(page_size = "many", page_colour = "red", page_owner = "x"))]
        pages: PageSettings,
    }

    #[expect(dead_code, reason = "only its declaration is looked at")]
    #[derive(Settings)]
    struct KeySettings {
        #[setting(section, flatten, defaults(key = "x7Kp2mWq9vRt4nYb8sLd3fHj6gZc1aQe"))]
        inner: InnerKey,
    }

    #[expect(dead_code, reason = "only its declaration is looked at")]
    #[derive(Settings)]
    struct InnerKey {
        /// A key.
        key: Secret<String>,
    }

    let empty = Environment::from_pairs([("", ""); 0]);
    let faults = faults_of::<WrongSettings>(&empty);
    let codes: Vec<_> = faults.iter().map(|fault| (fault.code, fault.what.contains("PAGE_COLOUR"))).collect();
    assert_eq!(codes, [("invalid", false), ("default_of_nothing", true)], "{faults:?}");
    let faults = faults_of::<KeySettings>(&empty);
    assert!(faults.iter().any(|fault| fault.code == "secret_default"), "{faults:?}");
}
