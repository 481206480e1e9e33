//! Two ways of doing the same, measured in turn by the CPU time of this process, which has one thread.

const ROUNDS: usize = 7;

/// The CPU time that the one thread of this process has used, in nanoseconds.
fn cpu_ns() -> f64 {
    let used = std::fs::read_to_string("/proc/self/schedstat").expect("Linux tells what a thread has used");
    used.split(' ').next().and_then(|number| number.parse().ok()).expect("a number of nanoseconds")
}

/// CPU microseconds of one of so many.
async fn cost(count: usize, work: impl Future<Output = ()>) -> f64 {
    let before = cpu_ns();
    work.await;
    (cpu_ns() - before) / 1e3 / count as f64
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// Does both once without measuring, then several times in turn; the medians, as one JSON object.
pub(crate) async fn compare(
    count: usize,
    mut by_client: impl AsyncFnMut(),
    mut by_port: impl AsyncFnMut(),
) -> serde_json::Value {
    by_client().await;
    by_port().await;
    let (mut ports, mut clients, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (client, port) = (cost(count, by_client()).await, cost(count, by_port()).await);
        ratios.push(port / client);
        clients.push(client);
        ports.push(port);
    }
    serde_json::json!({ "port_us": median(ports), "client_us": median(clients), "ratio": median(ratios) })
}
