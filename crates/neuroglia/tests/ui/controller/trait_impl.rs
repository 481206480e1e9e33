use neuroglia::di::Inject;
use neuroglia::web::controller;

#[derive(Inject)]
struct Orders {}

trait Listing {
    fn title(&self) -> &'static str;
}

#[controller("/orders")]
impl Listing for Orders {
    fn title(&self) -> &'static str {
        "orders"
    }
}


fn main() {}
