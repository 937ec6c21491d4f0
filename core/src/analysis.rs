//! What a measurement, a metric and an analysis run mean (Argo Rollouts' semantics).
