//! Tells whether two appliances hold the same.
