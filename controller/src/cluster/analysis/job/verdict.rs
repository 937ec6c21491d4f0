//! What a Job and its pods say of the measurement.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::runtime::watcher::Event;
use serin_core::step::RunPhase;

use super::Verdict;

/// Why a container waits for ever: nobody but a person gets it on.
const FOR_EVER: [&str; 3] = ["ErrImagePull", "ImagePullBackOff", "InvalidImageName"];

/// The verdict that an event of the watched Job brings, if any. `is_there`: whether the list that
/// is being read has it.
pub(super) fn of_event(event: &Event<Job>, is_there: &mut bool) -> Option<Verdict> {
    match event {
        Event::Init => *is_there = false,
        Event::InitApply(_) => *is_there = true,
        _ => {}
    }
    match event {
        Event::InitApply(job) | Event::Apply(job) => of_job(job),
        Event::InitDone if *is_there => None,
        Event::Init => None,
        Event::InitDone | Event::Delete(_) => Some(Verdict {
            phase: RunPhase::Error,
            message: "the Job is gone".to_string(),
        }),
    }
}

fn of_job(job: &Job) -> Option<Verdict> {
    let conditions = job.status.as_ref()?.conditions.iter().flatten();
    let mut true_ones = conditions.filter(|condition| condition.status == "True");
    true_ones.find_map(|condition| {
        let phase = match condition.type_.as_str() {
            "Complete" => RunPhase::Successful,
            "Failed" => RunPhase::Failed,
            _ => return None,
        };
        Some(Verdict {
            phase,
            message: String::new(),
        })
    })
}

/// Inconclusive, if a container of the pod waits for ever.
pub(super) fn of_pod(pod: &Pod) -> Option<Verdict> {
    let status = pod.status.as_ref()?;
    let init = status.init_container_statuses.iter().flatten();
    let mut all = init.chain(status.container_statuses.iter().flatten());
    all.find_map(|container| {
        let waiting = container.state.as_ref()?.waiting.as_ref()?;
        let reason = waiting.reason.as_deref()?;
        let why = waiting.message.as_deref().unwrap_or_default();
        FOR_EVER.contains(&reason).then(|| Verdict {
            phase: RunPhase::Inconclusive,
            message: format!(
                "container {} of pod {} waits with {reason}: {why}",
                container.name,
                pod.name_any()
            ),
        })
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn job(conditions: Value) -> Job {
        serde_json::from_value(json!({"metadata": {}, "status": {"conditions": conditions}}))
            .unwrap()
    }

    fn phase(event: Event<Job>, mut is_there: bool) -> Option<RunPhase> {
        of_event(&event, &mut is_there).map(|verdict| verdict.phase)
    }

    #[test]
    fn the_end_of_a_job_is_the_verdict() {
        let ended = |kind: &str, status: &str| {
            let job = job(json!([{"type": "Suspended", "status": "True"},
                {"type": kind, "status": status}]));
            phase(Event::Apply(job), true)
        };
        assert_eq!(ended("Complete", "True"), Some(RunPhase::Successful));
        assert_eq!(ended("Failed", "True"), Some(RunPhase::Failed));
        assert_eq!(ended("Failed", "False"), None);
        assert_eq!(ended("FailureTarget", "True"), None);
    }

    #[test]
    fn a_job_that_is_gone_is_an_error() {
        let error = Some(RunPhase::Error);
        assert_eq!(phase(Event::InitDone, false), error);
        assert_eq!(phase(Event::InitDone, true), None);
        assert_eq!(phase(Event::Delete(job(json!([]))), true), error);
    }

    #[test]
    fn an_image_that_cannot_be_had_leaves_it_open() {
        let of = |reason: &str| {
            let waiting = json!({"waiting": {"reason": reason, "message": "no such image"}});
            let container = json!({"name": "c", "state": waiting, "image": "", "imageID": "",
                "ready": false, "restartCount": 0});
            let pod =
                json!({"metadata": {"name": "p"}, "status": {"containerStatuses": [container]}});
            of_pod(&serde_json::from_value(pod).unwrap())
        };
        assert_eq!(of("ContainerCreating"), None);
        let verdict = of("ImagePullBackOff").unwrap();
        assert_eq!(verdict.phase, RunPhase::Inconclusive);
        assert_eq!(
            verdict.message,
            "container c of pod p waits with ImagePullBackOff: no such image"
        );
    }
}
