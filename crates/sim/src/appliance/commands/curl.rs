//! `curl`, for what clients ask the two Elasticsearch endpoints on localhost, 9200 (search) and 9201 (audit log).

use std::{fs, io::Write};

use super::{Call, Ended, elasticsearch};
use crate::{
    appliance::State,
    error::{OnFile, SimError},
};

/// What was asked.
#[derive(Default)]
struct Request {
    method: Option<String>,
    url: String,
    body: Option<String>,
    fail: bool,
    head: bool,
    format: Option<String>,
    output: Option<String>,
    json: bool,
}

fn parse(call: &Call) -> Result<Request, SimError> {
    let mut request = Request::default();
    let mut words = call.args.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().cloned().unwrap_or_default();
        match word.as_str() {
            "-X" | "--request" => request.method = Some(value()),
            "-d" | "--data" | "--data-binary" => request.body = Some(value()),
            "-w" | "--write-out" => request.format = Some(value()),
            "-o" | "--output" => request.output = Some(value()),
            "-H" | "--header" => {
                let header = value().to_ascii_lowercase();
                request.json |= header.starts_with("content-type:") && header.contains("application/json");
            }
            "-m" | "--max-time" | "--connect-timeout" | "--retry" => drop(value()),
            "--fail" | "--fail-with-body" => request.fail = true,
            "--head" => request.head = true,
            flag if flag.starts_with("-X") => request.method = Some(flag[2..].to_owned()),
            flag if flag.starts_with("--") => {}
            flags if flags.starts_with('-') => {
                request.fail |= flags.contains('f');
                request.head |= flags.contains('I');
                // `-sSo FILE`, `-sw FORMAT`, `-sXPUT`
                if flags.ends_with('o') {
                    request.output = Some(value());
                } else if flags.ends_with('w') {
                    request.format = Some(value());
                } else if let Some((_, method)) = flags.split_once('X') {
                    request.method = Some(if method.is_empty() { value() } else { method.to_owned() });
                }
            }
            url => url.trim_start_matches("http://").clone_into(&mut request.url),
        }
    }
    if let Some(body) = &mut request.body
        && body.starts_with('@')
    {
        let bytes = if body == "@-" { call.stdin()? } else { fs::read(&body[1..]).on("read", &body[1..])? };
        *body = String::from_utf8_lossy(&bytes).into_owned();
    }
    Ok(request)
}

pub(super) fn run(call: &Call) -> Ended {
    let request = parse(call)?;
    let Some((_, path)) = ["localhost:9200/", "localhost:9201/", "127.0.0.1:9200/", "127.0.0.1:9201/"]
        .iter()
        .find_map(|host| request.url.strip_prefix(host).map(|path| (host, path)))
    else {
        eprintln!("curl: (7) Failed to connect to {}", request.url);
        return Ok(7);
    };
    let method = request.method.as_deref().unwrap_or(match (request.head, &request.body) {
        (true, _) => "HEAD",
        (_, Some(_)) => "POST",
        _ => "GET",
    });
    let (status, mut body) = if request.body.is_some() && !request.json && wants_json(call)? {
        (406, "{\"error\":\"Content-Type header is not supported\",\"status\":406}".to_owned())
    } else {
        answer(call, method, path, request.body.as_deref())?
    };
    if request.head {
        body = format!("HTTP/1.1 {status} {}\r\n\r\n", if status == 200 { "OK" } else { "Not Found" });
    }
    let failed = request.fail && status >= 400;
    if failed {
        eprintln!("curl: (22) The requested URL returned error: {status}");
    } else {
        match &request.output {
            Some(file) => {
                fs::File::create(file).and_then(|mut f| f.write_all(body.as_bytes())).on("write", file)?;
            }
            None => call.print(&body)?,
        }
    }
    if let Some(format) = &request.format {
        let text = format
            .replace("%{http_code}", &status.to_string())
            .replace("%{response_code}", &status.to_string());
        call.print(text.replace("\\n", "\n"))?;
    }
    Ok(if failed { 22 } else { 0 })
}

/// From GHES 3.13 on, Elasticsearch 8 refuses a body that does not say it is JSON (contract §2.10).
fn wants_json(call: &Call) -> Result<bool, SimError> {
    let version = State::load(&call.place)?.version;
    let minor = version.split('.').nth(1).and_then(|minor| minor.parse::<u32>().ok());
    Ok(minor.is_some_and(|minor| minor >= 13))
}

fn answer(call: &Call, method: &str, path: &str, body: Option<&str>) -> Result<(u16, String), SimError> {
    const ACKNOWLEDGED: &str = "{\"acknowledged\":true}";
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    if let Some(pattern) = path.strip_prefix("_cat/indices") {
        return Ok((200, indices(call, pattern.trim_start_matches('/'), query)?));
    }
    match (method, path) {
        ("PUT", settings) if settings.ends_with("_settings") => put_settings(call, body.unwrap_or_default()),
        ("GET", settings) if settings.ends_with("_settings") => {
            let threshold = State::load(&call.place)?.elasticsearch.flush_threshold;
            let value = serde_json::json!({"github": {"settings": {"index": {
                "translog": {"flush_threshold_size": threshold.unwrap_or_else(|| "512MB".to_owned())}}}}});
            Ok((200, value.to_string()))
        }
        (_, flush) if flush.ends_with("_flush") || flush.ends_with("_flush/synced") => {
            State::update(&call.place, |state| {
                state.elasticsearch.flushes += 1;
                Ok(())
            })?;
            Ok((200, "{\"_shards\":{\"total\":2,\"successful\":2,\"failed\":0}}".to_owned()))
        }
        ("GET" | "HEAD", "" | "_cluster/health") => Ok((200, "{\"status\":\"green\"}".to_owned())),
        ("GET" | "HEAD", index) if elasticsearch::index_file(&call.place, index).exists() => {
            Ok((200, format!("{{\"{index}\":{{}}}}")))
        }
        ("PUT", _) => Ok((200, ACKNOWLEDGED.to_owned())),
        ("DELETE", index) if elasticsearch::index_file(&call.place, index).exists() => {
            let file = elasticsearch::index_file(&call.place, index);
            fs::remove_file(&file).on("remove", file)?;
            Ok((200, ACKNOWLEDGED.to_owned()))
        }
        (_, index) => Ok((404, format!("{{\"error\":\"no such index [{index}]\",\"status\":404}}"))),
    }
}

fn put_settings(call: &Call, body: &str) -> Result<(u16, String), SimError> {
    let Ok(settings) = serde_json::from_str::<serde_json::Value>(body) else {
        return Ok((400, "{\"error\":\"not JSON\",\"status\":400}".to_owned()));
    };
    let threshold = settings["index"]["translog"]["flush_threshold_size"]
        .as_str()
        .or_else(|| settings["index"]["translog.flush_threshold_size"].as_str())
        .or_else(|| settings["index.translog.flush_threshold_size"].as_str());
    State::update(&call.place, |state| {
        state.elasticsearch.flush_threshold = threshold.map(str::to_owned);
        Ok(())
    })?;
    Ok((200, "{\"acknowledged\":true}".to_owned()))
}

fn indices(call: &Call, pattern: &str, query: &str) -> Result<String, SimError> {
    let columns = query
        .split('&')
        .find_map(|part| part.strip_prefix("h="))
        .unwrap_or("index,pri.store.size")
        .to_owned();
    let mut lines = String::new();
    for (name, bytes) in elasticsearch::indices(&call.place)? {
        if !pattern.is_empty() && !name.starts_with(pattern.trim_end_matches('*')) {
            continue;
        }
        let cells: Vec<String> = columns
            .split(',')
            .map(|column| if column == "index" { name.clone() } else { bytes.to_string() })
            .collect();
        lines.push_str(&cells.join(" "));
        lines.push('\n');
    }
    Ok(lines)
}
