//! neuroglia-testing
