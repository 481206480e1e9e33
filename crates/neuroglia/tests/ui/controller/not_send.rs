use neuroglia::di::Inject;
use neuroglia::error::Result;
use neuroglia::web::{Json, controller};

#[derive(Inject)]
struct Orders {}

#[controller("/orders")]
impl Orders {
    #[get("/", public)]
    async fn list(&self) -> Result<Json<u32>> {
        let count = std::rc::Rc::new(1);
        std::future::ready(()).await;
        Ok(Json(*count))
    }
}

fn main() {}
