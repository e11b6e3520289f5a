//! The load program: starts the real server on a fresh embedded store, fills it with generated resources, and
//! measures the workloads of `docs/performance.md` over HTTP, durable, with the raw limits of the machine beside them.
//!
//! `cargo bench --bench load` takes a few minutes; `cargo bench --bench load -- --help` lists the options.
//! Answers are checked while measuring: a wrong one stops the run.

mod client;
mod generator;
mod probe;
mod server;
mod workload;

use std::time::Duration;

/// What a run measures.
pub struct Options {
    resources: usize,
    seconds: u64,
    connections: Vec<usize>,
    only: Vec<String>,
    url: Option<String>,
}

const HELP: &str = "Measures a Vesta server over HTTP.

  --resources N       resources loaded before measuring (20000)
  --seconds S         length of each measurement (4)
  --connections LIST  closed loops, connections at once (1,8,64)
  --only LIST         workloads whose name contains one of these
  --url BASE          measure a server that runs already, filled by an earlier run (no start, no load, no CPU figures)
";

fn options() -> Result<Options, String> {
    let mut options =
        Options { resources: 20_000, seconds: 4, connections: vec![1, 8, 64], only: Vec::new(), url: None };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("{arg} needs a value"));
        let number = |text: String| text.parse::<usize>().map_err(|e| format!("{text}: {e}"));
        match arg.as_str() {
            "--bench" => {}
            "--resources" => options.resources = number(value()?)?,
            "--seconds" => options.seconds = number(value()?)? as u64,
            "--connections" => {
                options.connections = value()?.split(',').map(|n| number(n.to_owned())).collect::<Result<_, _>>()?;
            }
            "--only" => options.only = value()?.split(',').map(str::to_owned).collect(),
            "--url" => options.url = Some(value()?),
            _ => return Err(HELP.to_owned()),
        }
    }
    Ok(options)
}

fn main() {
    if std::env::args().nth(1).as_deref() == Some("static-probe") {
        probe::serve_static();
        return;
    }
    let outcome = options().and_then(|options| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| format!("no runtime: {e}"))?;
        runtime.block_on(run(options))
    });
    if let Err(message) = outcome {
        eprintln!("{message}");
        std::process::exit(1);
    }
}

async fn run(options: Options) -> Result<(), String> {
    let slice = Duration::from_secs(options.seconds);
    println!("raw limits of this machine, this minute");
    let flushes = probe::flushes_per_second(Duration::from_secs(1))?;
    println!("  fdatasync after an append of 4 kB   {flushes:>9.0}/s");
    let fixed = probe::static_body(slice.min(Duration::from_secs(3))).await?;
    println!(
        "  a static body of 1.5 kB, 64 conn.   {:>9.0}/s   {:>5.1} µs CPU of the server",
        fixed.rate,
        fixed.cpu_micros.unwrap_or(f64::NAN)
    );

    let started = match &options.url {
        Some(_) => None,
        None => Some(server::Server::start(env!("CARGO_BIN_EXE_vesta"))?),
    };
    let base = match (&options.url, &started) {
        (Some(url), _) => url.clone(),
        (_, Some(server)) => server.base.clone(),
        _ => return Err("no server".to_owned()),
    };
    if let Some(server) = &started {
        println!(
            "start on a fresh directory            {:>9.0} ms, {} MB resident",
            server.started_in.as_secs_f64() * 1e3,
            server.resident_mb()
        );
        let load = workload::load(&base, options.resources).await?;
        println!(
            "loaded {} resources in transactions of 500, durable: {:.0} resources/s; {:.0} bytes a resource on disk (JSON {:.0}), {} MB resident",
            load.resources,
            load.resources as f64 / load.seconds,
            server.disk_bytes() as f64 / load.resources as f64,
            load.json_bytes as f64 / load.resources as f64,
            server.resident_mb()
        );
    }
    println!();
    println!(
        "{:<34} {:>5} {:>10} {:>10} {:>9} {:>9} {:>8}",
        "workload", "conn.", "per s", "CPU µs", "p50 ms", "p99 ms", "static"
    );
    for workload in workload::ALL {
        if !options.only.is_empty() && !options.only.iter().any(|o| workload.name.contains(o.as_str())) {
            continue;
        }
        let mut best: f64 = 0.0;
        for connections in &options.connections {
            let measured = client::closed_loop(&base, workload, *connections, slice, started.as_ref()).await?;
            best = best.max(measured.rate);
            measured.print(workload, &connections.to_string(), fixed.rate);
        }
        let measured = client::open_loop(&base, workload, best / 2.0, slice, started.as_ref()).await?;
        measured.print(workload, "open", fixed.rate);
    }
    Ok(())
}
