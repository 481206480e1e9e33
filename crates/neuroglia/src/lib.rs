//! neuroglia

pub mod telemetry;
