//! A stand-in for a replica set of three members: three addresses before one server. It rewrites what `hello` says (who
//! the members are, which of them is the primary, by which election), refuses everything on those that are not the
//! primary, moves the primary, cuts connections, and loses the answers to commits. It may also look like the router of a
//! sharded cluster. What it cannot rehearse: a new primary that has not all that the old one had (there is one set of
//! data), and transactions that end with the old primary (here they go on until their session ends them).

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, Document, doc};
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::Duration;

const OP_MSG: i32 = 2013;
const OP_QUERY: i32 = 2004;
const OP_REPLY: i32 = 1;

/// What becomes of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mishap {
    /// It is done, and the connection is cut instead of an answer.
    DoneAndCut,
    /// It never arrives: the connection is cut.
    CutBefore,
    /// It is done, the connection is cut instead of an answer, and from then on nobody is let in.
    DoneAndGone,
    /// It is done, and the answer says that there is no such transaction.
    DoneAndForgotten,
    /// The transaction is ended instead, and the answer says that there is no such transaction.
    EndedAndForgotten,
}

struct State {
    target: SocketAddr,
    members: Vec<SocketAddr>,
    primary: Mutex<Option<usize>>,
    election: AtomicU32,
    reachable: AtomicBool,
    silent: AtomicBool,
    streams: AtomicBool,
    router: AtomicBool,
    stopped: AtomicBool,
    connections: Mutex<Vec<TcpStream>>,
    mishaps: Mutex<VecDeque<Mishap>>,
    happened: AtomicU64,
    outlives: Mutex<Option<Duration>>,
    recorded: Mutex<Option<Vec<Document>>>,
}

/// The three addresses.
pub struct ReplicaSet {
    state: Arc<State>,
}

impl ReplicaSet {
    /// Before the server that a connection string names; none, with a word about it, where that is more than one
    /// address, or a name that has to be looked up, as of a real replica set.
    pub fn before(uri: &str) -> Option<ReplicaSet> {
        let host = uri.split("://").nth(1).and_then(|rest| rest.split(['/', '?']).next()).expect("a host");
        let Ok(target) = host.parse() else {
            super::skipped(format_args!("behind a proxy: {host} is not the address of one server"));
            return None;
        };
        let listeners: Vec<_> = (0..3).map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port")).collect();
        let state = Arc::new(State {
            target,
            members: listeners.iter().map(|l| l.local_addr().expect("an address")).collect(),
            primary: Mutex::new(Some(0)),
            election: AtomicU32::new(1),
            reachable: AtomicBool::new(true),
            silent: AtomicBool::new(false),
            streams: AtomicBool::new(true),
            router: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            connections: Mutex::default(),
            mishaps: Mutex::default(),
            happened: AtomicU64::new(0),
            outlives: Mutex::default(),
            recorded: Mutex::default(),
        });
        for (member, listener) in listeners.into_iter().enumerate() {
            let state = state.clone();
            std::thread::spawn(move || {
                for stream in listener.incoming().map_while(Result::ok) {
                    if state.stopped.load(Ordering::SeqCst) {
                        return;
                    }
                    if state.reachable.load(Ordering::SeqCst) {
                        let state = state.clone();
                        std::thread::spawn(move || serve(&state, member, stream));
                    }
                }
            });
        }
        Some(ReplicaSet { state })
    }

    /// The connection string of a database behind the first address, which looks like the router of a sharded cluster
    /// from now on, with `versions` sharded: no index on it can be made unique.
    pub fn as_router(&self, of: &str) -> String {
        self.state.router.store(true, Ordering::SeqCst);
        let rest = of.split("://").nth(1).and_then(|rest| rest.split_once('/')).expect("a database").1;
        let name = rest.split('?').next().unwrap_or_default();
        format!("mongodb://{}/{name}", self.state.members[0])
    }

    /// The connection string of a database behind these addresses.
    pub fn uri(&self, of: &str) -> String {
        let rest = of.split("://").nth(1).and_then(|rest| rest.split_once('/')).expect("a database").1;
        let hosts: Vec<String> = self.state.members.iter().map(SocketAddr::to_string).collect();
        format!("mongodb://{}/{rest}", hosts.join(","))
    }

    /// Makes a member the primary, or none, and cuts all connections as an election does.
    pub fn elect(&self, primary: Option<usize>) {
        *self.state.primary.lock().expect("a lock") = primary;
        if primary.is_some() {
            self.state.election.fetch_add(1, Ordering::SeqCst);
        }
        self.cut();
    }

    /// Cuts all connections.
    pub fn cut(&self) {
        for connection in self.state.connections.lock().expect("a lock").drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }

    /// Whether anybody is let in; if not, all connections are cut.
    pub fn reachable(&self, reachable: bool) {
        self.state.reachable.store(reachable, Ordering::SeqCst);
        if !reachable {
            self.cut();
        }
    }

    /// Whether nothing is answered any more, on connections that stay open.
    pub fn silent(&self, silent: bool) {
        self.state.silent.store(silent, Ordering::SeqCst);
        if !silent {
            self.cut();
        }
    }

    /// Whether change streams can be had.
    pub fn streams(&self, allowed: bool) {
        self.state.streams.store(allowed, Ordering::SeqCst);
        self.cut();
    }

    /// What becomes of the next commits.
    pub fn befall(&self, mishaps: &[Mishap]) {
        self.state.mishaps.lock().expect("a lock").extend(mishaps);
    }

    /// What was to become of commits that never came is called off.
    pub fn forget_mishaps(&self) {
        self.state.mishaps.lock().expect("a lock").clear();
    }

    /// The next transaction that inserts something takes so long that the database gives it up.
    pub fn outlive(&self, after: Duration) {
        *self.state.outlives.lock().expect("a lock") = Some(after);
    }

    /// Notes from now on what is asked.
    pub fn record(&self) {
        *self.state.recorded.lock().expect("a lock") = Some(Vec::new());
    }

    /// What was asked since then.
    pub fn recorded(&self) -> Vec<Document> {
        self.state.recorded.lock().expect("a lock").take().unwrap_or_default()
    }

    /// How many mishaps have happened.
    pub fn happened(&self) -> u64 {
        self.state.happened.load(Ordering::SeqCst)
    }
}

impl Drop for ReplicaSet {
    fn drop(&mut self) {
        self.state.stopped.store(true, Ordering::SeqCst);
        self.cut();
        for member in &self.state.members {
            // The listener looks whether it is to end when somebody comes.
            let _ = TcpStream::connect(member);
        }
    }
}

/// A message without the length in front.
struct Message {
    request: i32,
    answers: i32,
    code: i32,
    body: Vec<u8>,
}

fn number(bytes: &[u8], at: usize) -> i32 {
    i32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn receive(stream: &mut TcpStream) -> io::Result<Message> {
    let mut head = [0; 16];
    stream.read_exact(&mut head)?;
    let mut body = vec![0; number(&head, 0) as usize - 16];
    stream.read_exact(&mut body)?;
    Ok(Message { request: number(&head, 4), answers: number(&head, 8), code: number(&head, 12), body })
}

fn send(stream: &mut TcpStream, message: &Message) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(message.body.len() + 16);
    for part in [message.body.len() as i32 + 16, message.request, message.answers, message.code] {
        bytes.extend(part.to_le_bytes());
    }
    bytes.extend(&message.body);
    stream.write_all(&bytes)
}

/// The command in a message, or the document that answers one.
fn document(message: &Message) -> Option<Document> {
    let body = &message.body;
    let start = match message.code {
        OP_MSG if body.get(4) == Some(&0) => 5,
        OP_QUERY => 4 + body[4..].iter().position(|b| *b == 0)? + 1 + 8,
        OP_REPLY => 20,
        _ => return None,
    };
    Document::from_reader(&body[start..]).ok()
}

/// The message that answers another with a document.
fn answer(to: &Message, document: &Document) -> Message {
    let (code, mut body) = match to.code {
        OP_QUERY => (OP_REPLY, [0_i32.to_le_bytes(), [0; 4], [0; 4], [0; 4], 1_i32.to_le_bytes()].concat()),
        _ => (OP_MSG, vec![0; 5]),
    };
    document.to_writer(&mut body).expect("a document");
    Message { request: 0, answers: to.request, code, body }
}

fn serve(state: &Arc<State>, member: usize, mut client: TcpStream) {
    let Ok(mut server) = TcpStream::connect(state.target) else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let mut connections = state.connections.lock().expect("a lock");
    connections.retain(|c| c.peer_addr().is_ok());
    connections.extend([client.try_clone(), server.try_clone()].into_iter().flatten());
    drop(connections);
    let ended = exchange(state, member, &mut client, &mut server);
    let _ = (client.shutdown(Shutdown::Both), server.shutdown(Shutdown::Both), ended);
}

fn exchange(state: &State, member: usize, client: &mut TcpStream, server: &mut TcpStream) -> io::Result<()> {
    loop {
        let mut asked = receive(client)?;
        while state.silent.load(Ordering::SeqCst) {
            sleep(Duration::from_millis(20));
        }
        let Some(command) = document(&asked) else { return Err(io::ErrorKind::InvalidData.into()) };
        let name = command.keys().next().map(|name| name.to_ascii_lowercase()).unwrap_or_default();
        let greeting = name == "hello" || name == "ismaster";
        let primary = *state.primary.lock().expect("a lock");
        if !greeting && primary != Some(member) {
            send(client, &answer(&asked, &not_primary(&command, &name)))?;
            continue;
        }
        let stream = command.get_array("pipeline").is_ok_and(|stages| {
            stages.first().and_then(|s| s.as_document()).is_some_and(|s| s.contains_key("$changeStream"))
        });
        if stream && !state.streams.load(Ordering::SeqCst) {
            let refused = doc! { "ok": 0.0, "code": 40573, "codeName": "Location40573", "errmsg": "no change streams" };
            send(client, &answer(&asked, &refused))?;
            continue;
        }
        let unique = |index: &Bson| index.as_document().is_some_and(|i| i.get_bool("unique").is_ok_and(|v| v));
        if state.router.load(Ordering::SeqCst)
            && command.get_str("createIndexes").is_ok_and(|v| v == "versions")
            && command.get_array("indexes").is_ok_and(|indexes| indexes.iter().any(unique))
        {
            let why = "cannot create unique index with shard key pattern { t: 1, _id: \"hashed\" }";
            let refused = doc! { "ok": 0.0, "code": 67, "codeName": "CannotCreateIndex", "errmsg": why };
            send(client, &answer(&asked, &refused))?;
            continue;
        }
        if let Some(recorded) = &mut *state.recorded.lock().expect("a lock") {
            recorded.push(command.clone());
        }
        let within = command.contains_key("autocommit");
        let outlives = if name == "insert" && within { state.outlives.lock().expect("a lock").take() } else { None };
        if let Some(after) = outlives {
            sleep(after);
            state.happened.fetch_add(1, Ordering::SeqCst);
            asked.body = [vec![0; 5], abort(&command)].concat();
            send(server, &asked)?;
            receive(server)?;
            send(client, &answer(&asked, &no_such_transaction()))?;
            continue;
        }
        let mishap = match name.as_str() {
            "committransaction" => state.mishaps.lock().expect("a lock").pop_front(),
            _ => None,
        };
        if let Some(mishap) = mishap {
            state.happened.fetch_add(1, Ordering::SeqCst);
            if mishap == Mishap::CutBefore {
                return Ok(());
            }
            if mishap == Mishap::EndedAndForgotten {
                asked.body = [vec![0; 5], abort(&command)].concat();
            }
        }
        send(server, &asked)?;
        let mut told = receive(server)?;
        match mishap {
            Some(Mishap::DoneAndCut) => return Ok(()),
            Some(Mishap::DoneAndGone) => {
                state.reachable.store(false, Ordering::SeqCst);
                for connection in state.connections.lock().expect("a lock").drain(..) {
                    let _ = connection.shutdown(Shutdown::Both);
                }
                return Ok(());
            }
            Some(_) => {
                send(client, &answer(&asked, &no_such_transaction()))?;
                continue;
            }
            None => {}
        }
        if greeting && let Some(said) = document(&told) {
            let told_by = told.request;
            told = answer(&asked, &as_member(state, member, said));
            told.request = told_by;
        }
        send(client, &told)?;
    }
}

fn no_such_transaction() -> Document {
    doc! {
        "ok": 0.0, "code": 251, "codeName": "NoSuchTransaction", "errmsg": "no such transaction",
        "errorLabels": ["TransientTransactionError"],
    }
}

/// The command that ends the transaction of another.
fn abort(command: &Document) -> Vec<u8> {
    let mut abort = doc! { "abortTransaction": 1, "$db": "admin" };
    let of = ["lsid", "txnNumber", "autocommit", "$clusterTime"];
    let taken = command.iter().filter(|(name, _)| of.contains(&name.as_str()));
    abort.extend(taken.map(|(name, value)| (name.clone(), value.clone())));
    let mut bytes = Vec::new();
    abort.to_writer(&mut bytes).expect("a document");
    bytes
}

/// What a member says that is not the primary.
fn not_primary(command: &Document, name: &str) -> Document {
    let label = match (command.contains_key("autocommit"), name) {
        (true, "committransaction" | "aborttransaction") | (false, _) => "RetryableWriteError",
        (true, _) => "TransientTransactionError",
    };
    doc! {
        "ok": 0.0, "code": 10107, "codeName": "NotWritablePrimary", "errmsg": "not primary",
        "errorLabels": [label],
    }
}

/// What a member says of the set and of itself.
fn as_member(state: &State, member: usize, mut said: Document) -> Document {
    if state.router.load(Ordering::SeqCst) {
        for of_a_set in
            ["topologyVersion", "setName", "setVersion", "hosts", "me", "primary", "electionId", "secondary"]
        {
            said.remove(of_a_set);
        }
        said.insert("msg", "isdbgrid");
        return said;
    }
    let primary = *state.primary.lock().expect("a lock");
    let is_primary = primary == Some(member);
    // Without it the driver asks again and again instead of waiting for news, which is simpler to stand in for.
    said.remove("topologyVersion");
    said.insert("hosts", state.members.iter().map(SocketAddr::to_string).collect::<Vec<_>>());
    said.insert("me", state.members[member].to_string());
    let flag = if said.contains_key("ismaster") { "ismaster" } else { "isWritablePrimary" };
    said.insert(flag, is_primary);
    said.insert("secondary", !is_primary);
    said.remove("primary");
    said.remove("electionId");
    if let Some(primary) = primary {
        said.insert("primary", state.members[primary].to_string());
    }
    if is_primary {
        let mut id = [0; 12];
        id[0] = 0x7F;
        id[8..].copy_from_slice(&state.election.load(Ordering::SeqCst).to_be_bytes());
        said.insert("electionId", ObjectId::from_bytes(id));
    }
    said
}
