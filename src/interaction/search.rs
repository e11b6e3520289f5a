//! search on a type, the system and in a compartment, by GET and POST (R4 search.html, http.html#search): one
//! snapshot, the plan of the room `search`, and a searchset laid side by side from the stored bytes.

use super::contained;
use super::explain;
use super::include;
use super::page::{Links, Page};
use super::subset::Subset;
use super::{Context, Effect, Handling, Interaction, Media, Reply, ReplyContent, Request, Service, incoming, outcome};
use crate::base::{Failure, Issue, IssueCode};
use crate::search::{self, Codes, Options, Plan, Reached, Scope, Summary};
use crate::store::{Snapshot, Version};
use std::sync::Arc;

impl Service {
    /// What the room `search` has to know besides the parameters.
    pub(crate) fn search_options(&self, context: &Context, handling: Handling) -> Options {
        Options {
            handling: match handling {
                Handling::Strict => search::Handling::Strict,
                Handling::Lenient => search::Handling::Lenient,
            },
            bases: vec![context.base.clone()],
            now: self.clock.now(),
            default_count: self.settings.page,
            max_count: self.settings.max_page,
            codes: Arc::default(),
            seal: self.seal(context),
        }
    }
}

/// The parameters of the address and, for `_search`, of the form.
pub(super) fn parameters(request: &Request) -> Result<Vec<(String, String)>, Failure> {
    let mut pairs = search::pairs(&request.query)?;
    if let (super::Verb::Post, Some(payload)) = (request.verb, &request.body)
        && !payload.bytes.is_empty()
    {
        if payload.media != Media::Form {
            return Err(incoming::unsupported(&payload.media));
        }
        let form = std::str::from_utf8(&payload.bytes)
            .map_err(|_| Failure::malformed(IssueCode::Structure, "the form is not UTF-8"))?;
        pairs.extend(search::pairs(form.trim())?);
    }
    Ok(pairs)
}

/// Scope and path of a search interaction.
fn scope(service: &Service, interaction: &Interaction) -> Option<(Scope, String)> {
    let name = |kind| service.definitions.name(kind);
    Some(match interaction {
        Interaction::SearchSystem => (Scope::System, String::new()),
        Interaction::SearchType { kind } => (Scope::Type(*kind), name(*kind).to_owned()),
        Interaction::SearchCompartment { compartment, id, kind } => {
            let member = kind.map_or("*", name);
            let path = format!("{}/{id}/{member}", name(*compartment));
            (Scope::Compartment { compartment: *compartment, id: id.clone(), kind: *kind }, path)
        }
        _ => return None,
    })
}

pub(super) async fn perform(
    service: &Service,
    context: &Context,
    request: &Request,
    interaction: &Interaction,
) -> Result<Reply, Failure> {
    let Some((scope, path)) = scope(service, interaction) else {
        return Err(Failure::internal("not a search"));
    };
    let options = service.search_options(context, request.prefer.handling);
    let plan = planned(service, context, &scope, &parameters(request)?, options).await?;
    let found = run(service, context, &plan).await?;
    let links = links(context, &path, &plan, &found);
    Ok(Reply::of(Effect::Ok, ReplyContent::Json(write(service, context, &plan, &found, &links)?)))
}

/// The plan of a search. What it has to know of terminology is looked up, and the plan is made again with it; every
/// round finds at least one thing that is wanted, so that there are few.
async fn planned(
    service: &Service,
    context: &Context,
    scope: &Scope,
    parameters: &[(String, String)],
    mut options: Options,
) -> Result<Plan, Failure> {
    const ROUNDS: usize = 16;
    let mut known = Vec::new();
    let definitions = service.search_definitions();
    for _ in 0..ROUNDS {
        let plan = search::plan(&definitions, scope, parameters, &options);
        let wanted = options.codes.wanted();
        if wanted.is_empty() {
            return plan;
        }
        known.extend(service.codes(context, wanted).await?);
        options.codes = Arc::new(Codes::of(known.iter().cloned()));
    }
    search::plan(&definitions, scope, parameters, &options)
}

/// What a search found: a page of matches and what is included with them.
pub(crate) struct Results {
    pub position: u64,
    pub matches: Vec<Version>,
    pub more: bool,
    pub total: Option<u64>,
    pub included: Vec<Version>,
    pub issues: Vec<Issue>,
}

/// Runs a plan on one snapshot.
pub(crate) async fn run(service: &Service, context: &Context, plan: &Plan) -> Result<Results, Failure> {
    let snapshot: Box<dyn Snapshot> = match plan.cursor {
        Some(cursor) => service.snapshot_at(context, cursor.position).await?,
        None => service.snapshot(context).await?,
    };
    let page = snapshot.search(&plan.query(context.budget.clone())).await.map_err(outcome::of_store)?;
    let total = plan.cursor.and_then(|c| c.total).or(page.total);
    let mut issues = plan.issues.clone();
    if total.is_none() && plan.counts() && plan.cursor.is_none() {
        let why = "the total is not told: so many of the matches would have to be judged one by one";
        issues.push(Issue::warning(IssueCode::Incomplete, why));
    }
    let included = if page.rows.is_empty() || (plan.includes.is_empty() && plan.revincludes.is_empty()) {
        Vec::new()
    } else {
        include::resolve(service, &*snapshot, plan, &context.budget, &page.rows, &mut issues).await?
    };
    if plan.explain {
        service.may_explain(context)?;
        issues.extend(explain::account(&service.search_definitions(), &*snapshot, plan, &context.budget).await?);
    }
    Ok(Results { position: snapshot.position(), matches: page.rows, more: page.more, total, included, issues })
}

/// The links of a page.
pub(crate) fn links(context: &Context, path: &str, plan: &Plan, found: &Results) -> Links {
    let reached = Reached {
        position: found.position,
        rows: found.matches.len(),
        last: found.matches.last().map(|v| v.number),
        more: found.more,
        total: found.total,
    };
    let links = plan.links(&reached);
    let address = |query: String| {
        let slash = if path.is_empty() { "" } else { "/" };
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{}{slash}{path}{mark}{query}", context.base)
    };
    let mut all = vec![("self", address(links.this))];
    let known =
        [("first", Some(links.first)), ("previous", links.previous), ("next", links.next), ("last", links.last)];
    if plan.summary != Some(Summary::Count) {
        all.extend(known.into_iter().filter_map(|(relation, query)| Some((relation, address(query?)))));
    }
    all
}

/// Writes the searchset.
pub(crate) fn write(
    service: &Service,
    context: &Context,
    plan: &Plan,
    found: &Results,
    links: &Links,
) -> Result<Vec<u8>, Failure> {
    let subset = Subset::of_plan(plan.summary, &plan.elements);
    let total = found.total.filter(|_| plan.counts());
    let bytes: usize = found.matches.iter().chain(&found.included).filter_map(|v| v.body.as_ref()).map(Vec::len).sum();
    let room = bytes + (found.matches.len() + found.included.len()) * 320 + found.issues.len() * 256;
    let mut bundle = Page::new(service, "searchset", total, links, room);
    let rows = found.matches.iter().map(|v| (v, "match")).chain(found.included.iter().map(|v| (v, "include")));
    for (version, mode) in rows {
        let kind = service.definitions.name(version.kind);
        let part = match &subset {
            // `_elements` names elements of the type that is searched; what is included is shown whole.
            Some(Subset::Elements(_)) if mode == "include" => None,
            Some(subset) => {
                let json = version.to_json(kind).unwrap_or_default();
                context.ledger.saw(&json);
                Some(subset.apply(&service.definitions, &json)?)
            }
            None => None,
        };
        match plan.contained.as_ref().filter(|contained| contained.themselves && mode == "match") {
            Some(wanted) => {
                let inside = contained::of(service, wanted, version)?;
                if inside.itself {
                    bundle.result(&context.base, kind, version, mode, part.as_deref());
                }
                for (id, json) in &inside.resources {
                    bundle.contained(&context.base, kind, version, id, json);
                }
            }
            None => bundle.result(&context.base, kind, version, mode, part.as_deref()),
        }
    }
    if !found.issues.is_empty() {
        bundle.outcome(&found.issues);
    }
    Ok(bundle.finish())
}
