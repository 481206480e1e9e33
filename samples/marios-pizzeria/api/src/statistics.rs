//! What the manager watches.

use neuroglia::di::Inject;
use neuroglia::error::Result;
use neuroglia::mediation::Mediator;
use neuroglia::web::{Json, controller};
use pizzeria_application::statistics::{GetOverview, OverviewDto};

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
}
