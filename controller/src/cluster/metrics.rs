//! What the controller counts, with the names of Argo Rollouts and those it lacks.
