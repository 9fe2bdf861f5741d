//! Where the appliance puts a network, a gist or a site: folders from MD5 digests (contract §2.11, §2.12).

/// Route of network `id`.
#[must_use]
pub fn network(id: u64) -> String {
    let digest = hex_md5(&id.to_string());
    format!("{}/nw/{}/{}/{}/{id}", &digest[..1], &digest[..2], &digest[2..4], &digest[4..6])
}

/// Route of the gist `name` (without `.git`).
#[must_use]
pub fn gist(name: &str) -> String {
    let digest = hex_md5(name);
    format!("{}/{}/{}/{}/gist/{name}.git", &digest[..1], &digest[..2], &digest[2..4], &digest[4..6])
}

/// Route of the Pages site `id`.
#[must_use]
pub fn page(id: u64) -> String {
    let digest = hex_md5(&id.to_string());
    let shard = u8::from_str_radix(&digest[..1], 16).unwrap_or(0) % 8;
    format!("{shard}/{}/{}/{}/{id}", &digest[..2], &digest[2..4], &digest[4..6])
}

fn hex_md5(text: &str) -> String {
    format!("{:x}", md5::compute(text))
}

#[cfg(test)]
mod tests {
    #[test]
    fn networks_are_where_real_appliances_put_them() {
        assert_eq!(super::network(1), "c/nw/c4/ca/42/1");
        assert_eq!(super::network(146), "a/nw/a5/e0/01/146");
    }
}
