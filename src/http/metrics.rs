//! Counters in the text format of Prometheus, over atomics: requests by interaction and status class, a histogram of
//! durations, requests in flight, and when the process started. Served on a listener of its own (see `server`).

use crate::interaction::Progress;
use std::fmt::Write;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

/// The names under which requests are counted and logged: the interactions of R4 http.html, and what else is served.
pub const NAMES: [&str; 20] = [
    "read",
    "vread",
    "create",
    "update",
    "patch",
    "delete",
    "history-instance",
    "history-type",
    "history-system",
    "search-type",
    "search-system",
    "search-compartment",
    "batch",
    "capabilities",
    "operation",
    "conditional-update",
    "conditional-patch",
    "conditional-delete",
    "other",
    "site",
];

/// Upper bounds of the histogram's buckets in microseconds.
const BUCKETS: [u64; 14] =
    [100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 10_000_000];

/// The counters of one server.
#[derive(Debug)]
pub struct Metrics {
    started: SystemTime,
    in_flight: AtomicI64,
    abandoned: AtomicU64,
    /// By name and by the hundreds of the status.
    requests: [[AtomicU64; 6]; NAMES.len()],
    buckets: [AtomicU64; BUCKETS.len() + 1],
    micros: AtomicU64,
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics {
            started: SystemTime::now(),
            in_flight: AtomicI64::new(0),
            abandoned: AtomicU64::new(0),
            requests: std::array::from_fn(|_| std::array::from_fn(|_| AtomicU64::new(0))),
            buckets: std::array::from_fn(|_| AtomicU64::new(0)),
            micros: AtomicU64::new(0),
        }
    }
}

/// A request in flight; it has landed when this is dropped, also when its client went away.
#[derive(Debug)]
pub struct Flight<'m>(&'m Metrics);

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

impl Metrics {
    /// Counts a request as in flight until the value is dropped.
    pub fn enter(&self) -> Flight<'_> {
        self.in_flight.fetch_add(1, Relaxed);
        Flight(self)
    }

    /// Requests in flight now.
    pub fn in_flight(&self) -> i64 {
        self.in_flight.load(Relaxed)
    }

    /// Counts a request whose client went away and whose work ended before it was done.
    pub fn count_abandoned(&self) {
        self.abandoned.fetch_add(1, Relaxed);
    }

    /// Counts an answered request; `name` is an index into [`NAMES`].
    pub fn count(&self, name: usize, status: u16, duration: Duration) {
        let micros = duration.as_micros() as u64;
        if let Some(by_class) = self.requests.get(name) {
            by_class[usize::from(status / 100).min(5)].fetch_add(1, Relaxed);
        }
        let bucket = BUCKETS.iter().position(|bound| micros <= *bound).unwrap_or(BUCKETS.len());
        self.buckets[bucket].fetch_add(1, Relaxed);
        self.micros.fetch_add(micros, Relaxed);
    }

    /// Everything in the text format, version 0.0.4.
    pub fn write(&self) -> String {
        let mut out = String::with_capacity(4096);
        out.push_str("# HELP vesta_http_requests_total Requests answered.\n# TYPE vesta_http_requests_total counter\n");
        for (name, by_class) in NAMES.iter().zip(&self.requests) {
            for (class, count) in by_class.iter().enumerate() {
                let count = count.load(Relaxed);
                if count > 0 {
                    let _ = writeln!(
                        out,
                        "vesta_http_requests_total{{interaction=\"{name}\",status=\"{class}xx\"}} {count}"
                    );
                }
            }
        }
        out.push_str(
            "# HELP vesta_http_request_seconds Time from the head of a request to its answer.\n\
             # TYPE vesta_http_request_seconds histogram\n",
        );
        let mut sum = 0;
        for (bound, count) in BUCKETS.iter().zip(&self.buckets) {
            sum += count.load(Relaxed);
            let _ = writeln!(out, "vesta_http_request_seconds_bucket{{le=\"{}\"}} {sum}", *bound as f64 / 1e6);
        }
        sum += self.buckets[BUCKETS.len()].load(Relaxed);
        let seconds = self.micros.load(Relaxed) as f64 / 1e6;
        let started = self.started.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let _ = write!(
            out,
            "vesta_http_request_seconds_bucket{{le=\"+Inf\"}} {sum}\n\
             vesta_http_request_seconds_sum {seconds}\n\
             vesta_http_request_seconds_count {sum}\n\
             # HELP vesta_http_requests_in_flight Requests being worked on.\n\
             # TYPE vesta_http_requests_in_flight gauge\n\
             vesta_http_requests_in_flight {}\n\
             # HELP vesta_http_requests_abandoned_total Requests whose work ended early because the client went away.\n\
             # TYPE vesta_http_requests_abandoned_total counter\n\
             vesta_http_requests_abandoned_total {}\n\
             # HELP process_start_time_seconds When the process started, in seconds since 1970.\n\
             # TYPE process_start_time_seconds gauge\n\
             process_start_time_seconds {started}\n\
             # HELP vesta_build_info The version of the program.\n\
             # TYPE vesta_build_info gauge\n\
             vesta_build_info{{version=\"{}\"}} 1\n",
            self.in_flight(),
            self.abandoned.load(Relaxed),
            env!("CARGO_PKG_VERSION")
        );
        out
    }
}

/// How far the indexing is that search parameters wait for, in the same format.
pub fn indexing_metrics(progress: Progress) -> String {
    let rows = [
        ("vesta_reindex_running", "Whether resources are indexed again.", u64::from(progress.running)),
        ("vesta_reindex_versions_done", "Versions that were indexed again.", progress.done),
        ("vesta_reindex_versions", "Versions that are to be indexed again.", progress.total),
        ("vesta_search_parameters_waiting", "Search parameters that are not ready.", progress.waiting as u64),
    ];
    let row = |(name, help, value)| format!("# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}\n");
    rows.into_iter().map(row).collect()
}

/// Under which of [`NAMES`] a request is counted, by the shape of method and path alone: it is also asked for
/// requests that no interaction takes.
pub fn name_of(method: &str, path: &str) -> usize {
    let mut parts = path.split('/').filter(|p| !p.is_empty());
    let (first, second, third, fourth) = (parts.next(), parts.next(), parts.next(), parts.next());
    let last = fourth.or(third).or(second).or(first).unwrap_or_default();
    let name = if last.starts_with('$') {
        "operation"
    } else {
        match (method, first, second, third) {
            (_, Some(".well-known"), ..) => "site",
            ("GET" | "HEAD", None, ..) => "search-system",
            ("POST", None, ..) => "batch",
            ("GET" | "HEAD", Some("metadata"), None, _) => "capabilities",
            ("POST", Some("_search"), None, _) => "search-system",
            ("POST", Some(_), Some("_search"), None) => "search-type",
            ("POST", Some(_), Some(_), Some(_)) if last == "_search" => "search-compartment",
            ("GET" | "HEAD", Some("_history"), None, _) => "history-system",
            ("GET" | "HEAD", Some(_), Some("_history"), None) => "history-type",
            ("GET" | "HEAD", Some(_), Some(_), Some("_history")) if fourth.is_none() => "history-instance",
            ("GET" | "HEAD", Some(_), Some(_), Some("_history")) => "vread",
            ("GET" | "HEAD", Some(_), None, _) => "search-type",
            ("GET" | "HEAD", Some(_), Some(_), None) => "read",
            ("GET" | "HEAD", Some(_), Some(_), Some(_)) if fourth.is_none() => "search-compartment",
            ("POST", Some(_), None, _) => "create",
            ("PUT", Some(_), Some(_), None) => "update",
            ("PUT", Some(_), None, _) => "conditional-update",
            ("PATCH", Some(_), Some(_), None) => "patch",
            ("PATCH", Some(_), None, _) => "conditional-patch",
            ("DELETE", Some(_), Some(_), None) => "delete",
            ("DELETE", Some(_), None, _) => "conditional-delete",
            _ => "other",
        }
    };
    NAMES.iter().position(|n| *n == name).unwrap_or(NAMES.len() - 2)
}

/// The number of the name for what is not FHIR: the page, the documents, health.
pub const SITE: usize = NAMES.len() - 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let check = |method, path, expected| assert_eq!(NAMES[name_of(method, path)], expected, "{method} {path}");
        check("GET", "/.well-known/smart-configuration", "site");
        check("GET", "", "search-system");
        check("POST", "", "batch");
        check("GET", "metadata", "capabilities");
        check("GET", "Patient/1", "read");
        check("HEAD", "Patient/1", "read");
        check("GET", "Patient/1/_history/2", "vread");
        check("GET", "Patient/1/_history", "history-instance");
        check("GET", "Patient/_history", "history-type");
        check("GET", "Patient/1/Observation", "search-compartment");
        check("GET", "Patient/1/$everything", "operation");
        check("POST", "Patient/_search", "search-type");
        check("DELETE", "Patient", "conditional-delete");
        check("PUT", "metadata/1/2", "other");
    }

    #[test]
    fn the_indexing_is_told() {
        let text = indexing_metrics(Progress { running: true, done: 3, total: 9, waiting: 2 });
        for line in [
            "vesta_reindex_running 1",
            "vesta_reindex_versions_done 3",
            "vesta_reindex_versions 9",
            "# TYPE vesta_search_parameters_waiting gauge",
            "vesta_search_parameters_waiting 2",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is missing in\n{text}");
        }
    }

    #[test]
    fn the_text_has_counts() {
        let metrics = Metrics::default();
        let flight = metrics.enter();
        metrics.count(0, 200, Duration::from_micros(90));
        metrics.count(0, 404, Duration::from_secs(100));
        let text = metrics.write();
        for line in [
            "vesta_http_requests_total{interaction=\"read\",status=\"2xx\"} 1",
            "vesta_http_request_seconds_bucket{le=\"0.0001\"} 1",
            "vesta_http_request_seconds_bucket{le=\"+Inf\"} 2",
            "vesta_http_requests_in_flight 1",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is missing in\n{text}");
        }
        drop(flight);
        assert_eq!(metrics.in_flight(), 0);
    }
}
