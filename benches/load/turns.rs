//! Two servers measured in turns, slice by slice, the other one stopped meanwhile: what a setting costs, or how another
//! program compares. The ratio is the median of the pairs; the CPU time of a request is the sturdier of the two figures.

use crate::client::closed_loop;
use crate::server::Server;
use crate::workload;
use std::time::Duration;

/// What the second server has that the first has not.
pub enum Against {
    /// Access control, without an audit trail.
    Access,
    /// Access control and an audit trail of everything.
    Audit,
    /// Encryption of what is stored.
    Encryption,
    /// Another program.
    Program(String),
}

impl Against {
    /// From the option.
    pub fn of(text: &str) -> Result<Against, String> {
        match text {
            "auth" => Ok(Against::Access),
            "audit" => Ok(Against::Audit),
            "encryption" => Ok(Against::Encryption),
            path if std::path::Path::new(path).is_file() => Ok(Against::Program(path.to_owned())),
            other => Err(format!("--against {other}: neither a setting nor a program")),
        }
    }

    fn start(&self, program: &str) -> Result<Server, String> {
        // A key for a store that is gone after the run.
        let key = "command:printf 0123456789abcdef0123456789abcdef";
        match self {
            Against::Access => Server::start(program, None, &["--auth", "on", "--audit", "off"]),
            Against::Audit => Server::start(program, None, &["--auth", "on", "--audit", "all"]),
            Against::Encryption => Server::start(program, None, &["--encryption-key", key]),
            Against::Program(other) => Server::start(other, None, &[]),
        }
    }
}

/// Fills both and measures them.
pub async fn run(against: &Against, options: &crate::Options) -> Result<(), String> {
    let program = env!("CARGO_BIN_EXE_vesta");
    let plain = Server::start(program, None, &[])?;
    let other = against.start(program)?;
    for server in [&plain, &other] {
        workload::load(&server.base, server.token.as_deref(), options.resources).await?;
        // What is left to do after the load, such as sealing, is not to be measured.
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
    other.pause(true)?;
    let connections = options.connections.iter().copied().max().unwrap_or(64);
    println!("\n{} pairs of {} s, {connections} connections; medians\n", options.pairs, options.seconds);
    println!(
        "{:<38} {:>10} {:>10} {:>7} {:>9} {:>9} {:>7}",
        "workload", "per s", "other", "ratio", "CPU µs", "other", "ratio"
    );
    for workload in options.workloads() {
        let (mut rates, mut costs) = (Vec::new(), Vec::new());
        // The first pair only warms both.
        for pair in 0..=options.pairs {
            let mut measured = Vec::new();
            // Each goes first in every second pair.
            let mut order = [(&plain, &other), (&other, &plain)];
            order.rotate_left(pair % 2);
            for (server, idle) in order {
                idle.pause(true)?;
                server.pause(false)?;
                let slice = Duration::from_secs(options.seconds);
                let found = closed_loop(&server.base, workload, connections, slice, Some(server)).await?;
                measured.push((found.rate * workload.weight as f64, found.cpu_micros.unwrap_or(f64::NAN)));
            }
            measured.rotate_left(pair % 2);
            if let ([a, b], true) = (measured.as_slice(), pair > 0) {
                rates.push((a.0, b.0));
                costs.push((a.1 / workload.weight as f64, b.1 / workload.weight as f64));
            }
        }
        let ((rate, other_rate, rates), (cost, other_cost, costs)) = (medians(&rates), medians(&costs));
        println!(
            "{:<38} {rate:>10.0} {other_rate:>10.0} {rates:>7.2} {cost:>9.1} {other_cost:>9.1} {costs:>7.2}",
            workload.name
        );
    }
    // A stopped process cannot end.
    plain.pause(false)?;
    other.pause(false)
}

/// The medians of both sides, and of the ratios of the pairs.
fn medians(pairs: &[(f64, f64)]) -> (f64, f64, f64) {
    let median = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        // Of an even number the two in the middle.
        let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
        (at(values.len() / 2) + at(values.len().saturating_sub(1) / 2)) / 2.0
    };
    let of = |take: fn(&(f64, f64)) -> f64| median(pairs.iter().map(take).collect());
    (of(|p| p.0), of(|p| p.1), of(|p| p.1 / p.0))
}
