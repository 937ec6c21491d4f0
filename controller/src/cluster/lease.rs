//! Who leads: one of several controllers holds a Lease and acts.
