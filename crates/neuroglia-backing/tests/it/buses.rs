//! All buses keep every rule of the port, on real brokers.

mod local {
    use neuroglia_testing::conformance::bus::LocalBench;

    async fn make() -> LocalBench {
        LocalBench::default()
    }

    neuroglia_testing::bus_conformance!(make);
}

mod rabbitmq {
    use crate::rabbitmq::RabbitBench;

    async fn make() -> RabbitBench {
        RabbitBench::new()
    }

    neuroglia_testing::bus_conformance!(make);
}

mod nats {
    use crate::nats::NatsBench;

    async fn make() -> NatsBench {
        NatsBench::new()
    }

    neuroglia_testing::bus_conformance!(make);
}

mod sink {
    use crate::sink::SinkBench;

    async fn make() -> SinkBench {
        SinkBench::new().await
    }

    neuroglia_testing::bus_conformance!(make);
}
