//! A configuration in, everything that is wrong with it out: field path, value, what is accepted.

use super::{
    AllOf, Canary, FilterConfig, HeaderRoute, MAX_ALL, MAX_ANY, MAX_CONDITIONS, MAX_HOST,
    MAX_HOSTS, MAX_LABEL, MAX_NAME, MAX_PODS, MAX_REGEX, MAX_REGEXES, MAX_ROUTES, MAX_RULES,
    MAX_SALT, MAX_STICKY, MAX_VALUE, Pod, Role, Rule, StickyKey, Subject, Test, VARIANT_HEADER,
    VERSION, Versions, WEIGHT_ALL, dns_forms,
};
use crate::field::{FieldErrors, Report};
use crate::route::Pattern;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Debug;

/// How many hosts a Service's name stands for.
const FORMS: usize = 4;

/// All that is wrong with `config`.
pub(super) fn validate(config: &FilterConfig) -> Result<(), FieldErrors> {
    let mut check = Check::default();
    check.config(config);
    check.report.finish(Some(()))
}

/// What has been seen so far.
#[derive(Default)]
struct Check<'a> {
    report: Report,
    hosts: HashMap<Cow<'a, str>, usize>,
    /// Services' names alone, by their namespaces.
    names: HashMap<(&'a str, &'a str), usize>,
    conditions: usize,
    regexes: usize,
}

impl<'a> Check<'a> {
    fn config(&mut self, config: &'a FilterConfig) {
        if config.version != VERSION {
            self.expected("version", config.version, &format!("{VERSION}"));
        }
        self.label("name", &config.name, MAX_LABEL);
        if !config.proxy.is_unnamed() {
            self.label("proxy.workload", &config.proxy.workload, MAX_LABEL);
            self.label("proxy.namespace", &config.proxy.namespace, MAX_NAME);
            if !config.pods.is_empty() {
                let message = "has entries, expected none beside a proxy";
                self.report.add("pods", message);
            }
        }
        if let Some(pod) = &config.proxy.pod {
            self.pod("proxy.pod", pod);
        }
        self.at_most("pods", config.pods.len(), MAX_PODS);
        for (i, versions) in config.pods.iter().enumerate() {
            self.versions(&format!("pods[{i}]"), versions);
        }
        if config.role == Role::Destination && !config.rules.is_empty() {
            let message = "has entries, expected none with role destination";
            self.report.add("rules", message);
        }
        self.at_most("rules", config.rules.len(), MAX_RULES);
        let hosts = config.rules.iter();
        let hosts = hosts
            .map(|rule| rule.hosts.len() + rule.names.len() * FORMS)
            .sum();
        self.at_most("rules[].hosts", hosts, MAX_HOSTS);
        for (i, rule) in config.rules.iter().enumerate() {
            self.rule(&format!("rules[{i}]"), i, rule);
        }
        let (conditions, regexes) = (self.conditions, self.regexes);
        self.at_most(
            "rules[].canary.routes[].any[].all",
            conditions,
            MAX_CONDITIONS,
        );
        self.at_most(
            "rules[].canary.routes[].any[].all[].is.regex",
            regexes,
            MAX_REGEXES,
        );
    }

    fn versions(&mut self, path: &str, versions: &Versions) {
        self.label(&format!("{path}.namespace"), &versions.namespace, MAX_NAME);
        self.label(&format!("{path}.rollout"), &versions.rollout, MAX_LABEL);
        self.label(&format!("{path}.stable"), &versions.stable, MAX_NAME);
        if let Some(service) = &versions.service {
            self.label(&format!("{path}.service"), service, MAX_NAME);
        }
        if let Some(canary) = &versions.canary {
            self.label(&format!("{path}.canary"), canary, MAX_NAME);
        }
    }

    fn pod(&mut self, path: &str, pod: &Pod) {
        self.label(&format!("{path}.rollout"), &pod.rollout, MAX_LABEL);
        self.label(&format!("{path}.revision"), &pod.revision, MAX_NAME);
        self.label(&format!("{path}.service"), &pod.service, MAX_NAME);
    }

    fn rule(&mut self, path: &str, index: usize, rule: &'a Rule) {
        self.label(&format!("{path}.rollout"), &rule.rollout, MAX_LABEL);
        self.label(&format!("{path}.namespace"), &rule.namespace, MAX_NAME);
        self.label(&format!("{path}.service"), &rule.service, MAX_NAME);
        self.label(&format!("{path}.stable"), &rule.stable, MAX_NAME);
        if rule.hosts.is_empty() && rule.names.is_empty() {
            let message = "is empty, expected at least one host";
            self.report.add(format_args!("{path}.hosts"), message);
        }
        for (i, host) in rule.hosts.iter().enumerate() {
            self.host(&format!("{path}.hosts[{i}]"), index, host.into());
        }
        for (i, name) in rule.names.iter().enumerate() {
            self.name(&format!("{path}.names[{i}]"), index, rule, name);
        }
        if let Some(canary) = &rule.canary {
            self.canary(&format!("{path}.canary"), canary);
        }
    }

    fn name(&mut self, path: &str, index: usize, rule: &'a Rule, name: &'a str) {
        if let Some(other) = self.names.insert((&rule.namespace, name), index) {
            let accepted = format!("a Service that rules[{other}] does not name");
            self.expected(path, name, &accepted);
            return;
        }
        let [_, long @ ..] = dns_forms(name, &rule.namespace);
        for host in long {
            self.host(path, index, host.into());
        }
    }

    fn host(&mut self, path: &str, rule: usize, host: Cow<'a, str>) {
        if !is_host(&host) {
            let accepted = "a host name in lower case without port, at most 253 characters";
            self.expected(path, &host, accepted);
        }
        if let Some(other) = self.hosts.get(&host) {
            let accepted = format!("a host that rules[{other}] does not name");
            self.expected(path, &host, &accepted);
        }
        self.hosts.insert(host, rule);
    }

    fn canary(&mut self, path: &str, canary: &Canary) {
        self.label(&format!("{path}.revision"), &canary.revision, MAX_NAME);
        if canary.weight_bp > WEIGHT_ALL {
            let path = format!("{path}.weightBp");
            self.expected(
                &path,
                canary.weight_bp,
                "0 to 10000 (hundredths of a percent)",
            );
        }
        self.text(&format!("{path}.salt"), &canary.salt, 0, MAX_SALT);
        self.at_most(&format!("{path}.sticky"), canary.sticky.len(), MAX_STICKY);
        for (i, key) in canary.sticky.iter().enumerate() {
            let path = format!("{path}.sticky[{i}]");
            match key {
                StickyKey::Header(name) => self.header(&format!("{path}.header"), name),
                StickyKey::Cookie(name) => self.cookie(&format!("{path}.cookie"), name),
            }
        }
        self.at_most(&format!("{path}.routes"), canary.routes.len(), MAX_ROUTES);
        for (i, route) in canary.routes.iter().enumerate() {
            self.route(&format!("{path}.routes[{i}]"), route);
        }
    }

    fn route(&mut self, path: &str, route: &HeaderRoute) {
        self.text(&format!("{path}.name"), &route.name, 1, MAX_LABEL);
        self.not_empty(&format!("{path}.any"), route.any.len());
        self.at_most(&format!("{path}.any"), route.any.len(), MAX_ANY);
        for (i, AllOf { all }) in route.any.iter().enumerate() {
            let path = format!("{path}.any[{i}].all");
            self.not_empty(&path, all.len());
            self.at_most(&path, all.len(), MAX_ALL);
            self.conditions += all.len();
            for (k, condition) in all.iter().enumerate() {
                self.subject(&format!("{path}[{k}].on"), &condition.on);
                self.test(&format!("{path}[{k}].is"), &condition.is);
            }
        }
    }

    fn subject(&mut self, path: &str, subject: &Subject) {
        match subject {
            Subject::Header(name) => self.header(&format!("{path}.header"), name),
            Subject::Cookie(name) => self.cookie(&format!("{path}.cookie"), name),
            Subject::Query(name) => self.text(&format!("{path}.query"), name, 1, MAX_VALUE),
            Subject::Path | Subject::Method => {}
        }
    }

    fn test(&mut self, path: &str, test: &Test) {
        match test {
            Test::Exact(value) => self.text(&format!("{path}.exact"), value, 0, MAX_VALUE),
            Test::Prefix(value) => self.text(&format!("{path}.prefix"), value, 0, MAX_VALUE),
            Test::Suffix(value) => self.text(&format!("{path}.suffix"), value, 0, MAX_VALUE),
            Test::Present => {}
            Test::Regex(regex) => {
                let path = format!("{path}.regex");
                self.regexes += 1;
                if regex.len() > MAX_REGEX {
                    let accepted = format!("at most {MAX_REGEX} bytes");
                    self.expected(&path, regex.len(), &accepted);
                } else if let Err(reason) = Pattern::new(regex) {
                    let accepted = format!("a regular expression ({reason})");
                    self.expected(&path, regex, &accepted);
                }
            }
        }
    }

    fn label(&mut self, path: &str, value: &str, longest: usize) {
        if !is_label(value, longest) {
            let accepted = format!("1 to {longest} letters, digits or any of - _ . / ~");
            self.expected(path, value, &accepted);
        }
    }

    fn header(&mut self, path: &str, name: &str) {
        let token =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "!#$%&'*+-.^_`|~".contains(c);
        let name_only = name.strip_prefix(':').unwrap_or(name);
        let fits = (1..=MAX_NAME).contains(&name_only.len());
        if !fits || !name_only.chars().all(token) || name == VARIANT_HEADER {
            let accepted = format!(
                "a header name in lower case, 1 to {MAX_NAME} characters, not {VARIANT_HEADER}"
            );
            self.expected(path, name, &accepted);
        }
    }

    fn cookie(&mut self, path: &str, name: &str) {
        let token = |c: char| c.is_ascii_graphic() && !"()<>@,;:\\\"/[]?={}".contains(c);
        if !(1..=MAX_NAME).contains(&name.len()) || !name.chars().all(token) {
            let accepted = format!("a cookie name, 1 to {MAX_NAME} characters");
            self.expected(path, name, &accepted);
        }
    }

    fn text(&mut self, path: &str, value: &str, shortest: usize, longest: usize) {
        if !(shortest..=longest).contains(&value.len()) {
            let accepted = format!("{shortest} to {longest} bytes");
            self.report.add(
                path,
                format_args!("has {} bytes, expected {accepted}", value.len()),
            );
        }
    }

    fn not_empty(&mut self, path: &str, count: usize) {
        if count == 0 {
            self.report
                .add(path, "is empty, expected at least one entry");
        }
    }

    fn at_most(&mut self, path: &str, count: usize, most: usize) {
        if count > most {
            self.report.add(
                path,
                format_args!("has {count} entries, expected at most {most}"),
            );
        }
    }

    fn expected(&self, path: &str, value: impl Debug, accepted: &str) {
        self.report
            .add(path, format_args!("is {value:?}, expected {accepted}"));
    }
}

/// Whether a text can be the value of a label.
pub(super) fn is_label(value: &str, longest: usize) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | '~');
    (1..=longest).contains(&value.len()) && value.chars().all(plain)
}

/// A name as DNS has it, a `*` excluded, or an IPv6 address in brackets.
fn is_host(host: &str) -> bool {
    let inner = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    if let Some(address) = inner {
        return address.parse::<std::net::Ipv6Addr>().is_ok()
            && !address.contains(char::is_uppercase);
    }
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
    (1..=MAX_HOST).contains(&host.len()) && host.chars().all(plain)
}
