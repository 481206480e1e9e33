use neuroglia::di::Inject;
use neuroglia::error::Result;
use neuroglia::web::{Json, controller};

#[derive(Inject)]
struct Orders {}

#[controller("/orders")]
impl Orders {
    #[get("/")]
    async fn list(&self) -> Result<Json<u32>> {
        Ok(Json(1))
    }

    #[post("/", public)]
    fn place(&self) -> Result<Json<u32>> {
        Ok(Json(1))
    }

    #[put("/", public)]
    async fn change(&self) -> Result<Json<u32>> {
        Ok(Json(self.missing()))
    }
}

fn main() {}
