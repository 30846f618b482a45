//! That a path of plain names goes down in one step, where the file system can: with the same results it would be walked.

use super::*;
use std::{any::Any, sync::atomic::AtomicUsize};
use wasi::filesystem::{Entry, File, Name, Names, Node, SetTime};

/// A directory that counts what is asked of it.
struct Counted {
    node: Arc<dyn Node>,
    lookups: AtomicUsize,
    descents: AtomicUsize,
}

impl Node for Counted {
    fn as_any(&self) -> &dyn Any {
        self.node.as_any()
    }
    fn kind(&self) -> Kind {
        self.node.kind()
    }
    fn stat(&self) -> Result<Stat> {
        self.node.stat()
    }
    fn set_times(&self, accessed: SetTime, modified: SetTime) -> Result<()> {
        self.node.set_times(accessed, modified)
    }
    fn open(&self, access: Access) -> Result<Arc<dyn File>> {
        self.node.open(access)
    }
    fn lookup(&self, name: Name<'_>) -> Result<Arc<dyn Node>> {
        self.lookups.fetch_add(1, Ordering::Relaxed);
        self.node.lookup(name)
    }
    fn descend(&self, names: Names<'_>) -> Option<Arc<dyn Node>> {
        let found = self.node.descend(names)?;
        self.descents.fetch_add(1, Ordering::Relaxed);
        Some(found)
    }
    fn open_below(&self, names: Names<'_>, access: Access) -> Option<Arc<dyn File>> {
        let found = self.node.open_below(names, access)?;
        self.descents.fetch_add(1, Ordering::Relaxed);
        Some(found)
    }
    fn create_file(&self, name: Name<'_>, access: Access) -> Result<Arc<dyn File>> {
        self.node.create_file(name, access)
    }
    fn create_directory(&self, name: Name<'_>) -> Result<()> {
        self.node.create_directory(name)
    }
    fn create_symbolic_link(&self, name: Name<'_>, target: &str) -> Result<()> {
        self.node.create_symbolic_link(name, target)
    }
    fn link(&self, name: Name<'_>, node: &dyn Node) -> Result<()> {
        self.node.link(name, node)
    }
    fn unlink(&self, name: Name<'_>) -> Result<()> {
        self.node.unlink(name)
    }
    fn remove_directory(&self, name: Name<'_>) -> Result<()> {
        self.node.remove_directory(name)
    }
    fn rename(&self, name: Name<'_>, new_directory: &dyn Node, new_name: Name<'_>) -> Result<()> {
        self.node.rename(name, new_directory, new_name)
    }
    fn read_directory(&self, cookie: u64, entry: &mut dyn FnMut(Entry<'_>) -> ControlFlow<()>) -> Result<()> {
        self.node.read_directory(cookie, entry)
    }
    fn read_link(&self) -> Result<String> {
        self.node.read_link()
    }
    fn sync(&self) -> Result<()> {
        self.node.sync()
    }
}

fn plain_names_are_never_looked_up(node: Arc<dyn Node>) {
    let counted = Arc::new(Counted { node, lookups: AtomicUsize::new(0), descents: AtomicUsize::new(0) });
    let root = Directory::new(counted.clone(), Permissions::ReadWrite).unwrap();
    root.create_directory_at("d").unwrap();
    root.create_directory_at("d/e").unwrap();
    root.symlink_at("d/e", "l").unwrap();
    let created = root.open_at("d/e/f", false, OpenFlags::CREATE, BOTH).map(drop);
    assert_eq!(created, Ok(()));
    let taken = |lookups, descents| {
        let taken = (counted.lookups.swap(0, Ordering::Relaxed), counted.descents.swap(0, Ordering::Relaxed));
        assert_eq!(taken, (lookups, descents));
    };
    // The second directory and the file.
    taken(0, 2);

    assert_eq!(root.stat_at("d/e/f", true).map(|stat| stat.kind), Ok(Kind::File));
    taken(0, 1);
    assert!(matches!(root.open_at("d/e/f", true, NONE, READ), Ok(Descriptor::File(_))));
    taken(0, 1);
    assert_eq!(root.rename_at("d/e/f", &root, "d/g"), Ok(()));
    taken(0, 2);
    // A file may be in the directory itself: it is looked up there.
    assert_eq!(root.unlink_file_at("d/g"), Ok(()));
    taken(0, 1);
    assert_eq!(root.stat_at("missing", true).map(drop), Err(Error::NoEntry));
    taken(1, 0);

    // What is more than names is walked.
    root.open_at("d/e/f", false, OpenFlags::CREATE, BOTH).map(drop).unwrap();
    taken(0, 1);
    for path in ["l/f", "d/../d/e/f", "./d/e/f", "d//e/f"] {
        assert_eq!(root.stat_at(path, true).map(|stat| stat.kind), Ok(Kind::File), "{path}");
        assert!(counted.lookups.swap(0, Ordering::Relaxed) > 0, "{path}");
        assert_eq!(counted.descents.swap(0, Ordering::Relaxed), 0, "{path}");
    }
}

#[test]
fn in_memory() {
    let memory = MemoryFileSystem::new(TestClock::new(), 1 << 20, 7).unwrap();
    plain_names_are_never_looked_up(memory.root());
}

#[test]
#[cfg(target_os = "linux")]
fn on_the_host() {
    let temporary = tempfile::tempdir().unwrap();
    plain_names_are_never_looked_up(wasi::filesystem::host::open_directory(temporary.path()).unwrap());
}
