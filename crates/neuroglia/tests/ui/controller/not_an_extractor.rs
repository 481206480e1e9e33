use neuroglia::di::Inject;
use neuroglia::error::Result;
use neuroglia::web::{Json, controller};

#[derive(Inject)]
struct Orders {}

#[controller("/orders")]
impl Orders {
    #[get("/", public)]
    async fn list(&self, flag: bool) -> Result<Json<u32>> {
        Ok(Json(u32::from(flag)))
    }
}

fn main() {}
