//! The board, above the counter of a pizzeria that runs.

use neuroglia_testing::{TestApp, TestResponse};
use pizzeria_application::menu::SeedMenu;

async fn pizzeria() -> TestApp {
    let settings = [("DATABASE_URL", "memory:"), ("JWT_SECRET_KEY", "x7Kp2mWq9vRt4nYb8sLd3fHj6gZc1aQe")];
    let pizzeria = TestApp::start(marios_pizzeria::app(), settings).await;
    pizzeria.send(SeedMenu {}).await.expect("a menu");
    pizzeria
}

async fn menu(board: &TestApp) -> TestResponse {
    board.get("/menu").send().await
}

#[tokio::test]
async fn the_board_shows_the_menu_and_says_so_when_it_cannot() {
    let pizzeria = pizzeria().await;
    let board = TestApp::start(
        menu_board::app(),
        [("PIZZERIA_URL", format!("http://{}", pizzeria.address())), ("ADMIN_PORT", "0".to_owned())],
    )
    .await;
    let page = menu(&board).await.assert_status(200).text();
    assert!(page.contains("<tr><th>Margherita<td>12.99<td>16.89<td>20.78<td>USD"), "{page}");
    assert_eq!(page.matches("<tr>").count(), 6, "{page}");

    let metrics = board.get_admin("/metrics").send().await.assert_status(200).text();
    let answered = r#"service_calls_total{service="pizzeria",outcome="answered"} 1"#;
    assert!(metrics.contains(answered), "{metrics}");
    let health = board.get_admin("/health").send().await.assert_status(200).text();
    assert!(health.contains("pizzeria"), "{health}");

    pizzeria.stop().await;
    menu(&board).await.problem(503, "service.unavailable");
    board.get("/health/ready").send().await.assert_status(200);
    board.stop().await;
}
