//! pizzeria
