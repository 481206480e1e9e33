use neuroglia::di::Inject;
use neuroglia::error::Result;
use neuroglia::web::{Json, controller};

#[derive(Inject)]
struct Orders {}

#[controller("/orders")]
impl Orders {
    #[get("/", public)]
    async fn list(&self) -> Result<Orders> {
        Ok(Orders {})
    }

    #[get("/json", public)]
    async fn json(&self) -> Result<Json<u32>> {
        Ok(Json(1))
    }
}

fn main() {}
