//! What an event brings along: the version of its data, and who began what.

use neuroglia::messaging::Parcel;
use neuroglia::work::{WorkRecord, WorkState};
use serde_json::{Value, json};

use super::post_office::App;

const REQUEST: &str = "request-1";
const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// Has it told that a parcel is lost, in data of this version.
async fn tell_of_loss(app: &App, version: u32, data: Value) {
    let envelope = json!({
        "specversion": "1.0",
        "id": format!("loss-{version}"),
        "source": "/post-office",
        "type": format!("io.post-office.parcel.lost.v{version}"),
        "data": data,
    });
    let loss = Parcel {
        consumer: None,
        key: format!("loss-{version}"),
        name: "parcel.lost".to_owned(),
        subject: Some(format!("parcel-{version}")),
        envelope: envelope.to_string(),
        correlation_id: Some(REQUEST.to_owned()),
        traceparent: Some(TRACE.to_owned()),
    };
    assert_eq!(app.store.fan_out(&[loss]).await.expect("it answers"), 1);
}

#[tokio::test]
async fn data_of_an_older_version_is_brought_up_to_date_and_that_of_a_newer_one_waits() {
    let app = App::start().await;
    tell_of_loss(&app, 1, json!({"parcel": "old"})).await;
    tell_of_loss(&app, 2, json!({"parcel": "new", "value": 7})).await;
    tell_of_loss(&app, 3, json!({"parcel": "unborn", "worth": "much"})).await;
    app.until("both that are known", async |app| {
        let noted = [("old", 5), ("new", 7)].map(|(parcel, value)| noted(parcel, value));
        app.tally(&noted[0]).await == 1 && app.tally(&noted[1]).await == 1
    })
    .await;
    app.until("the third is parked", async |app| app.work(&[WorkState::Parked]).await.len() == 1).await;
    let parked = app.work(&[WorkState::Parked]).await.remove(0);
    assert!(parked.failures[0].error.contains("version 3 of `parcel.lost`"), "{parked:?}");
}

fn noted(parcel: &str, value: u32) -> String {
    format!("{parcel} worth {value} by {REQUEST} {TRACE}")
}

#[tokio::test]
async fn what_a_handler_asks_for_carries_on_who_began_it() {
    let app = App::start().await;
    tell_of_loss(&app, 2, json!({"parcel": "a", "value": 3})).await;
    let follows = |record: &WorkRecord| record.kind != "insurance";
    app.until("what follows", async |app| {
        app.work(&[WorkState::Done]).await.iter().filter(|record| follows(record)).count() == 3
    })
    .await;
    assert_eq!(app.tally(&noted("a", 3)).await, 1, "the handler knows who began it");
    let following: Vec<_> = app.work(&[WorkState::Done]).await.into_iter().filter(follows).collect();
    for record in &following {
        assert_eq!(record.correlation_id.as_deref(), Some(REQUEST), "{record:?}");
    }
    let announced = following.iter().find(|record| record.kind == "announcements").expect("it was sent");
    let envelope: Value = serde_json::from_str(&announced.payload).expect("an envelope");
    assert_eq!((&envelope["correlationid"], &envelope["traceparent"]), (&json!(REQUEST), &json!(TRACE)));
}
