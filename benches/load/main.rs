//! The load program: starts the real server on a fresh store (the embedded one, a database, or one after the other),
//! fills it with generated resources, and measures the workloads of `docs/performance.md` over HTTP, durable, with the
//! raw limits of the machine beside them.
//!
//! `cargo bench --bench load` takes a few minutes; `cargo bench --bench load -- --help` lists the options.
//! Answers are checked while measuring: a wrong one stops the run.

mod client;
mod database;
mod generator;
mod probe;
mod server;
mod turns;
mod workload;

use std::time::Duration;

/// What a run measures.
pub struct Options {
    resources: usize,
    seconds: u64,
    connections: Vec<usize>,
    only: Vec<String>,
    stores: Vec<String>,
    url: Option<String>,
    against: Option<turns::Against>,
    pairs: usize,
}

const HELP: &str = "Measures a Vesta server over HTTP.

  --resources N       resources loaded before measuring (20000)
  --seconds S         length of each measurement (4)
  --connections LIST  closed loops, connections at once (1,8,64)
  --only LIST         workloads whose name contains one of these
  --store STORE       embedded, or the connection string of a MongoDB replica set, in which a database is made and dropped
                      again; may be given several times, to measure one after the other (embedded)
  --against WHAT      instead, two servers in turns, slice by slice, the other one stopped: the plain one, and one with
                      WHAT, which is auth (access control without an audit trail), audit (access control and all of the
                      trail), encryption, or another program by its path
  --pairs N           pairs of slices for each workload then, at the greatest number of connections (8)
  --url BASE          measure a server that runs already, filled by an earlier run (no start, no load, no CPU figures)
";

impl Options {
    fn workloads(&self) -> impl Iterator<Item = &'static workload::Workload> {
        let wanted = |name: &str| self.only.is_empty() || self.only.iter().any(|o| name.contains(o.as_str()));
        workload::ALL.iter().filter(move |workload| wanted(workload.name))
    }
}

fn options() -> Result<Options, String> {
    let mut options = Options {
        resources: 20_000,
        seconds: 4,
        connections: vec![1, 8, 64],
        only: Vec::new(),
        stores: Vec::new(),
        url: None,
        against: None,
        pairs: 8,
    };
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
            "--store" => options.stores.push(value()?),
            "--against" => options.against = Some(turns::Against::of(&value()?)?),
            "--pairs" => options.pairs = number(value()?)?.max(1),
            "--url" => options.url = Some(value()?),
            _ => return Err(HELP.to_owned()),
        }
    }
    if options.stores.is_empty() {
        options.stores.push("embedded".to_owned());
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

    if let Some(base) = &options.url {
        return measure(base, &options, None, fixed.rate).await;
    }
    if let Some(against) = &options.against {
        return turns::run(against, &options).await;
    }
    for store in &options.stores {
        let database = database::Database::new(store);
        let place = database.as_ref().map(|d| d.uri.as_str());
        println!("\n== {}", if place.is_some() { "mongodb" } else { "embedded" });
        let server = server::Server::start(env!("CARGO_BIN_EXE_vesta"), place, &[])?;
        let measured = fill_and_measure(&server, database.as_ref(), &options, fixed.rate).await;
        drop(server);
        if let Some(database) = database {
            database.remove().await?;
        }
        measured?;
    }
    Ok(())
}

async fn fill_and_measure(
    server: &server::Server,
    database: Option<&database::Database>,
    options: &Options,
    fixed: f64,
) -> Result<(), String> {
    println!(
        "start on a fresh store                {:>9.0} ms, {} MB resident",
        server.started_in.as_secs_f64() * 1e3,
        server.resident_mb()
    );
    let load = workload::load(&server.base, server.token.as_deref(), options.resources).await?;
    let bytes = match database {
        None => server.disk_bytes() as f64,
        Some(database) => database.bytes().await.unwrap_or(f64::NAN),
    };
    println!(
        "loaded {} resources in transactions of 500, durable: {:.0} resources/s; {:.0} bytes a resource on disk (JSON {:.0}), {} MB resident",
        load.resources,
        load.resources as f64 / load.seconds,
        bytes / load.resources as f64,
        load.json_bytes as f64 / load.resources as f64,
        server.resident_mb()
    );
    measure(&server.base, options, Some(server), fixed).await
}

async fn measure(base: &str, options: &Options, server: Option<&server::Server>, fixed: f64) -> Result<(), String> {
    let slice = Duration::from_secs(options.seconds);
    println!();
    println!(
        "{:<34} {:>5} {:>10} {:>10} {:>9} {:>9} {:>8}",
        "workload", "conn.", "per s", "CPU µs", "p50 ms", "p99 ms", "static"
    );
    for workload in options.workloads() {
        let mut best: f64 = 0.0;
        for connections in &options.connections {
            let measured = client::closed_loop(base, workload, *connections, slice, server).await?;
            best = best.max(measured.rate);
            measured.print(workload, &connections.to_string(), fixed);
        }
        let measured = client::open_loop(base, workload, best / 2.0, slice, server).await?;
        measured.print(workload, "open", fixed);
    }
    Ok(())
}
