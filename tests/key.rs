use crate::backend::cases;
use kv_core::Keyspace;
use proptest::prelude::*;

/// The part of a key that Redis Cluster hashes: <https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#hash-tags>.
fn hash_tag(key: &str) -> &str {
    let tagged = key.split_once('{').and_then(|(_, rest)| rest.split_once('}'));
    tagged.map(|(tag, _)| tag).filter(|tag| !tag.is_empty()).unwrap_or(key)
}

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn two_ids_never_share_a_key_and_one_id_never_leaves_its_slot(
        a in "[a{}%:7BD]{1,8}", b in "[a{}%:7BD]{1,8}",
        suffix in "[a-z]{0,5}", other in "[a-z]{0,5}",
    ) {
        let keys = Keyspace::new("p:q").unwrap();
        let (one, two) = (keys.key(&a, &suffix).unwrap(), keys.key(&b, &other).unwrap());
        prop_assert_eq!(one == two, a == b && suffix == other);
        prop_assert_eq!(hash_tag(&one) == hash_tag(&two), a == b);
        prop_assert_eq!(hash_tag(&one).len(), one.len() - "p:q:{}".len() - if suffix.is_empty() { 0 } else { suffix.len() + 1 });
    }
}
