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
    let queues = match json {
        Some(value) => queues(value.get("queues")?)?,
        None => Some(lines(text)).filter(|lines| !lines.is_empty())?,
    };
    let of_maintenance = queues.iter().filter(|(name, _)| name.starts_with(QUEUE));
    Some(of_maintenance.fold(0, |sum, (_, depth)| sum.saturating_add(*depth)))
}

/// Names and how many jobs wait.
type Queues = Vec<(String, u64)>;

fn queues(value: &Value) -> Option<Queues> {
    let depth = |value: &Value| value.as_u64().or_else(|| value.get("depth")?.as_u64());
    let name = |value: &Value| {
        let name = ["name", "queue", "id"].into_iter().find_map(|key| value.get(key)?.as_str());
        name.map(str::to_owned)
    };
    match value {
        Value::Array(all) => all.iter().map(|value| Some((name(value)?, depth(value)?))).collect(),
        Value::Object(all) => all.iter().map(|(name, value)| Some((name.clone(), depth(value)?))).collect(),
        _ => None,
    }
}

fn lines(text: &str) -> Queues {
    let between = |letter: char| letter.is_whitespace() || letter == ':';
    let one = |line: &str| {
        let (name, depth) = line.trim().rsplit_once(between)?;
        Some((name.split(between).next()?.to_owned(), depth.parse().ok()?))
    };
    text.lines().filter_map(one).collect()
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
