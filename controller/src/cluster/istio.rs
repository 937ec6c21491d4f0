//! What the router `istio` writes: the user's objects and the wanted traffic in, the objects as they
//! are to be out.
