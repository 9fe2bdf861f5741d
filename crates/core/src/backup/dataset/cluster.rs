//! Where the file datasets of a cluster lie (contract §2.11-2.14, §7.4): from route lists, or from what the nodes have.

use crate::{
    appliance::{
        channel::{Channel, RemoteCommand},
        quote::quote,
    },
    backup::{
        context::{CaptureError, Captured, Context, check},
        files::capture::lossy,
        spread::Spread,
    },
};

/// Routes that are named one by one in a report; the others are counted.
const NAMED_MAX: usize = 20;

/// Repositories and gists by their routes, and the special folders of every Git node.
///
/// # Errors
/// The run was cancelled; nodes that fail are lost, not an error.
pub(super) fn repositories(ctx: &Context<'_>, list: &[u8]) -> Result<Spread, CaptureError> {
    let mut spread = Spread::of_routes(list, "git", "repositories", ctx.machines);
    // The admin user cannot look into the folder: patterns are matched by `find`, not by the shell.
    let script = format!(
        "cd {} && if sudo test -d repositories; then sudo find repositories -mindepth 2 -maxdepth 2 \
         \\( -path 'repositories/__*__/*' -o -path 'repositories/info/*' \\) \
         ! -path 'repositories/__nodeload_archives__/*' ! -path 'repositories/__gitmon__/*' \
         ! -path 'repositories/__render__/*' ! -name lost+found -print0; fi",
        quote(&ctx.settings.data_root)
    );
    discover(ctx, "git", "list special folders", &script, &mut spread)?;
    Ok(spread)
}

/// Pages by what every pages node has; storage by its routes; hooks whole, from one Git node.
///
/// # Errors
/// The list of routes cannot be had, or the run was cancelled.
pub(super) fn folder(ctx: &Context<'_>, folder: &str) -> Result<Spread, CaptureError> {
    let mut spread = Spread::default();
    match folder {
        "storage" => {
            let list =
                ctx.output("list storage routes", "github-env ./bin/storage-cluster-backup-routes", &[])?;
            spread = Spread::of_routes(&list, "storage", "storage", ctx.machines);
        }
        "pages" => {
            // Deployments below a page's folder, so that the union of all nodes is complete.
            let script = format!(
                "cd {} && if sudo test -d pages; then sudo find pages -mindepth 6 -maxdepth 6 -print0; fi",
                quote(&ctx.settings.data_root)
            );
            discover(ctx, "pages", "list deployments", &script, &mut spread)?;
        }
        "git-hooks" => {
            let script = format!(
                "cd {} && if sudo test -d git-hooks; then printf 'git-hooks\\0'; fi",
                quote(&ctx.settings.data_root)
            );
            discover(ctx, "git", "look for custom hooks", &script, &mut spread)?;
        }
        // Search indices of a cluster are no part of its backup (contract §2.10).
        _ => {}
    }
    Ok(spread)
}

/// The role whose nodes hold a folder.
pub(super) fn role(folder: &str) -> &'static str {
    match folder {
        "pages" => "pages",
        "storage" => "storage",
        "git-hooks" => "git",
        // Nobody has what is not asked for.
        _ => "",
    }
}

/// Asks every node with a role what it has: paths below the data folder, separated by NUL.
fn discover(
    ctx: &Context<'_>,
    role: &str,
    label: &str,
    script: &str,
    spread: &mut Spread,
) -> Result<(), CaptureError> {
    for at in ctx.machines.serving(role) {
        ctx.check_cancelled()?;
        let Some(channel) = ctx.machines.channel(at) else { continue };
        let label = format!("{label} on {}", ctx.machines.name(at));
        match ask(ctx, channel, &label, script) {
            Ok(found) => {
                for path in found.split(|b| *b == 0).filter(|path| !path.is_empty()) {
                    spread.add(path, Some(at));
                }
            }
            Err(why) => ctx.machines.lose(at, why.to_string()),
        }
    }
    Ok(())
}

fn ask(ctx: &Context<'_>, channel: &dyn Channel, label: &str, script: &str) -> Result<Vec<u8>, CaptureError> {
    let mut command = RemoteCommand::new(label, ctx.bash(script));
    command.deadline = Some(ctx.settings.idle);
    let out = channel.run(&command, &[])?;
    check(label, &out.exit)?;
    Ok(out.stdout)
}

/// Problems of a dataset that lies on nodes: routes that no node gave, and nodes that gave nothing.
pub(super) fn tell(ctx: &Context<'_>, spread: &Spread, role: &str, captured: &mut Captured) {
    let (routes, _) = ctx.shares(spread.routes().iter().cloned());
    let lost: Vec<&Vec<u8>> =
        routes.iter().filter(|route| spread.node_of(route, ctx.machines).is_none()).collect();
    for route in lost.iter().take(NAMED_MAX) {
        captured.problems.push(format!("route `{}`: {}", lossy(route), spread.lost(route, ctx.machines)));
    }
    if lost.len() > NAMED_MAX {
        captured.problems.push(format!("and {} more routes", lost.len() - NAMED_MAX));
    }
    captured.problems.extend(ctx.machines.problems(role));
}
