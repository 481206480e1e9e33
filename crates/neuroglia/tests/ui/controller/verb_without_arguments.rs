use neuroglia::di::Inject;
use neuroglia::error::Result;
use neuroglia::web::{Json, controller};

#[derive(Inject)]
struct Orders {}

#[controller("/orders")]
impl Orders {
    #[get]
    async fn list(&self) -> Result<Json<u32>> {
        Ok(Json(1))
    }
}

fn main() {}
