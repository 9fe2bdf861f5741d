//! The storyline: find, look at the target, plan, gather, make it stand alone, prove, deliver.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use serde::Serialize;

use super::{
    RemoteUrl, RepositoryError, RepositoryPlan,
    deliver::{self, place, refuse_existing},
    find::{Named, find},
    gather::gather,
    git::{self, Git},
    lfs, plan,
    scratch::Scratch,
};
use crate::{
    causes,
    progress::{Event, Progress},
    restore::{entry::show, folder::PART, report::Problem, view::SnapshotView},
};

/// Where a repository goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A bare repository: this folder when its name ends in `.git`, else `NAME.git` in it. The wiki stands beside.
    Folder(PathBuf),
    /// A bundle in this file; wiki and LFS objects stand beside.
    Bundle(PathBuf),
    /// A push.
    Remote(RemoteUrl),
}

/// What is wanted of a repository.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches of the command line")]
pub struct RepositoryOptions {
    /// Its wiki too, if it has one.
    pub wiki: bool,
    /// Its LFS objects too.
    pub lfs: bool,
    /// Push the appliance's own references too; folders and bundles have them anyway.
    pub all_refs: bool,
    /// Push to a repository that holds something, over references that are there.
    pub force: bool,
    /// A folder for what is made before a push.
    pub scratch: PathBuf,
}

impl RepositoryOptions {
    /// Everything, carefully.
    #[must_use]
    pub fn new(scratch: impl Into<PathBuf>) -> Self {
        Self { wiki: true, lfs: true, all_refs: false, force: false, scratch: scratch.into() }
    }
}

/// A repository at its target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Delivered {
    /// Its name.
    pub name: String,
    /// Its path in the snapshot.
    pub path: String,
    /// The folder, bundle or URL.
    pub to: String,
    /// What `HEAD` says.
    pub head: String,
    /// References given back.
    pub refs: usize,
    /// References that were not pushed, since they are the appliance's own.
    pub refs_left: usize,
    /// Bytes read for it from the snapshot's files.
    pub bytes: u64,
}

/// What became of the LFS objects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LfsReport {
    /// Objects that the history points to.
    pub wanted: u64,
    /// Objects written.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The folder with them, when there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// The outcome.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RepositoryReport {
    /// The snapshot's id.
    pub snapshot: String,
    /// The repository.
    pub repository: Delivered,
    /// Its wiki.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wiki: Option<Delivered>,
    /// Its LFS objects; nothing when they were not wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lfs: Option<LfsReport>,
    /// What could not be given back; the outcome is partial then.
    pub problems: Vec<Problem>,
    /// What is worth knowing.
    pub warnings: Vec<String>,
    /// Seconds it took.
    pub seconds: f64,
}

impl RepositoryReport {
    /// Whether everything that was asked for has been given back.
    #[must_use]
    pub fn complete(&self) -> bool {
        self.problems.is_empty()
    }
}

/// Gives the repository called `wanted` back to `destination`.
///
/// # Errors
/// It is not there or not whole, or the target does not take it: then nothing stands at the target. What single LFS objects and the wiki
/// met is in the report.
pub fn run(
    view: SnapshotView<'_>,
    snapshot: &str,
    wanted: &str,
    destination: &Destination,
    options: &RepositoryOptions,
    progress: &dyn Progress,
) -> Result<RepositoryReport, RepositoryError> {
    let clock = Instant::now();
    git::present()?;
    let named = find(view, wanted, progress)?;
    let main = plan(view, &named)?;
    let places = Places::of(destination, &named);
    places.refuse_existing()?;
    let scratch = Scratch::below(places.parent().unwrap_or(&options.scratch))?;
    let wiki = if options.wiki { wiki_of(view, &named)? } else { None };
    let expected =
        main.bytes() + wiki.as_ref().map_or(0, |wiki| wiki.as_ref().map_or(0, RepositoryPlan::bytes));
    progress.event(Event::Started { part: PART, bytes_expected: Some(expected) });

    let work = Work { view, options, places: &places, scratch: scratch.path(), progress };
    let mut report = work.deliver_all(&main, wiki)?;
    progress.event(Event::Ended { part: PART, ok: report.complete() });
    snapshot.clone_into(&mut report.snapshot);
    report.seconds = clock.elapsed().as_secs_f64();
    Ok(report)
}

/// The plan of a repository's wiki, if it has one; a wiki that cannot be planned is no reason to keep the repository back.
fn wiki_of(
    view: SnapshotView<'_>,
    named: &Named,
) -> Result<Option<Result<RepositoryPlan, RepositoryError>>, RepositoryError> {
    let Some(stem) = named.path.strip_suffix(b".git").filter(|stem| !stem.ends_with(b".wiki")) else {
        return Ok(None);
    };
    let path = [stem, b".wiki.git"].concat();
    if view.find(&path)?.is_none() {
        return Ok(None);
    }
    Ok(Some(plan(view, &Named { name: format!("{}.wiki", named.name), path })))
}

/// The names that the parts get.
enum Places {
    Folder { main: PathBuf, wiki: PathBuf },
    Bundle { main: PathBuf, wiki: PathBuf, lfs: PathBuf },
    Remote { main: RemoteUrl, wiki: RemoteUrl },
}

impl Places {
    fn of(destination: &Destination, named: &Named) -> Self {
        // Whatever the name holds, it stays one component of a path.
        let name = named.name.rsplit('/').next().unwrap_or("repository");
        let beside = |path: &Path, ending: &str, new: &str| {
            let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            path.with_file_name(format!("{}{new}", file.strip_suffix(ending).unwrap_or(&file)))
        };
        match destination {
            Destination::Folder(path) if path.extension().is_some_and(|ending| ending == "git") => {
                Self::Folder { main: path.clone(), wiki: beside(path, ".git", ".wiki.git") }
            }
            Destination::Folder(path) => Self::Folder {
                main: path.join(format!("{name}.git")),
                wiki: path.join(format!("{name}.wiki.git")),
            },
            Destination::Bundle(path) => Self::Bundle {
                main: path.clone(),
                wiki: beside(path, ".bundle", ".wiki.bundle"),
                lfs: beside(path, ".bundle", ".lfs"),
            },
            Destination::Remote(url) => Self::Remote { main: url.clone(), wiki: url.wiki() },
        }
    }

    /// The folder that the target stands in, when it stands on this host.
    fn parent(&self) -> Option<&Path> {
        match self {
            Self::Folder { main, .. } | Self::Bundle { main, .. } => {
                let parent = main.parent().filter(|parent| !parent.as_os_str().is_empty());
                Some(parent.unwrap_or(Path::new(".")))
            }
            Self::Remote { .. } => None,
        }
    }

    fn refuse_existing(&self) -> Result<(), RepositoryError> {
        match self {
            Self::Folder { main, wiki } => {
                [main, wiki].into_iter().try_for_each(|path| refuse_existing(path))
            }
            Self::Bundle { main, wiki, lfs } => {
                [main, wiki, lfs].into_iter().try_for_each(|path| refuse_existing(path))
            }
            Self::Remote { .. } => Ok(()),
        }
    }
}

struct Work<'a> {
    view: SnapshotView<'a>,
    options: &'a RepositoryOptions,
    places: &'a Places,
    scratch: &'a Path,
    progress: &'a dyn Progress,
}

impl Work<'_> {
    fn deliver_all(
        &self,
        main: &RepositoryPlan,
        wiki: Option<Result<RepositoryPlan, RepositoryError>>,
    ) -> Result<RepositoryReport, RepositoryError> {
        let mut problems = Vec::new();
        let mut warnings = main.warnings.clone();
        let git = self.build(main, "main")?;
        if let Places::Remote { main: url, .. } = self.places {
            self.refuse_filled(&git, url)?;
        }
        let lfs = if self.options.lfs { Some(self.lfs(&git, &mut problems, &mut warnings)?) } else { None };
        // The repository comes last: where it stands, all is done.
        let wiki = match wiki {
            Some(planned) => {
                let delivered = planned.and_then(|wiki| self.wiki(&wiki, &mut warnings));
                delivered.unwrap_or_else(|error| {
                    let path = format!("{}.wiki", main.name);
                    problems.push(Problem { path, what: causes::on_one_line(&error) });
                    None
                })
            }
            None => None,
        };
        let repository = self.deliver(&git, main, "main")?;
        let Some(repository) = repository else {
            return Err(RepositoryError::Empty { name: main.name.clone() });
        };
        if repository.refs_left > 0 {
            warnings.push(format!(
                "{} references of the appliance itself (refs/pull/…) were not pushed",
                repository.refs_left
            ));
        }
        Ok(RepositoryReport {
            snapshot: String::new(),
            repository,
            wiki,
            lfs,
            problems,
            warnings,
            seconds: 0.0,
        })
    }

    fn wiki(
        &self,
        wiki: &RepositoryPlan,
        warnings: &mut Vec<String>,
    ) -> Result<Option<Delivered>, RepositoryError> {
        let git = self.build(wiki, "wiki")?;
        if let Places::Remote { wiki: url, .. } = self.places {
            self.refuse_filled(&git, url)?;
        }
        warnings.extend(wiki.warnings.iter().map(|text| format!("wiki: {text}")));
        let delivered = self.deliver(&git, wiki, "wiki")?;
        if delivered.is_none() {
            warnings.push("the wiki is empty".into());
        }
        Ok(delivered)
    }

    /// Makes a whole repository in the private folder. A bundle and a push take what they need from a store that it borrows from;
    /// a folder must stand alone.
    fn build(&self, plan: &RepositoryPlan, part: &str) -> Result<Git, RepositoryError> {
        let folder = self.scratch.join(format!("{part}.git"));
        let git = Git::init(&folder, plan)?;
        let gather = |pieces, into: &Path| gather(self.view, &plan.name, pieces, into, self.progress);
        gather(&plan.refs, &folder)?;
        gather(&plan.objects, &folder)?;
        if !plan.borrowed.is_empty() {
            let store = format!("{part}-network");
            gather(&plan.borrowed, &self.scratch.join(&store))?;
            git.borrow(&format!("../../{store}/objects"))?;
        }
        git.prove()?;
        if !plan.borrowed.is_empty() && matches!(self.places, Places::Folder { .. }) {
            git.stand_alone()?;
            git.prove()?;
        }
        Ok(git)
    }

    fn refuse_filled(&self, git: &Git, url: &RemoteUrl) -> Result<(), RepositoryError> {
        let refs = deliver::remote_references(git, url)?;
        if refs > 0 && !self.options.force {
            return Err(RepositoryError::RemoteNotEmpty { url: url.to_string(), refs });
        }
        Ok(())
    }

    fn lfs(
        &self,
        git: &Git,
        problems: &mut Vec<Problem>,
        warnings: &mut Vec<String>,
    ) -> Result<LfsReport, RepositoryError> {
        let pointers = lfs::pointers(git)?;
        let mut report = LfsReport { wanted: pointers.len() as u64, ..LfsReport::default() };
        if pointers.is_empty() {
            return Ok(report);
        }
        let (into, shown) = match self.places {
            Places::Folder { main, .. } => (git.folder.join("lfs/objects"), main.join("lfs/objects")),
            Places::Bundle { lfs, .. } => (self.scratch.join("lfs/objects"), lfs.join("objects")),
            Places::Remote { main, .. } => {
                let what = format!("{} LFS objects cannot be pushed by git alone", pointers.len());
                problems.push(Problem { path: main.to_string(), what });
                warnings.push(
                    "for LFS objects restore to a folder, and run `git lfs push --all URL` in it".into(),
                );
                return Ok(report);
            }
        };
        let fetched = lfs::fetch(self.view, &pointers, &into, self.progress)?;
        report.objects = fetched.objects;
        report.bytes = fetched.bytes;
        report.to = (fetched.objects > 0).then(|| shown.display().to_string());
        problems.extend(fetched.problems);
        Ok(report)
    }

    /// Nothing when there is nothing to put into a bundle.
    fn deliver(
        &self,
        git: &Git,
        plan: &RepositoryPlan,
        part: &str,
    ) -> Result<Option<Delivered>, RepositoryError> {
        let main = part == "main";
        let (mut refs, mut refs_left) = (git.references()?.len(), 0);
        let to = match self.places {
            Places::Folder { main: folder, wiki } => {
                let to = if main { folder } else { wiki };
                place(&git.folder, to)?;
                to.display().to_string()
            }
            Places::Bundle { main: file, wiki, lfs } => {
                let Some(made) = deliver::bundle(git, self.scratch, &format!("{part}.bundle"))? else {
                    return Ok(None);
                };
                let objects = self.scratch.join("lfs");
                if main && objects.exists() {
                    place(&objects, lfs)?;
                }
                let to = if main { file } else { wiki };
                place(&made, to)?;
                to.display().to_string()
            }
            Places::Remote { main: url, wiki } => {
                let url = if main { url } else { wiki };
                (refs, refs_left) = deliver::push(git, url, self.options.all_refs, self.options.force)?;
                url.to_string()
            }
        };
        Ok(Some(Delivered {
            name: plan.name.clone(),
            path: show(&plan.path),
            to,
            head: plan.head.clone(),
            refs,
            refs_left,
            bytes: plan.bytes(),
        }))
    }
}
