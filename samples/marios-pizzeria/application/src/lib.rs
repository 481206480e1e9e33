//! The use cases of Mario's Pizzeria: one file each, with its message and its handler.
//!
//! A handler is told who asks by [`Identity`](neuroglia::identity::Identity), works with repositories, and
//! leaves the commit to the pipeline. What a message may not even be sent by is declared at its route; what
//! depends on the thing itself (is it your order?) is decided here.

pub mod money;
pub mod wire;

pub mod menu;
pub mod orders;

pub mod payments;

pub mod kitchen;

pub mod customers;

pub mod statistics;

pub mod feed;

pub mod accounts;

mod house;
mod page_by_page;
mod schema;

pub use house::House;
pub use schema::migrations;

use neuroglia::mediation::{Messages, Pipeline, RetryOnConflict};
use neuroglia::schedule::Scheduler;
use neuroglia::work::{Consumer, Worker};
use pizzeria_domain::menu::{PizzaCreated, PizzaPriceChanged, PizzaRemoved, PizzaUpdated};
use pizzeria_domain::order::{
    OrderCancelled, OrderConfirmed, OrderCookingStarted, OrderCorrected, OrderCreated, OrderDelivered,
    OrderDeliveryStarted, OrderDriverAssigned, OrderLate, OrderPaymentChanged, OrderReady,
};

use accounts::{ConfirmLogin, CreateUser, EndSessions, Identify, LogIn, ResetUser};
use customers::{
    DismissNotification, GetMyProfile, KeepActiveOrders, ListMyNotifications, ListMyOrders, NotifyCustomer,
    ReadNotification, UpdateMyProfile,
};
use feed::{KeepEvent, NumberEvents, ReadFeed, TrimEveryMinute, TrimFeed};
use kitchen::{FixPlaces, FreePlace, GetKitchen, GetKitchenQueue};
use menu::{AddPizza, ChangePizza, GetPizza, ListMenu, RemovePizza, RenewEdition, SeedMenu};
use orders::{
    AdvanceOrder, AssignDriver, CancelOrder, ExpireEveryMinute, ExpireUnpaidOrders, ExportOrders,
    FixCorruptedOrders, GetOrder, ListDeliveries, ListOrders, LogOrders, MarkLateEveryMinute, MarkLateOrders,
    PayOtherwise, PlaceOrder,
};
use payments::{
    AuthorisePayment, CapturePayment, ForgetEveryMinute, ForgetWebhooks, GiveBackPayment, HearGateway,
    NotePayment, RequestPayment,
};
use statistics::{
    DailyReport, GetKitchenTimes, GetOverview, GetPizzaSales, GetStaffWork, GetTimeseries, ProjectStatistics,
    RebuildStatistics, ReportDay,
};

/// The table of the pizzeria's messages, and of what happens inside the unit of work of each event.
pub fn messages(messages: Messages) -> Messages {
    messages
        .pipeline(Pipeline::standard().around::<RetryOnConflict, LogOrders>())
        .query::<ListMenu>()
        .query::<GetPizza>()
        .command::<AddPizza>()
        .command::<ChangePizza>()
        .command::<RemovePizza>()
        .command::<SeedMenu>()
        .command::<PlaceOrder>()
        .query::<GetOrder>()
        .query::<ListOrders>()
        .command::<AdvanceOrder>()
        .command::<CancelOrder>()
        .command::<PayOtherwise>()
        .command::<AssignDriver>()
        .query::<ListDeliveries>()
        .query::<ExportOrders>()
        .command::<FixCorruptedOrders>()
        .command::<FixPlaces>()
        .command::<ExpireUnpaidOrders>()
        .command::<MarkLateOrders>()
        .command::<HearGateway>()
        .command::<ForgetWebhooks>()
        .query::<GetKitchen>()
        .query::<GetKitchenQueue>()
        .query::<GetMyProfile>()
        .command::<UpdateMyProfile>()
        .query::<ListMyOrders>()
        .query::<ListMyNotifications>()
        .command::<ReadNotification>()
        .command::<DismissNotification>()
        .query::<GetOverview>()
        .query::<GetTimeseries>()
        .query::<GetPizzaSales>()
        .query::<GetKitchenTimes>()
        .query::<GetStaffWork>()
        .command::<RebuildStatistics>()
        .command::<ReportDay>()
        .command::<NumberEvents>()
        .query::<ReadFeed>()
        .command::<TrimFeed>()
        .query::<LogIn>()
        .query::<Identify>()
        .query::<ConfirmLogin>()
        .command::<CreateUser>()
        .command::<ResetUser>()
        .event::<PizzaCreated, RenewEdition>()
        .event::<PizzaPriceChanged, RenewEdition>()
        .event::<PizzaUpdated, RenewEdition>()
        .event::<PizzaRemoved, RenewEdition>()
        .event::<OrderCreated, KeepActiveOrders>()
        .event::<OrderDelivered, KeepActiveOrders>()
        .event::<OrderCancelled, KeepActiveOrders>()
        .event::<OrderCreated, RequestPayment>()
        .event::<OrderDelivered, RequestPayment>()
        .event::<OrderCancelled, RequestPayment>()
        .event::<OrderReady, FreePlace>()
        .event::<OrderCancelled, FreePlace>()
}

/// The table of what happens after a commit: consumers of events, each by itself, and jobs.
///
/// A customer's active orders and the kitchen's places stay in the unit of work of the event: the next request of
/// the same person relies on them.
pub fn worker(worker: Worker) -> Worker {
    worker
        .consumer(notifications())
        .consumer(statistics_projection())
        .consumer(live_feed())
        .job::<AuthorisePayment>()
        .job::<CapturePayment>()
        .job::<GiveBackPayment>()
        .job::<NotePayment>()
        .job::<EndSessions>()
}

fn notifications() -> Consumer {
    Consumer::new("notifications")
        .on::<OrderCookingStarted, NotifyCustomer>()
        .on::<OrderReady, NotifyCustomer>()
        .on::<OrderDeliveryStarted, NotifyCustomer>()
        .on::<OrderDelivered, NotifyCustomer>()
        .on::<OrderCancelled, NotifyCustomer>()
}

fn statistics_projection() -> Consumer {
    Consumer::new("statistics")
        .on::<OrderCreated, ProjectStatistics>()
        .on::<OrderConfirmed, ProjectStatistics>()
        .on::<OrderCookingStarted, ProjectStatistics>()
        .on::<OrderReady, ProjectStatistics>()
        .on::<OrderDeliveryStarted, ProjectStatistics>()
        .on::<OrderDelivered, ProjectStatistics>()
        .on::<OrderCancelled, ProjectStatistics>()
        .on::<OrderPaymentChanged, ProjectStatistics>()
        .on::<OrderCorrected, ProjectStatistics>()
}

fn live_feed() -> Consumer {
    Consumer::new("live-feed")
        .on::<OrderCreated, KeepEvent>()
        .on::<OrderConfirmed, KeepEvent>()
        .on::<OrderCookingStarted, KeepEvent>()
        .on::<OrderReady, KeepEvent>()
        .on::<OrderLate, KeepEvent>()
        .on::<OrderDriverAssigned, KeepEvent>()
        .on::<OrderDeliveryStarted, KeepEvent>()
        .on::<OrderDelivered, KeepEvent>()
        .on::<OrderCancelled, KeepEvent>()
        .on::<OrderPaymentChanged, KeepEvent>()
        .on::<OrderCorrected, KeepEvent>()
}

/// The table of what is done again and again.
pub fn scheduler(scheduler: Scheduler) -> Scheduler {
    scheduler
        .task::<ExpireEveryMinute>()
        .task::<MarkLateEveryMinute>()
        .task::<DailyReport>()
        .task::<TrimEveryMinute>()
        .task::<ForgetEveryMinute>()
}
