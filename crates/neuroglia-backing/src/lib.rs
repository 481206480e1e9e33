//! neuroglia-backing
