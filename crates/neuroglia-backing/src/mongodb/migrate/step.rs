//! One step of the schema in MongoDB's terms: a command, and the command that takes it back.

use std::time::Duration;

use futures_util::TryStreamExt;
use mongodb::bson::{Bson, Document, doc};
use neuroglia::data::{Index, Path, Step};
use neuroglia::error::{Error, Result};

use crate::mongodb::ENGINE;
use crate::mongodb::connection::Connection;
use crate::mongodb::error::{error, may_pass};
use crate::mongodb::select::field;

/// A step that takes longer has been forgotten.
const LIMIT: Duration = Duration::from_secs(24 * 60 * 60);

/// What there is nothing of any more, as the server says it: no such collection.
const NO_COLLECTION: i32 = 26;

/// No such index, or one that is still being built.
const NO_INDEX: i32 = 27;

/// The commands of schemas and documents, whose changes are kept as all others are, unless the step says otherwise.
const WRITING: [&str; 9] = [
    "create",
    "createIndexes",
    "drop",
    "dropIndexes",
    "collMod",
    "insert",
    "update",
    "delete",
    "findAndModify",
];

/// A command, and what takes back what it does.
type Planned = (Document, Vec<Document>);

/// What the step does, once nothing is in its way; nothing when it is another engine's, or may be done and is.
pub(super) async fn plan(connection: &Connection, step: &Step) -> Result<Option<Planned>> {
    let command = match step {
        Step::CreateCollection(name) => {
            if step.may_be_done() && collections(connection).await?.iter().any(|known| known == name) {
                return Ok(None);
            }
            doc! { "create": name }
        }
        Step::CreateIndex(index) => {
            for collection in collections(connection).await? {
                if named(connection, &collection, index.name).await?.is_some() {
                    if step.may_be_done() {
                        return Ok(None);
                    }
                    return Err(Error::internal(format!("there is an index {} already", index.name)));
                }
            }
            doc! { "createIndexes": index.collection, "indexes": [declared(index)] }
        }
        Step::DropIndex(name) => {
            for collection in collections(connection).await? {
                if let Some(index) = named(connection, &collection, name).await? {
                    let again = doc! { "createIndexes": &collection, "indexes": [index] };
                    return Ok(Some((doc! { "dropIndexes": collection, "index": *name }, vec![again])));
                }
            }
            return Err(Error::internal(format!("there is no index {name}")));
        }
        Step::Sql { engine, .. } if *engine != ENGINE => return Ok(None),
        Step::Sql { statement, .. } => parsed(statement)?,
    };
    let takes_back = takes_back(connection, &command).await?;
    Ok(Some((command, takes_back)))
}

/// Runs a command, for as long as it takes.
pub(super) async fn run(connection: &Connection, command: Document) -> Result<()> {
    try_run(connection, command).await?.map_err(error)
}

/// Runs a command that takes something back, which may be done already.
pub(super) async fn take_back(connection: &Connection, command: Document) -> Result<()> {
    let index = command.get_str("dropIndexes").ok().zip(command.get_str("index").ok());
    let index = index.map(|(collection, index)| (collection.to_owned(), index.to_owned()));
    match (try_run(connection, command).await?, index) {
        (Err(cause), _) if code(&cause) == Some(NO_COLLECTION) => Ok(()),
        (Err(cause), Some((collection, index))) if code(&cause) == Some(NO_INDEX) => {
            if named(connection, &collection, &index).await?.is_none() {
                return Ok(());
            }
            let begun =
                format!("the index {index} of {collection} is still being built; try again when it is");
            Err(Error::unavailable(begun))
        }
        (outcome, _) => outcome.map_err(error),
    }
}

async fn try_run(connection: &Connection, mut command: Document) -> Result<mongodb::error::Result<()>> {
    let changes = command.keys().next().is_some_and(|name| WRITING.contains(&name.as_str()));
    if changes {
        let mut concern = command.get_document("writeConcern").cloned().unwrap_or(doc! { "w": "majority" });
        concern.entry("j".to_owned()).or_insert(Bson::Boolean(true));
        command.insert("writeConcern", concern);
    }
    // Unless it is told so, the server waits for every member that votes, also for one that is away.
    if command.contains_key("createIndexes") && !command.contains_key("commitQuorum") {
        command.insert("commitQuorum", "majority");
    }
    let run = connection.database().run_command(command).into_future();
    match connection.at_once(LIMIT, run).await? {
        Ok(answer) => all_done(&answer).map(Ok),
        Err(cause) => Ok(Err(cause)),
    }
}

/// A command that writes answers also when it could not do a part of it. Values stay out of the error.
fn all_done(answer: &Document) -> Result<()> {
    let faults = answer.get_array("writeErrors").into_iter().flatten().filter_map(Bson::as_document);
    let faults = faults.chain(answer.get_document("writeConcernError"));
    let codes: Vec<_> = faults.map(|fault| fault.get_i32("code").unwrap_or_default()).collect();
    if codes.is_empty() {
        return Ok(());
    }
    let shown = codes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let told = format!("a step was not done as a whole; the server's codes: {shown}");
    Err(if codes.iter().all(|code| may_pass(*code)) {
        Error::unavailable(told)
    } else {
        Error::internal(told)
    })
}

fn code(error: &mongodb::error::Error) -> Option<i32> {
    match &*error.kind {
        mongodb::error::ErrorKind::Command(said) => Some(said.code),
        _ => None,
    }
}

/// What takes back what a command creates; refuses one that would create what is there.
async fn takes_back(connection: &Connection, command: &Document) -> Result<Vec<Document>> {
    if let Ok(name) = command.get_str("create") {
        if collections(connection).await?.iter().any(|known| known == name) {
            return Err(Error::internal(format!("there is a collection {name} already")));
        }
        return Ok(vec![doc! { "drop": name }]);
    }
    let Ok(collection) = command.get_str("createIndexes") else { return Ok(Vec::new()) };
    if !collections(connection).await?.iter().any(|known| known == collection) {
        return Err(Error::internal(format!("there is no collection {collection}; a migration creates it")));
    }
    let indexes = command.get_array("indexes").map_err(Error::internal)?;
    let names = indexes.iter().filter_map(Bson::as_document).filter_map(|index| index.get_str("name").ok());
    let mut takes_back = Vec::new();
    for name in names {
        if named(connection, collection, name).await?.is_some() {
            return Err(Error::internal(format!("there is an index {name} already")));
        }
        takes_back.push(doc! { "dropIndexes": collection, "index": name });
    }
    Ok(takes_back)
}

/// The server's own are left out: who may read and write may not look into all of them.
async fn collections(connection: &Connection) -> Result<Vec<String>> {
    let only = doc! { "type": "collection" };
    let all = connection.database().list_collection_names().filter(only).into_future();
    let mut all = connection.run(all).await?;
    all.retain(|name| !name.starts_with("system."));
    Ok(all)
}

/// The index of this name, as it would be created again.
async fn named(connection: &Connection, collection: &str, name: &str) -> Result<Option<Document>> {
    let all = doc! { "listIndexes": collection };
    let all = connection.database().run_cursor_command(all).into_future();
    let all: Vec<Document> = connection.run(async { all.await?.try_collect().await }).await?;
    Ok(all.into_iter().find(|index| index.get_str("name").is_ok_and(|known| known == name)).map(
        |mut index| {
            index.remove("ns");
            index
        },
    ))
}

/// A declared index. Every order ends with the id, and an index that does too delivers it without sorting. Unset
/// fields never collide, because a unique index passes by documents without them.
fn declared(Index { name, paths, unique, .. }: &Index) -> Document {
    let fields: Vec<_> = paths.iter().map(|path| field(Path::Body(path))).collect();
    let mut key: Document = fields.iter().map(|field| (field.clone(), Bson::Int32(1))).collect();
    if *unique {
        let set: Document =
            fields.into_iter().map(|field| (field, Bson::Document(doc! { "$exists": true }))).collect();
        return doc! { "name": *name, "key": key, "unique": true, "partialFilterExpression": set };
    }
    key.insert("_id", 1);
    doc! { "name": *name, "key": key }
}

/// A command that is written as JSON; the order of its fields is the order in the text.
fn parsed(statement: &str) -> Result<Document> {
    serde_json::from_str(statement).map_err(Error::internal)
}
