//! What belongs to the customer who asks.

use neuroglia::data::Page;
use neuroglia::di::Inject;
use neuroglia::error::Result;
use neuroglia::mediation::Mediator;
use neuroglia::web::{IfMatch, Json, Path, Query, Tagged, controller};
use pizzeria_application::customers::{
    ContactBody, DismissNotification, GetMyProfile, ListMyNotifications, ListMyOrders, NotificationDto,
    ProfileDto, ReadNotification, UpdateMyProfile,
};
use pizzeria_application::orders::OrderDto;
use pizzeria_domain::notification::NotificationId;

use crate::paging::Paging;

#[derive(Inject)]
pub(crate) struct MeController {
    mediator: Mediator,
}

#[controller("/api/v1/me")]
impl MeController {
    /// Show one's profile.
    #[get("/", roles("customer"))]
    async fn profile(&self) -> Result<Tagged<Json<ProfileDto>>> {
        Ok(tagged(self.mediator.send(GetMyProfile {}).await?))
    }

    /// Replace one's profile.
    #[put("/", roles("customer"))]
    async fn update(
        &self,
        IfMatch(expected_version): IfMatch,
        Json(contact): Json<ContactBody>,
    ) -> Result<Tagged<Json<ProfileDto>>> {
        Ok(tagged(self.mediator.send(UpdateMyProfile { contact, expected_version }).await?))
    }

    /// List one's orders, the newest first.
    #[get("/orders", roles("customer"))]
    async fn orders(&self, Query(paging): Query<Paging>) -> Result<Page<OrderDto>> {
        self.mediator.send(ListMyOrders { cursor: paging.cursor()?, limit: paging.limit()? }).await
    }

    /// List what one was told, the newest first.
    #[get("/notifications", roles("customer"))]
    async fn notifications(&self, Query(paging): Query<Paging>) -> Result<Page<NotificationDto>> {
        self.mediator.send(ListMyNotifications { cursor: paging.cursor()?, limit: paging.limit()? }).await
    }

    /// Note that a notification was read.
    #[post("/notifications/{id}/read", roles("customer"))]
    async fn read(&self, Path(id): Path<NotificationId>) -> Result<Json<NotificationDto>> {
        Ok(Json(self.mediator.send(ReadNotification { id }).await?))
    }

    /// Put a notification away.
    #[post("/notifications/{id}/dismiss", roles("customer"))]
    async fn dismiss(&self, Path(id): Path<NotificationId>) -> Result<Json<NotificationDto>> {
        Ok(Json(self.mediator.send(DismissNotification { id }).await?))
    }
}

fn tagged(profile: ProfileDto) -> Tagged<Json<ProfileDto>> {
    Tagged::new(profile.version, Json(profile))
}
