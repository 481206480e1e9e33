//! What the manager watches.

use neuroglia::di::Inject;
use neuroglia::error::Result;
use neuroglia::mediation::Mediator;
use neuroglia::web::{Json, Query, controller};
use pizzeria_application::statistics::{
    Day, GetKitchenTimes, GetOverview, GetPizzaSales, GetStaffWork, GetTimeseries, KitchenTimesDto,
    OverviewDto, PizzaSalesDto, SeriesStep, StaffWorkDto, TimeseriesDto,
};
use schemars::JsonSchema;
use serde::Deserialize;

/// Which part of a series.
#[derive(Deserialize, JsonSchema)]
struct SeriesRange {
    /// The length of a step: day or hour.
    #[serde(default)]
    by: SeriesStep,
    /// The first day, such as 2026-11-26; 29 days before the last when not said.
    #[schemars(with = "Option<String>")]
    from: Option<Day>,
    /// The last day; today when not said.
    #[schemars(with = "Option<String>")]
    to: Option<Day>,
}

#[derive(Inject)]
pub(crate) struct StatisticsController {
    mediator: Mediator,
}

#[controller("/api/v1/statistics")]
impl StatisticsController {
    /// Show how many orders there are in each status, and what came in.
    #[get("/overview", roles("manager"))]
    async fn overview(&self) -> Result<Json<OverviewDto>> {
        Ok(Json(self.mediator.send(GetOverview {}).await?))
    }

    /// Show how business went from day to day, or from hour to hour.
    #[get("/timeseries", roles("manager"))]
    async fn timeseries(&self, Query(range): Query<SeriesRange>) -> Result<Json<TimeseriesDto>> {
        let SeriesRange { by, from, to } = range;
        Ok(Json(self.mediator.send(GetTimeseries { by, from, to }).await?))
    }

    /// Show which pizzas were sold.
    #[get("/pizzas", roles("manager"))]
    async fn pizzas(&self) -> Result<Json<PizzaSalesDto>> {
        Ok(Json(self.mediator.send(GetPizzaSales {}).await?))
    }

    /// Show how long orders take in the kitchen and on their way.
    #[get("/kitchen", roles("manager"))]
    async fn kitchen(&self) -> Result<Json<KitchenTimesDto>> {
        Ok(Json(self.mediator.send(GetKitchenTimes {}).await?))
    }

    /// Show how many orders each of the staff has confirmed, cooked and delivered.
    #[get("/staff", roles("manager"))]
    async fn staff(&self) -> Result<Json<StaffWorkDto>> {
        Ok(Json(self.mediator.send(GetStaffWork {}).await?))
    }
}
