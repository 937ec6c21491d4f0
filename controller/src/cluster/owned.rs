//! Objects by whom they belong to, so that a pass over one of a thousand Rollouts need not look at
//! what belongs to all.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher::Event;
use kube::{Resource, ResourceExt as _};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::{Arc, PoisonError, RwLock};

/// What is held of a kind, and whom it belongs to.
pub(super) struct Owned<K: Resource<DynamicType: Eq + Hash + Clone> + 'static> {
    /// All of them.
    pub store: Store<K>,
    kind: K::DynamicType,
    owner: OwnerOf<K>,
    index: Arc<RwLock<Index<K>>>,
}

/// Says whom an object belongs to.
type OwnerOf<K> = fn(&K) -> Cow<'_, str>;

/// Whom each object belongs to, and what belongs to each.
struct Index<K: Resource<DynamicType: Eq + Hash + Clone> + 'static> {
    owners: HashMap<ObjectRef<K>, String>,
    of: HashMap<String, HashSet<ObjectRef<K>>>,
}

impl<K: Resource<DynamicType: Eq + Hash + Clone> + 'static> Index<K> {
    fn add(&mut self, object: ObjectRef<K>, owner: &str) {
        if self
            .owners
            .get(&object)
            .is_none_or(|before| before != owner)
        {
            self.remove(&object);
            self.owners.insert(object.clone(), owner.to_string());
            let of_owner = self.of.entry(owner.to_string()).or_default();
            of_owner.insert(object);
        }
    }

    fn remove(&mut self, object: &ObjectRef<K>) {
        let Some(owner) = self.owners.remove(object) else {
            return;
        };
        if let Some(of_owner) = self.of.get_mut(&owner) {
            of_owner.remove(object);
            if of_owner.is_empty() {
                self.of.remove(&owner);
            }
        }
    }
}

/// Whom that belongs to which is nobody's.
pub(super) const NOBODY: &str = "";

/// The owner that controls an object.
pub(super) fn controlling<K: Resource>(object: &K) -> Option<&OwnerReference> {
    let mut owners = object.owner_references().iter();
    owners.find(|owner| owner.controller == Some(true))
}

/// The uid of the owner that controls an object.
pub(super) fn controller<K: Resource>(object: &K) -> Cow<'_, str> {
    Cow::Borrowed(controlling(object).map_or(NOBODY, |owner| &owner.uid))
}

impl<K> Owned<K>
where
    K: Resource<DynamicType: Eq + Hash + Clone + Send + Sync> + Clone + Send + Sync + 'static,
{
    /// `owner` says whom an object of this kind belongs to.
    pub(super) fn new(store: Store<K>, kind: K::DynamicType, owner: OwnerOf<K>) -> Owned<K> {
        Owned {
            store,
            kind,
            owner,
            index: Arc::new(RwLock::new(Index {
                owners: HashMap::new(),
                of: HashMap::new(),
            })),
        }
    }

    /// What takes note of a change that the store has taken.
    pub(super) fn notes(&self) -> impl FnMut(&Event<K>) + Send + 'static {
        let (store, index) = (self.store.clone(), Arc::clone(&self.index));
        let (kind, owner) = (self.kind.clone(), self.owner);
        move |event| {
            // Of a change that panicked midway at most an object is missing until it changes.
            let mut index = index.write().unwrap_or_else(PoisonError::into_inner);
            let reference = |object: &K| ObjectRef::from_obj_with(object, kind.clone());
            match event {
                Event::Apply(object) | Event::InitApply(object) => {
                    index.add(reference(object), &owner(object));
                }
                Event::Delete(object) => index.remove(&reference(object)),
                Event::Init => {}
                // What went away while nobody watched was not told.
                Event::InitDone => {
                    let gone = index.owners.keys();
                    let gone = gone.filter(|object| store.get(object).is_none()).cloned();
                    for object in gone.collect::<Vec<_>>() {
                        index.remove(&object);
                    }
                }
            }
        }
    }

    /// Those that belong to this one.
    pub(super) fn by(&self, owner: &str) -> Vec<Arc<K>> {
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        let objects = index.of.get(owner).into_iter().flatten();
        let objects = objects.filter_map(|object| self.store.get(object));
        objects
            // One that was let go, or made anew under the same name.
            .filter(|object| (self.owner)(object) == owner)
            .collect()
    }
}

impl<K: Resource<DynamicType: Eq + Hash + Clone> + 'static> Owned<K> {
    /// All that anything belongs to.
    pub(super) fn owners(&self) -> Vec<String> {
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        let owners = index.of.keys().filter(|owner| *owner != NOBODY);
        owners.cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::apps::v1::ReplicaSet;
    use kube::runtime::reflector::store::Writer;
    use serde_json::{Value, json};

    fn set(name: &str, owner: &Value) -> ReplicaSet {
        let owners = json!([{
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "shop",
            "uid": owner, "controller": true,
        }]);
        let owners = if owner.is_null() { json!([]) } else { owners };
        let metadata = json!({"name": name, "namespace": "web", "ownerReferences": owners});
        serde_json::from_value(json!({"metadata": metadata, "spec": {"selector": {}}}))
            .expect("a ReplicaSet")
    }

    /// The names of those of an owner after these events.
    fn after(events: Vec<Event<ReplicaSet>>, owner: &str) -> Vec<String> {
        let mut writer = Writer::new(());
        let owned = Owned::new(writer.as_reader(), (), controller);
        let mut notes = owned.notes();
        for event in events {
            writer.apply_watcher_event(&event);
            notes(&event);
        }
        let mut names: Vec<String> = owned.by(owner).iter().map(|set| set.name_any()).collect();
        names.sort();
        names
    }

    #[test]
    fn those_of_one_owner_are_found_as_they_come_and_go() {
        let events = || {
            vec![
                Event::Init,
                Event::InitApply(set("a", &json!("one"))),
                Event::InitApply(set("b", &json!("two"))),
                Event::InitApply(set("free", &Value::Null)),
                Event::InitDone,
                Event::Apply(set("c", &json!("one"))),
                Event::Apply(set("d", &json!("one"))),
                Event::Delete(set("a", &json!("one"))),
            ]
        };
        assert_eq!(after(events(), "one"), ["c", "d"]);
        assert_eq!(after(events(), "two"), ["b"]);
        assert_eq!(after(events(), "three"), [""; 0]);
        assert_eq!(after(events(), NOBODY), ["free"]);
    }

    #[test]
    fn what_changed_hands_or_went_unseen_is_not_found_any_more() {
        let events = || {
            vec![
                Event::Apply(set("a", &json!("one"))),
                Event::Apply(set("b", &json!("one"))),
                Event::Apply(set("c", &json!("one"))),
                Event::Apply(set("b", &json!("two"))),
                // Watched anew: `a` is gone, `c` has been let go.
                Event::Init,
                Event::InitApply(set("b", &json!("two"))),
                Event::InitApply(set("c", &Value::Null)),
                Event::InitDone,
            ]
        };
        assert_eq!(after(events(), "one"), [""; 0]);
        assert_eq!(after(events(), "two"), ["b"]);
        assert_eq!(after(events(), NOBODY), ["c"]);
        let taken = [events(), vec![Event::Apply(set("c", &json!("two")))]].concat();
        assert_eq!(after(taken, NOBODY), [""; 0]);
    }
}
