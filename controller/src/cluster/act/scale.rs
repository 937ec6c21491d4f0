//! ReplicaSets are made, and get the pods and annotations that a decision asks for.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::ReplicaSet;
use kube::ResourceExt as _;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Map, Value, json};
use serin_core::plan::Metadata;

use super::Acting;
use crate::clock;
use crate::cluster::reconcile::PassError;
use crate::cluster::sets::{self, Making};
use crate::cluster::tell;

impl Acting<'_> {
    /// More pods before fewer: nobody waits for one that is on its way out.
    pub(super) async fn scale_all(&self) -> Result<(), PassError> {
        let owned = self.pass.context.watched.sets_of(self.pass.rollout);
        let missing = !owned
            .iter()
            .any(|set| sets::hash_of(set) == Some(&self.version.hash));
        let revision = self.revision(&owned);
        let created = match missing {
            true => self.create(revision).await,
            false => {
                self.pass.context.fail(self.pass.uid, None);
                Ok(())
            }
        };
        let mut sets: Vec<(&Arc<ReplicaSet>, u32)> = owned
            .iter()
            .map(|set| (set, self.wanted(sets::hash_of(set).unwrap_or_default())))
            .collect();
        sets.sort_by_key(|(set, wanted)| *wanted < sets::desired(set));
        for (set, wanted) in sets {
            self.bring(set, wanted, revision).await?;
        }
        created
    }

    /// The pods that a version is to have.
    fn wanted(&self, hash: &str) -> u32 {
        self.decision.sets.get(hash).copied().unwrap_or(0)
    }

    /// The revision number of the version asked for: the next one if it is not the newest.
    fn revision(&self, owned: &[Arc<ReplicaSet>]) -> u64 {
        let next = sets::next_revision(owned.iter().map(|set| &**set));
        let current = owned
            .iter()
            .find(|set| sets::hash_of(set) == Some(&self.version.hash));
        match current.map(|set| sets::seen(set).revision) {
            Some(newest) if newest + 1 == next => newest,
            _ => next,
        }
    }

    async fn create(&self, revision: u64) -> Result<(), PassError> {
        let (hash, plan) = (&self.version.hash, self.plan);
        let wanted = self.wanted(hash);
        let state = &self.decision.state;
        let apart_from =
            (!state.stable.is_empty() && state.stable != *hash).then_some(&*state.stable);
        let object = sets::object(&Making {
            plan,
            rollout: &self.pass.document,
            selector: self.selector,
            hash,
            written: &self.version.written,
            revision,
            replicas: wanted,
            role: self.role(hash),
            apart_from,
        });
        let object: DynamicObject =
            serde_json::from_value(object).map_err(|source| PassError::Json {
                what: "a ReplicaSet",
                source,
            })?;
        let kind = ApiResource::erase::<ReplicaSet>(&());
        let api: Api<DynamicObject> = Api::namespaced_with(self.client(), &plan.namespace, &kind);
        let name = sets::name(plan, hash);
        match api.create(&PostParams::default(), &object).await {
            Ok(_) => {
                self.pass.context.fail(self.pass.uid, None);
                let told = format!("Created ReplicaSet {name} (revision {revision})");
                tell::event(self.pass, "NewReplicaSetCreated", &told);
                Ok(())
            }
            Err(kube::Error::Api(status)) if status.is_already_exists() => self.meet(&name).await,
            Err(error) => {
                if let kube::Error::Api(status) = &error {
                    let failure = Some(status.message.clone());
                    self.pass.context.fail(self.pass.uid, failure);
                }
                Err(PassError::api(format!("create ReplicaSet {name}"))(error))
            }
        }
    }

    /// The name is taken: by an earlier pass, which what is held does not show yet, or by others,
    /// and then the version needs another name.
    async fn meet(&self, name: &str) -> Result<(), PassError> {
        let there = self.sets_api().get_opt(name).await;
        let there = there.map_err(PassError::api(format!("get ReplicaSet {name}")))?;
        let own = |set: &ReplicaSet| {
            let mut owners = set.owner_references().iter();
            owners.any(|owner| owner.uid == self.pass.uid)
        };
        match there {
            // One that nobody controls is adopted once what is held shows it so, if it can be.
            Some(set) if self.pass.may_adopt(self.plan, self.selector, &set) => {
                return Err(match self.pass.context.failure(self.pass.uid) {
                    Some(why) => PassError::Unadopted { why },
                    None => PassError::Stale {
                        what: format!("ReplicaSet {name}"),
                    },
                });
            }
            Some(set) if !own(&set) => {}
            _ => return Ok(()),
        }
        let before = self
            .pass
            .status
            .get("collisionCount")
            .and_then(Value::as_u64);
        let patch = json!({"status": {"collisionCount": before.unwrap_or(0) + 1}});
        let api = self.pass.rollouts();
        let patch = Patch::Merge(&patch);
        let patched = api
            .patch_status(&self.plan.name, &PatchParams::default(), &patch)
            .await;
        patched.map_err(PassError::api("count a collision"))?;
        Ok(())
    }

    /// Brings a ReplicaSet to what is asked of it; nothing is written if it is there.
    async fn bring(&self, set: &ReplicaSet, wanted: u32, revision: u64) -> Result<(), PassError> {
        let hash = sets::hash_of(set).unwrap_or_default();
        let mut annotations = Map::new();
        let mut annotate = |key: &str, value: Option<String>| {
            if set.annotations().get(key) != value.as_ref() {
                annotations.insert(key.to_string(), json!(value));
            }
        };
        let deadline = self.decision.state.scale_down_at.get(hash);
        annotate(sets::DEADLINE, deadline.map(|at| clock::text(*at)));
        annotate(sets::DESIRED, Some(self.plan.replicas.to_string()));
        if hash == self.version.hash {
            annotate(sets::REVISION, Some(revision.to_string()));
            annotate(sets::TEMPLATE, Some(self.version.written.clone()));
        }
        let mut spec = Map::new();
        let before = sets::desired(set);
        if before != wanted {
            spec.insert("replicas".to_string(), json!(wanted));
        }
        let min_ready = set.spec.min_ready_seconds;
        let min_ready = u64::try_from(min_ready.unwrap_or(0)).unwrap_or(0);
        if min_ready != self.plan.min_ready.as_secs() {
            spec.insert(
                "minReadySeconds".to_string(),
                json!(self.plan.min_ready.as_secs()),
            );
        }
        if annotations.is_empty() && spec.is_empty() {
            return Ok(());
        }
        let patch = json!({"metadata": {"annotations": annotations}, "spec": spec});
        let name = set.name_any();
        let api = self.sets_api();
        let patched = api
            .patch(&name, &PatchParams::default(), &Patch::Merge(&patch))
            .await;
        match patched {
            Ok(_) => {}
            // It went while this was decided; the next pass finds out.
            Err(kube::Error::Api(status)) if status.is_not_found() => return Ok(()),
            Err(error) => return Err(PassError::api(format!("patch ReplicaSet {name}"))(error)),
        }
        if before != wanted {
            let revision = sets::seen(set).revision;
            let way = if wanted > before { "up" } else { "down" };
            let told = format!(
                "Scaled {way} ReplicaSet {name} (revision {revision}) from {before} to {wanted}"
            );
            tell::event(self.pass, "ScalingReplicaSet", &told);
        }
        Ok(())
    }

    /// What the pods of a version have for their role.
    pub(super) fn role(&self, hash: &str) -> &Metadata {
        let state = &self.decision.state;
        if state.stable.is_empty() || hash == state.stable {
            &self.plan.stable_metadata
        } else {
            &self.plan.canary_metadata
        }
    }
}
