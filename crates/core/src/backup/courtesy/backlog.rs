//! The appliance's maintenance backlog: jobs that Git maintenance has put off, because a backup paused it or there is much to do.
//!
//! `ghe-aqueduct status` lists queues and how many jobs wait in each (GitHub's page of command-line utilities); those of maintenance are
//! named `maint_git-server-UUID` (contract §5). The form of the list is not documented. It is read as JSON with `queues`, or as lines that
//! end with a number; whatever else comes is no answer.

use serde_json::Value;

/// How the names of maintenance queues begin.
const QUEUE: &str = "maint";

/// Jobs that wait in all queues of maintenance; `None` if this is no list of queues.
pub(super) fn parse(text: &str) -> Option<u64> {
    let json = text.find('{').and_then(|at| {
        let mut values = serde_json::Deserializer::from_str(&text[at..]).into_iter::<Value>();
        values.next()?.ok()
    });
    match json {
        Some(value) => queues(value.get("queues")?),
        None => lines(text),
    }
}

fn queues(value: &Value) -> Option<u64> {
    let depth = |value: &Value| value.as_u64().or_else(|| value.get("depth")?.as_u64());
    let named = |value: &Value| {
        let name = ["name", "queue", "id"].into_iter().find_map(|key| value.get(key)?.as_str());
        Some((name?.to_owned(), depth(value)?))
    };
    let all: Vec<(String, u64)> = match value {
        Value::Array(all) => all.iter().map(named).collect::<Option<_>>()?,
        Value::Object(all) => {
            all.iter().map(|(name, value)| Some((name.clone(), depth(value)?))).collect::<Option<_>>()?
        }
        _ => return None,
    };
    Some(sum(all.iter().map(|(name, depth)| (name.as_str(), *depth))))
}

fn lines(text: &str) -> Option<u64> {
    let one = |line: &'_ str| {
        let (name, depth) = line.trim().rsplit_once(|c: char| c.is_whitespace() || c == ':')?;
        let name = name.split(|c: char| c.is_whitespace() || c == ':').next()?;
        Some((name.to_owned(), depth.parse().ok()?))
    };
    let all: Vec<(String, u64)> = text.lines().filter_map(one).collect();
    (!all.is_empty()).then(|| sum(all.iter().map(|(name, depth)| (name.as_str(), *depth))))
}

fn sum<'a>(queues: impl Iterator<Item = (&'a str, u64)>) -> u64 {
    queues.filter(|(name, _)| name.starts_with(QUEUE)).fold(0, |sum, (_, depth)| sum.saturating_add(depth))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn the_jobs_of_all_maintenance_queues_are_counted() {
        let json = "Aqueduct\n\n{\"queues\":[{\"name\":\"maint_git-server-a\",\"depth\":3},{\"name\":\"emails\",\"depth\":9},\
                    {\"name\":\"maint_git-server-b\",\"depth\":4}]}\nmore";
        assert_eq!(parse(json), Some(7));
        assert_eq!(
            parse("{\"queues\":{\"maint_git-server-a\":{\"depth\":3},\"maint_x\":2,\"emails\":1}}"),
            Some(5)
        );
        assert_eq!(
            parse("queue  depth\nmaint_git-server-a   3\nemails: 9\nmaint_git-server-b: 4\n"),
            Some(7)
        );
        assert_eq!(parse("{\"queues\":[]}"), Some(0));
        assert_eq!(parse("emails 4\n"), Some(0));
    }

    #[test]
    fn what_is_no_list_of_queues_is_no_answer() {
        for odd in
            ["", "command not found", "{\"queues\":3}", "{}", "{\"queues\":[{\"depth\":3}]}", "{\"queues\":["]
        {
            assert_eq!(parse(odd), None, "{odd}");
        }
        let most = format!("maint_a {0}\nmaint_b {0}", u64::MAX);
        assert_eq!(parse(&most), Some(u64::MAX));
    }
}
