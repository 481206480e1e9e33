//! Conditions, orders and pages.

use std::sync::Arc;

use neuroglia::clock::Clock;
use neuroglia::data::{
    Condition, Direction, Field, Filter, Op, Path, Query, Repository, Select, Store, UnitOfWork, Value,
};
use neuroglia::error::ErrorKind;
use neuroglia::id::Ids;
use serde_json::json;

use super::aggregates::Note;
use super::{NOTES, SHELVES, at, insert, matching, put, refused, select, sorted};
use Direction::{Ascending, Descending};

const RANK: Path = Path::Body("rank");
const TEXT: Path = Path::Body("text");

fn is(path: Path, op: Op, value: impl Into<Literal>) -> Condition {
    Condition::Compare { path, op, value: value.into().0 }
}

/// Lets a rule write its values as they are.
struct Literal(Value);

impl From<i64> for Literal {
    fn from(value: i64) -> Self {
        Self(Value::Integer(value))
    }
}

impl From<bool> for Literal {
    fn from(value: bool) -> Self {
        Self(Value::Bool(value))
    }
}

impl From<&str> for Literal {
    fn from(value: &str) -> Self {
        Self(Value::Text(value.to_owned()))
    }
}

fn not(condition: Condition) -> Condition {
    Condition::Not(Box::new(condition))
}

fn within(path: Path, values: &[i64]) -> Condition {
    Condition::In { path, values: values.iter().copied().map(Value::Integer).collect() }
}

/// Three notes of rank 1, 2 and 3; one of rank null; one without a rank.
async fn ranked(store: &dyn Store) {
    let notes = [("a", json!(1)), ("b", json!(2)), ("c", json!(3)), ("n", json!(null))];
    let notes = notes.map(|(id, rank)| insert(NOTES, id, &json!({ "rank": rank })));
    put(store, notes.into_iter().chain([insert(NOTES, "o", &json!({}))])).await;
}

pub(super) async fn comparisons_hold_for_values_of_each_type(store: Arc<dyn Store>) {
    let note = |rank: i64, text: &str, done: bool| json!({ "rank": rank, "text": text, "done": done });
    let notes = [("a", note(-5, "ab", false)), ("b", note(9, "b", true)), ("c", note(10, "ba", true))];
    put(&*store, notes.iter().map(|(id, body)| insert(NOTES, id, body))).await;
    let done = Path::Body("done");
    for (condition, ids) in [
        (is(RANK, Op::Equal, 9), "b"),
        (is(RANK, Op::NotEqual, 9), "a c"),
        (is(RANK, Op::Less, 9), "a"),
        (is(RANK, Op::LessOrEqual, 9), "a b"),
        (is(RANK, Op::Greater, 9), "c"),
        (is(RANK, Op::GreaterOrEqual, 9), "b c"),
        (is(RANK, Op::Greater, i64::MIN), "a b c"),
        (is(RANK, Op::Less, i64::MAX), "a b c"),
        (is(TEXT, Op::Equal, "b"), "b"),
        (is(TEXT, Op::GreaterOrEqual, "b"), "b c"),
        (is(TEXT, Op::Less, "b"), "a"),
        (is(done, Op::Equal, true), "b c"),
        (is(done, Op::NotEqual, true), "a"),
        (is(Path::Id, Op::Equal, "c"), "c"),
        (is(Path::Id, Op::Less, "c"), "a b"),
        (within(RANK, &[10, -5, 7]), "a c"),
    ] {
        assert_eq!(matching(&*store, condition.clone()).await, ids, "{condition:?}");
    }
}

pub(super) async fn texts_are_compared_by_their_bytes(store: Arc<dyn Store>) {
    let texts = ["", " a", "10", "9", "A", "B", "a", "a ", "ab", "é", "ｚ", "🍕"];
    let notes = texts.iter().rev().enumerate();
    let notes = notes.map(|(place, text)| insert(NOTES, &format!("n{place}"), &json!({ "text": text })));
    put(&*store, notes).await;
    let found = store.query(&select(Condition::All(Vec::new()), &[(TEXT, Ascending)])).await;
    let found = found.expect("a sound query is answered");
    let found: Vec<_> =
        found.iter().map(|note| super::json(note)["text"].as_str().unwrap_or("?").to_owned()).collect();
    assert_eq!(found, texts, "no alphabet, no case folding, no numbers in texts");
    assert_eq!(matching(&*store, is(TEXT, Op::Equal, "A")).await, "n7", "equality is exact");
}

pub(super) async fn a_path_leads_into_nested_objects(store: Arc<dyn Store>) {
    put(
        &*store,
        [
            insert(NOTES, "a", &json!({ "place": { "shelf": "low", "slot": 2 } })),
            insert(NOTES, "b", &json!({ "place": { "shelf": "top", "slot": 1 } })),
            insert(NOTES, "c", &json!({ "place": null })),
            insert(NOTES, "d", &json!({ "place.shelf": "top", "place": "top" })),
            insert(NOTES, "e", &json!({ "place": ["top"] })),
        ],
    )
    .await;
    let (shelf, slot) = (Path::Body("place.shelf"), Path::Body("place.slot"));
    assert_eq!(matching(&*store, is(shelf, Op::Equal, "top")).await, "b");
    assert_eq!(matching(&*store, Condition::IsNull(shelf)).await, "c d e");
    assert_eq!(
        matching(&*store, not(Condition::IsNull(Path::Body("place")))).await,
        "a b d e",
        "an object is set"
    );
    let set = not(Condition::IsNull(slot));
    assert_eq!(sorted(&*store, select(set, &[(slot, Ascending)])).await, "b a");
    assert_eq!(matching(&*store, Condition::IsNull(Path::Body("place.0"))).await, "a b c d e");
}

pub(super) async fn a_field_that_is_not_there_is_null(store: Arc<dyn Store>) {
    ranked(&*store).await;
    assert_eq!(matching(&*store, Condition::IsNull(RANK)).await, "n o");
    assert_eq!(matching(&*store, not(Condition::IsNull(RANK))).await, "a b c");
    assert_eq!(matching(&*store, Condition::IsNull(Path::Id)).await, "");
}

pub(super) async fn an_unset_field_matches_no_comparison_nor_its_opposite(store: Arc<dyn Store>) {
    ranked(&*store).await;
    for op in [Op::Equal, Op::NotEqual, Op::Less, Op::LessOrEqual, Op::Greater, Op::GreaterOrEqual] {
        let holds = matching(&*store, is(RANK, op, 2)).await;
        let opposite = matching(&*store, not(is(RANK, op, 2))).await;
        let mut together: Vec<_> =
            holds.split(' ').chain(opposite.split(' ')).filter(|id| !id.is_empty()).collect();
        together.sort_unstable();
        assert_eq!(together, ["a", "b", "c"], "{op:?}: {holds} / {opposite}");
    }
    assert_eq!(matching(&*store, not(within(RANK, &[1, 2]))).await, "c");
}

pub(super) async fn all_any_not_and_in_follow_three_valued_logic(store: Arc<dyn Store>) {
    ranked(&*store).await;
    let (yes, no) = (Condition::All(Vec::new()), Condition::Any(Vec::new()));
    let (one, two) = (is(RANK, Op::Equal, 1), is(RANK, Op::Equal, 2));
    for (condition, ids) in [
        (yes.clone(), "a b c n o"),
        (no.clone(), ""),
        (not(yes.clone()), ""),
        (not(no.clone()), "a b c n o"),
        (Condition::All(vec![one.clone(), two.clone()]), ""),
        (Condition::Any(vec![one.clone(), two.clone()]), "a b"),
        (not(Condition::Any(vec![one.clone(), two.clone()])), "c"),
        (not(Condition::All(vec![one.clone(), two.clone()])), "a b c"),
        // Unknown and false is false, so that its opposite holds; unknown or true is true.
        (not(Condition::All(vec![one.clone(), no])), "a b c n o"),
        (Condition::Any(vec![one.clone(), yes]), "a b c n o"),
        (Condition::Any(vec![one.clone(), Condition::IsNull(RANK)]), "a n o"),
        (
            Condition::All(vec![not(one.clone()), not(Condition::Any(vec![two, is(RANK, Op::Greater, 5)]))]),
            "c",
        ),
        (not(not(one)), "a"),
        (within(RANK, &[]), ""),
        (not(within(RANK, &[])), "a b c n o"),
        (within(RANK, &[3, 3, 9]), "c"),
    ] {
        assert_eq!(matching(&*store, condition.clone()).await, ids, "{condition:?}");
    }
}

pub(super) async fn unset_fields_come_first_ascending_and_last_descending(store: Arc<dyn Store>) {
    ranked(&*store).await;
    let all = || Condition::All(Vec::new());
    assert_eq!(sorted(&*store, select(all(), &[(RANK, Ascending)])).await, "n o a b c");
    assert_eq!(sorted(&*store, select(all(), &[(RANK, Descending)])).await, "c b a n o");
    let both = [(RANK, Descending), (Path::Id, Descending)];
    assert_eq!(sorted(&*store, select(all(), &both)).await, "c b a o n");
}

pub(super) async fn several_keys_sort_in_turn_each_in_its_direction(store: Arc<dyn Store>) {
    let notes = [("a", 1, "x"), ("b", 2, "y"), ("c", 1, "y"), ("d", 2, "x"), ("e", 1, "y")];
    let notes = notes.map(|(id, rank, text)| insert(NOTES, id, &json!({ "rank": rank, "text": text })));
    put(&*store, notes).await;
    let all = || Condition::All(Vec::new());
    assert_eq!(sorted(&*store, select(all(), &[(RANK, Ascending), (TEXT, Descending)])).await, "c e a b d");
    assert_eq!(sorted(&*store, select(all(), &[(TEXT, Ascending), (RANK, Descending)])).await, "d a b c e");
    let by_id = [(RANK, Descending), (TEXT, Ascending), (Path::Id, Descending)];
    assert_eq!(sorted(&*store, select(all(), &by_id)).await, "d b a e c");
    assert_eq!(sorted(&*store, select(all(), &[(Path::Id, Descending)])).await, "e d c b a");
    // The second time says nothing new.
    let twice = [(RANK, Ascending), (RANK, Descending)];
    assert_eq!(sorted(&*store, select(all(), &twice)).await, "a c e b d");
}

pub(super) async fn a_limit_cuts_off_and_a_count_does_not(store: Arc<dyn Store>) {
    ranked(&*store).await;
    let two = Select { limit: 2, ..select(not(Condition::IsNull(RANK)), &[(RANK, Descending)]) };
    assert_eq!(sorted(&*store, two.clone()).await, "c b");
    assert_eq!(store.count(&two).await.expect("a sound count is answered"), 3);
    let none = Select { condition: Condition::Any(Vec::new()), ..two };
    assert_eq!(store.count(&none).await.expect("a sound count is answered"), 0);
}

/// Texts that would do harm, or match too much, if they became part of a statement, a pattern or a path.
const HOSTILE: [&str; 16] = [
    "' OR '1'='1",
    "'; DROP TABLE notes; --",
    "\"; DELETE FROM notes; --",
    "%",
    "_",
    "100%",
    "\\",
    "$.text",
    "$..*",
    "[0]",
    "?1",
    ":id",
    "$1",
    "{\"$gt\":\"\"}",
    "NULL",
    "💥'\"`",
];

pub(super) async fn several_queries_are_answered_each_as_alone(store: Arc<dyn Store>) {
    ranked(&*store).await;
    put(&*store, [insert(SHELVES, "a", &json!({ "rank": 2 })), insert(SHELVES, "s", &json!({}))]).await;
    let all = || Condition::All(Vec::new());
    let ids = |ids: &[&str]| Condition::In {
        path: Path::Id,
        values: ids.iter().map(|id| Value::Text((*id).to_owned())).collect(),
    };
    let of_shelves = |condition| Select { collection: SHELVES, ..select(condition, &[]) };
    let selects = [
        select(all(), &[(RANK, Descending)]),
        of_shelves(ids(&["s", "nobody", "a"])),
        Select { limit: 1, ..select(is(RANK, Op::Greater, 1), &[(RANK, Ascending)]) },
        select(is(RANK, Op::Greater, 99), &[]),
        select(is(TEXT, Op::Equal, "'); --"), &[]),
        Select { limit: 2, ..of_shelves(all()) },
        select(all(), &[(RANK, Ascending)]),
    ];
    for several in [&selects[..], &selects[1..3], &selects[3..4], &[]] {
        let answers = store.query_all(several).await.expect("sound queries are answered");
        assert_eq!(answers.len(), several.len(), "each has an answer");
        for (select, answer) in several.iter().zip(answers) {
            assert_eq!(answer, store.query(select).await.expect("it is answered alone"), "{select:?}");
        }
    }
    let unknown = [selects[0].clone(), Select { collection: "nowhere", ..selects[0].clone() }];
    refused(store.query_all(&unknown).await, ErrorKind::Internal, "one query in an unknown collection");
}

pub(super) async fn values_are_values_whatever_they_contain(store: Arc<dyn Store>) {
    let notes = HOSTILE.iter().enumerate();
    put(&*store, notes.map(|(place, text)| insert(NOTES, &format!("{place:02}"), &json!({ "text": text }))))
        .await;
    for (place, text) in HOSTILE.into_iter().enumerate() {
        let only = format!("{place:02}");
        assert_eq!(matching(&*store, is(TEXT, Op::Equal, text)).await, only, "{text}");
        let values = vec![Value::Text(text.to_owned())];
        assert_eq!(matching(&*store, Condition::In { path: TEXT, values }).await, only, "{text}");
        assert_eq!(matching(&*store, is(Path::Id, Op::Equal, text)).await, "", "{text}");
    }
    let all = select(Condition::All(Vec::new()), &[]);
    assert_eq!(store.count(&all).await.expect("the collection is still there"), HOSTILE.len() as u64);
}

pub(super) async fn names_that_are_unsafe_are_refused(store: Arc<dyn Store>) {
    ranked(&*store).await;
    for path in ["", "a'b", "a.", ".a", "a..b", "a b", "a\"b", "a[0]", "$", "Rank", "a-b", "é"] {
        let condition = select(Condition::IsNull(Path::Body(path)), &[]);
        refused(store.query(&condition).await, ErrorKind::Internal, path);
        refused(store.count(&condition).await, ErrorKind::Internal, path);
        let sort = select(Condition::All(Vec::new()), &[(Path::Body(path), Ascending)]);
        refused(store.query(&sort).await, ErrorKind::Internal, path);
    }
    for collection in ["", "notes; --", "notes\"", "Notes", "1notes"] {
        let select = Select { collection, ..select(Condition::All(Vec::new()), &[]) };
        refused(store.query(&select).await, ErrorKind::Internal, collection);
        refused(store.load(collection, "a").await, ErrorKind::Internal, collection);
    }
}

const NOTE_RANK: Field<Note, i64> = Field::new("rank");
const NOTE_TEXT: Field<Note, String> = Field::new("text");

fn notes(store: &Arc<dyn Store>) -> Repository<Note> {
    Repository::new(Arc::new(UnitOfWork::new(Arc::clone(store), Clock::manual(at(1)), Ids::sequence())))
}

/// Every id of a list, read in pages of this size.
async fn leaf_through(notes: &Repository<Note>, query: Query<Note>, limit: u32) -> Vec<String> {
    let mut ids = Vec::new();
    let mut cursor = None;
    loop {
        let page = notes.find(query.clone().after(cursor).limit(limit)).await.expect("a page is read");
        assert!(page.items.len() <= limit as usize, "a page is not larger than its limit");
        assert!(page.next.is_none() || page.items.len() == limit as usize, "only the last page is not full");
        ids.extend(page.items.into_iter().map(|note| note.id));
        // A cursor is text on its way through a client.
        cursor = match page.next {
            Some(next) => Some(next.to_string().parse().expect("a cursor reads its own text")),
            None => return ids,
        };
        assert!(ids.len() <= 100, "paging does not end");
    }
}

pub(super) async fn pages_show_every_item_once_in_every_order(store: Arc<dyn Store>) {
    // Many ties, many unset ones, and pages that end within both.
    let rank =
        |place: usize| [json!(null), json!(7), json!(7), json!(-1), json!(i64::MAX)][place % 5].clone();
    let text = |place: usize| [json!("b"), json!("a"), json!("B"), json!("'")][place % 4].clone();
    let each = (0..23).map(|place| {
        let id = format!("n{:02}", (place * 7) % 23);
        insert(NOTES, &id, &json!({ "id": id, "rank": rank(place), "text": text(place) }))
    });
    put(&*store, each).await;
    let notes = notes(&store);
    let queries = [
        Query::all(),
        Query::all().newest_first(),
        Query::all().ascending(NOTE_RANK),
        Query::all().descending(NOTE_RANK),
        Query::all().ascending(NOTE_RANK).newest_first(),
        Query::all().ascending(NOTE_TEXT).descending(NOTE_RANK),
        Query::all().descending(NOTE_TEXT).ascending(NOTE_RANK),
        Query::all().descending(NOTE_RANK).descending(NOTE_TEXT),
        Query::filter(!NOTE_TEXT.eq("a")).descending(NOTE_RANK),
        Query::filter(NOTE_RANK.is_null()).ascending(NOTE_RANK).descending(NOTE_TEXT),
    ];
    for query in queries {
        let whole = leaf_through(&notes, query.clone(), 100).await;
        let mut distinct = whole.clone();
        distinct.sort_unstable();
        distinct.dedup();
        let count = notes.count(query.clone()).await.expect("a count is answered");
        assert_eq!((whole.len(), distinct.len() as u64), (distinct.len(), count), "{query:?}");
        for limit in [1, 2, 3, 7, 22, 23] {
            assert_eq!(
                leaf_through(&notes, query.clone(), limit).await,
                whole,
                "pages of {limit} of {query:?}"
            );
        }
    }
}

pub(super) async fn inserts_before_the_cursor_neither_repeat_nor_skip_items(store: Arc<dyn Store>) {
    let note = |id: &str, rank: i64| insert(NOTES, id, &json!({ "id": id, "rank": rank, "text": "" }));
    put(&*store, (0..12).map(|place| note(&format!("n{place:02}"), place))).await;
    let notes = notes(&store);
    let mut seen = Vec::new();
    let mut cursor = None;
    for turn in 0.. {
        let query = Query::filter(Filter::everything()).descending(NOTE_RANK).after(cursor).limit(3);
        let page = notes.find(query).await.expect("a page is read");
        seen.extend(page.items.into_iter().map(|note| note.id));
        let Some(next) = page.next else { break };
        cursor = Some(next);
        // Somebody adds at the top while somebody else reads on, and removes what has been read.
        put(&*store, [note(&format!("x{turn}"), 1_000)]).await;
        put(&*store, [super::delete(NOTES, &seen[turn], 0)]).await;
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..12).map(|place| format!("n{place:02}")).collect::<Vec<_>>());
}

pub(super) async fn a_cursor_of_another_list_is_malformed(store: Arc<dyn Store>) {
    put(&*store, (0..3).map(|place| insert(NOTES, &format!("n{place}"), &json!({ "id": "n", "text": "" }))))
        .await;
    let notes = notes(&store);
    let page = notes.find(Query::all().ascending(NOTE_RANK).limit(1)).await.expect("a page is read");
    let cursor = page.next.expect("there are more");
    let other = notes.find(Query::all().descending(NOTE_RANK).after(Some(cursor.clone()))).await;
    refused(other.map(|page| page.items.len()), ErrorKind::Malformed, "a cursor of another order");
    let again =
        notes.find(Query::all().ascending(NOTE_RANK).after(Some(cursor))).await.expect("its own list");
    assert_eq!(again.items.len(), 2);
}
