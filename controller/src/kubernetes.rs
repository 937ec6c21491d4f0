//! A cluster's Rollouts as the command line sees them: objects come in, views go out; verbs come
//! in, patches of the fields that `kubectl argo rollouts` patches go out.

pub mod picture;
