//! Records of the control plane: written with their audit record, read by who changes them, there after a restart.

use bytes::Bytes;
use weir_schema::bundle::envelope::KeyId;
use weir_schema::codec::audit::AuditNote;
use weir_store::progress::unwatched;
use weir_store::{CommitError, ControlKey, ControlKind, Existing, Store, restore};

use crate::support::{open, options, store};

async fn write(store: &Store, key: &ControlKey, text: Option<&'static str>) {
    let mut transaction = store.begin().unwrap();
    transaction.put_control(key, text.map(|text| Bytes::from_static(text.as_bytes())));
    let (actor, action) = ("operator".to_owned(), "test".to_owned());
    transaction.record(AuditNote { actor, action, ..AuditNote::default() });
    store.commit(transaction).await.unwrap();
}

fn texts(store: &Store, kind: ControlKind) -> Vec<String> {
    let texts = store.control_all(kind).unwrap();
    texts.into_iter().map(|text| String::from_utf8(text.to_vec()).unwrap()).collect()
}

#[tokio::test]
async fn records_are_there_after_a_restart_and_in_a_backup_by_kind_and_in_order() {
    let (store, folder) = store(&[]).await;
    let beside = tempfile::tempdir().unwrap();
    let name = |name: &str| ControlKey::Administrator(name.to_owned());
    write(&store, &ControlKey::Release(10), Some("ten")).await;
    write(&store, &ControlKey::Release(9), Some("nine")).await;
    write(&store, &ControlKey::Bundle(10), Some("bundle")).await;
    write(&store, &ControlKey::SigningKey(KeyId::of(&[1; 32])), Some("key")).await;
    write(&store, &name("b"), Some("b")).await;
    write(&store, &name("a"), Some("a")).await;
    write(&store, &name("c"), Some("c")).await;
    write(&store, &name("b"), None).await;
    assert_eq!(store.audit(0, 100).unwrap().len(), 8, "each with its record");
    let backup = beside.path().join("backup");
    store.backup(&backup, unwatched()).await.unwrap();
    store.close().await;
    drop(store);
    let copy = beside.path().join("copy");
    restore(&backup, &copy, Existing::Keep, &options(), unwatched()).await.unwrap();
    for data in [folder.path().to_owned(), copy] {
        let store = open(&data);
        assert_eq!(texts(&store, ControlKind::Releases), ["nine", "ten"]);
        assert_eq!(texts(&store, ControlKind::SigningKeys), ["key"]);
        assert_eq!(texts(&store, ControlKind::Administrators), ["a", "c"]);
        assert_eq!(store.control(&ControlKey::Bundle(10)).unwrap().as_deref(), Some(b"bundle".as_slice()));
        assert_eq!(store.control(&name("b")).unwrap(), None);
        assert_eq!(store.verify(unwatched()).await.unwrap().problems, Vec::<String>::new());
        store.close().await;
    }
}

#[tokio::test]
async fn of_two_that_change_what_both_have_seen_one_conflicts() {
    let (store, _folder) = store(&[]).await;
    let key = ControlKey::Administrator("a".to_owned());
    for sees_all in [true, false] {
        let [mut one, mut other] = [store.begin().unwrap(), store.begin().unwrap()];
        for transaction in [&mut one, &mut other] {
            match sees_all {
                true => drop(transaction.control_all(ControlKind::Administrators).unwrap()),
                false => drop(transaction.control(&key).unwrap()),
            }
        }
        one.put_control(&key, Some(Bytes::from_static(b"one")));
        other.put_control(&key, Some(Bytes::from_static(b"other")));
        assert_eq!(other.control(&key).unwrap().as_deref(), Some(b"other".as_slice()), "it sees what it wrote");
        store.commit(one).await.unwrap();
        assert!(matches!(store.commit(other).await, Err(CommitError::Conflict)));
        assert_eq!(texts(&store, ControlKind::Administrators), ["one"]);
    }
    store.close().await;
}
