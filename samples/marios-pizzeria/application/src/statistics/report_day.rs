//! Tell the house by mail how the day before went.

use std::sync::Arc;
use std::time::Duration;

use neuroglia::clock::Timestamp;
use neuroglia::di::Inject;
use neuroglia::error::Result;
use neuroglia::mail::{Letter, Mail, Mailer};
use neuroglia::mediation::{Command, CommandHandler, Mediator};
use neuroglia::schedule::{Schedule, ScheduledTask, Tick, Zone};
use pizzeria_domain::order::OrderStatus;

use super::day::Day;
use super::ledger::Ledger;
use crate::house::House;

/// Tell the house by mail how the day went that ended before this moment, once for each day.
#[derive(Debug, Clone)]
pub struct ReportDay {
    /// A moment of the day after.
    pub morning: Timestamp,
}

impl Command for ReportDay {
    type Response = ();
    type Handler = ReportDayHandler;
}

/// Handles [`ReportDay`].
#[derive(Inject)]
pub struct ReportDayHandler {
    ledger: Ledger,
    mailer: Mailer,
    house: Arc<House>,
    zone: Arc<Zone>,
}

impl CommandHandler<ReportDay> for ReportDayHandler {
    async fn handle(&self, command: ReportDay) -> Result<()> {
        let Some(to) = self.house.report_to.clone() else { return Ok(()) };
        let evening = self.zone.start_of_day(command.morning) - Duration::from_secs(1);
        let day = Day::at(&self.zone, evening).to_string();
        let figures = self.ledger.series((&day, &day), false).await?.remove(&day).unwrap_or_default();
        let count = |status: OrderStatus| figures.statuses.count(status.as_str());
        let letter = Letter::about(format!("Mario's Pizzeria on {day}")).facts([
            ("Orders", figures.statuses.total().to_string()),
            ("Delivered", count(OrderStatus::Delivered).to_string()),
            ("Cancelled", count(OrderStatus::Cancelled).to_string()),
            ("Revenue", figures.revenue_in(self.house.currency)?.to_string()),
        ]);
        self.mailer.send(Mail::new(format!("daily-report.{day}"), to, letter)?).await
    }
}

/// Reports at four in the morning, on the pizzeria's clock.
#[derive(Inject)]
pub struct DailyReport {
    mediator: Mediator,
}

impl ScheduledTask for DailyReport {
    const NAME: &'static str = "daily-report";
    const SCHEDULE: Schedule = Schedule::cron("0 4 * * *");

    async fn run(&self, tick: Tick) -> Result<()> {
        self.mediator.send(ReportDay { morning: tick.due }).await
    }
}
