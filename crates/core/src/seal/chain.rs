//! The order of snapshots by their seals: each names the hash of the complete one before it, whatever clocks say.
//!
//! Seals form trees: a seal that two others name as their forerunner is a *fork*, one whose forerunner nobody knows begins
//! a *loose* line. A [`Chain`] knows all lines from a root to a tip.

use jiff::{SignedDuration, Timestamp};

/// Later than now by more than this: the clock was wrong, or somebody lies.
pub const FUTURE_SLACK: SignedDuration = SignedDuration::from_hours(1);

/// Whether a moment lies in the future of `now`, by more than clocks may differ.
#[must_use]
pub fn is_ahead(moment: Timestamp, now: Timestamp) -> bool {
    moment > now.saturating_add(FUTURE_SLACK).unwrap_or(Timestamp::MAX)
}

/// One complete seal, as far as order is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its hash.
    pub hash: String,
    /// Hash of the seal before it.
    pub previous: Option<String>,
    /// The moment that it names.
    pub started: Timestamp,
    /// The public key that signed it, base64.
    pub key: String,
}

/// Seals with their order. Seals are known by their place in the list that it was made from.
#[derive(Debug, Default)]
pub struct Chain {
    links: Vec<Link>,
    parent: Vec<Option<usize>>,
    children: Vec<Vec<usize>>,
}

impl Chain {
    /// Of several links with one hash only the first counts.
    #[must_use]
    pub fn new(links: Vec<Link>) -> Self {
        let mut at = std::collections::HashMap::new();
        for (place, link) in links.iter().enumerate() {
            at.entry(link.hash.as_str()).or_insert(place);
        }
        let first = |place: usize, link: &Link| at.get(link.hash.as_str()) == Some(&place);
        let mut parent: Vec<Option<usize>> = links
            .iter()
            .enumerate()
            .map(|(place, link)| {
                let before = link.previous.as_ref().filter(|_| first(place, link))?;
                at.get(before.as_str()).copied().filter(|before| *before != place)
            })
            .collect();
        cut_circles(&mut parent);
        Self::of(links, parent)
    }

    fn of(links: Vec<Link>, parent: Vec<Option<usize>>) -> Self {
        let mut children = vec![Vec::new(); links.len()];
        for (place, before) in parent.iter().enumerate() {
            if let Some(before) = before {
                children[*before].push(place);
            }
        }
        Self { links, parent, children }
    }

    /// The links, in the order in which they were given.
    #[must_use]
    pub fn links(&self) -> &[Link] {
        &self.links
    }

    /// The same seals with loose lines put one after the other by their times: for vaults from which another program
    /// removed snapshots without leaving a record.
    #[must_use]
    pub fn joined(self) -> Self {
        let mut roots: Vec<usize> = self.roots().collect();
        roots.sort_by_key(|root| (self.links[*root].started, *root));
        let mut parent = self.parent.clone();
        for pair in roots.windows(2) {
            parent[pair[1]] = Some(self.deepest(pair[0], Timestamp::MAX));
        }
        Self::of(self.links, parent)
    }

    /// The same order with other links in the same places.
    #[must_use]
    pub fn with_links(&self, links: Vec<Link>) -> Self {
        Self::of(links, self.parent.clone())
    }

    /// The place before another in the chain.
    #[must_use]
    pub fn before(&self, place: usize) -> Option<usize> {
        self.parent[place]
    }

    fn roots(&self) -> impl Iterator<Item = usize> {
        (0..self.links.len()).filter(|place| self.parent[*place].is_none())
    }

    /// Links that name a forerunner that is not among them.
    pub fn loose(&self) -> impl Iterator<Item = &Link> {
        self.roots().map(|root| &self.links[root]).filter(|link| link.previous.is_some())
    }

    /// How many lines begin without a known forerunner.
    #[must_use]
    pub fn root_count(&self) -> usize {
        self.roots().count()
    }

    /// Links that several others name as their forerunner.
    pub fn forks(&self) -> impl Iterator<Item = &Link> {
        let forked = self.children.iter().zip(&self.links).filter(|(children, _)| children.len() > 1);
        forked.map(|(_, link)| link)
    }

    /// Whether a complete seal comes after this one.
    #[must_use]
    pub fn has_successor(&self, hash: &str) -> bool {
        self.links.iter().zip(&self.children).any(|(link, after)| link.hash == hash && !after.is_empty())
    }

    /// All ways from a root to a tip; what comes before a fork is in several.
    #[must_use]
    pub fn lines(&self) -> Vec<Vec<usize>> {
        let tips = (0..self.links.len()).filter(|place| self.children[*place].is_empty());
        tips.map(|tip| {
            let mut line: Vec<usize> = std::iter::successors(Some(tip), |at| self.parent[*at]).collect();
            line.reverse();
            line
        })
        .collect()
    }

    /// The last link of the longest line that begins at `root`, links after `latest` and what follows them left out.
    fn deepest(&self, root: usize, latest: Timestamp) -> usize {
        let mut best = (0, self.links[root].started, root);
        let mut todo = vec![(root, 0_usize)];
        while let Some((at, depth)) = todo.pop() {
            best = best.max((depth, self.links[at].started, at));
            let after = self.children[at].iter().filter(|next| self.links[**next].started <= latest);
            todo.extend(after.map(|next| (*next, depth + 1)));
        }
        best.2
    }

    /// The seal that the next one follows: of each root's lines the longest, of these the one with the newest tip. Seals from
    /// the future count for nothing.
    #[must_use]
    pub fn tip(&self, now: Timestamp) -> Option<usize> {
        let latest = now.saturating_add(FUTURE_SLACK).unwrap_or(Timestamp::MAX);
        let roots = self.roots().filter(|root| self.links[*root].started <= latest);
        roots.map(|root| self.deepest(root, latest)).max_by_key(|tip| (self.links[*tip].started, *tip))
    }
}

/// Hashes form no circles, but a record that somebody made up may.
fn cut_circles(parent: &mut [Option<usize>]) {
    let mut seen_from = vec![usize::MAX; parent.len()];
    for start in 0..parent.len() {
        let mut at = start;
        while seen_from[at] == usize::MAX {
            seen_from[at] = start;
            match parent[at] {
                Some(before) if seen_from[before] == start => parent[at] = None,
                Some(before) => at = before,
                None => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Chain, Link, Timestamp};

    fn link(hash: &str, previous: &str, hour: i64) -> Link {
        Link {
            hash: hash.into(),
            previous: (!previous.is_empty()).then(|| previous.into()),
            started: Timestamp::from_second(hour * 3600).unwrap(),
            key: "k".into(),
        }
    }

    fn hashes(chain: &Chain, line: &[usize]) -> String {
        line.iter().map(|at| chain.links()[*at].hash.as_str()).collect()
    }

    fn lines(chain: &Chain) -> Vec<String> {
        let mut lines: Vec<_> = chain.lines().iter().map(|line| hashes(chain, line)).collect();
        lines.sort();
        lines
    }

    #[test]
    fn order_comes_from_the_chain_and_not_from_clocks() {
        let chain = Chain::new(vec![link("c", "b", 1), link("a", "", 5), link("b", "a", 9)]);
        assert_eq!(lines(&chain), ["abc"]);
        assert_eq!((chain.forks().count(), chain.loose().count()), (0, 0));
    }

    #[test]
    fn both_branches_of_a_fork_are_lines() {
        let chain =
            Chain::new(vec![link("a", "", 1), link("b", "a", 2), link("c", "b", 3), link("x", "a", 4)]);
        assert_eq!(lines(&chain), ["abc", "ax"]);
        assert_eq!(chain.forks().next().unwrap().hash, "a");
        let tip = chain.tip(Timestamp::from_second(1 << 30).unwrap()).unwrap();
        assert_eq!(chain.links()[tip].hash, "c", "the longer branch goes on, although the other is newer");
    }

    #[test]
    fn loose_lines_are_joined_by_time_only_when_asked() {
        let links = vec![link("d", "gone", 4), link("a", "", 1), link("b", "a", 2)];
        let chain = Chain::new(links);
        assert_eq!((lines(&chain), chain.loose().count()), (vec!["ab".to_owned(), "d".to_owned()], 1));
        assert_eq!(lines(&chain.joined()), ["abd"]);
    }

    #[test]
    fn a_seal_from_the_future_is_never_followed() {
        let chain = Chain::new(vec![link("a", "", 1), link("b", "a", 2), link("f", "b", 500)]);
        let tip = |hour: i64| {
            chain.tip(Timestamp::from_second(hour * 3600).unwrap()).map(|at| &*chain.links()[at].hash)
        };
        assert_eq!((tip(3), tip(500), tip(-5)), (Some("b"), Some("f"), None));
    }

    #[test]
    fn seals_that_name_each_other_or_themselves_hang_nobody() {
        let chain =
            Chain::new(vec![link("a", "a", 1), link("b", "c", 2), link("c", "b", 3), link("d", "b", 4)]);
        assert_eq!(lines(&chain), ["a", "cbd"]);
        assert_eq!(chain.tip(Timestamp::MAX).map(|at| &*chain.links()[at].hash), Some("d"));
    }
}
