//! Templates that cannot be read, and what they and Rollouts' own rules for them say that does not
//! mean what it seems to.

use serin_core::analysis::traps::warnings_of;
use serin_core::analysis::{Template, Warning};
use serin_core::plan::Plan;

use super::Finding;
use super::files::Files;
use super::query::TEMPLATES;

pub(super) fn check(files: &Files) -> Vec<Finding> {
    let templates = TEMPLATES.iter().flat_map(|kind| files.of_kind(kind));
    let of_templates = templates.flat_map(|object| match Template::parse(&object.value) {
        Ok(template) => {
            let warnings = template.warnings().into_iter();
            warnings.map(|warning| object.warning(warning)).collect()
        }
        Err(errors) => {
            let errors = errors.0.into_iter();
            errors.map(|error| object.error(error)).collect::<Vec<_>>()
        }
    });
    let of_rollouts = files.plans().flat_map(|(object, plan)| {
        let warnings = rules(plan).into_iter();
        warnings.map(|warning| object.warning(warning))
    });
    of_templates.chain(of_rollouts).collect()
}

fn rules(plan: &Plan) -> Vec<Warning> {
    let canary = "spec.strategy.canary";
    let all = plan.analyses().flat_map(|(step, analysis)| match step {
        Some(step) => warnings_of(&format!("{canary}.steps[{step}].analysis"), analysis),
        None => warnings_of(&format!("{canary}.analysis"), analysis),
    });
    all.collect()
}

#[cfg(test)]
mod tests {
    use super::super::{asking, filtered, shop, told};

    #[test]
    fn what_really_happens_is_told_at_its_field() {
        let template = asking("up").replace("len(result) == 0 || ", "");
        let found = told(&template);
        let [only] = &found[..] else {
            panic!("{found:#?}")
        };
        let told = "warning: all.yaml document 1: AnalysisTemplate web/good: \
                    spec.metrics[0].successCondition: is an Error while the query finds nothing";
        assert!(only.starts_with(told), "{only}");
    }

    #[test]
    fn each_field_of_a_template_that_is_refused_is_told() {
        let template = asking("up");
        let wrong = template.replace(
            "\"successCondition\"",
            "\"faliureLimit\":3,\"successCondition\"",
        );
        assert_ne!(wrong, template);
        let found = told(&wrong);
        let [only] = &found[..] else {
            panic!("{found:#?}")
        };
        let told = "error: all.yaml document 1: AnalysisTemplate web/good: \
                    spec.metrics[0].faliureLimit: is 3, expected one of";
        assert!(only.starts_with(told), "{only}");
    }

    #[test]
    fn a_rollouts_own_rules_are_looked_at() {
        let analysis = "{\"templates\":[{\"templateName\":\"good\"}]";
        let with_rule = format!("{analysis},\"dryRun\":[{{\"metricName\":\"*\"}}]");
        let found = told(&shop(&filtered()).replace(analysis, &with_rule));
        let [only] = &found[..] else {
            panic!("{found:#?}")
        };
        let told = "warning: all.yaml document 1: Rollout web/shop: \
                    spec.strategy.canary.steps[1].analysis.dryRun[0].metricName: is \"*\", which is \
                    no pattern";
        assert!(only.starts_with(told), "{only}");
    }
}
