//! Directories through std: nested, listed, a thousand entries, removed.
use std::fs;
use std::io::Result;

fn names(path: &str) -> Result<Vec<String>> {
    let mut names = vec![];
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        let mark = if kind.is_dir() {
            "/"
        } else if kind.is_symlink() {
            "@"
        } else {
            ""
        };
        names.push(entry.file_name().into_string().expect("utf-8") + mark);
    }
    names.sort();
    Ok(names)
}

fn main() -> Result<()> {
    println!("{:?}", names("/t")?);
    fs::create_dir("/t/new")?;
    println!("again: {:?}", fs::create_dir("/t/new").unwrap_err().kind());
    println!("no parent: {:?}", fs::create_dir("/t/no/parent").unwrap_err().kind());
    fs::create_dir_all("/t/new/a/b/c/d/e/f")?;
    fs::write("/t/new/a/b/file", "deep")?;
    println!("{:?}", names("/t/new/a/b")?);
    println!("{}", fs::read_to_string("/t/new/../new/./a//b/c/../file")?);
    println!("not empty: {:?}", fs::remove_dir("/t/new/a").unwrap_err().kind());
    fs::rename("/t/new/a/b", "/t/new/moved")?;
    println!("{:?}", names("/t/new/moved")?);
    println!("into itself: {:?}", fs::rename("/t/new", "/t/new/moved/new").unwrap_err().kind());
    fs::remove_dir_all("/t/new")?;
    println!("gone: {}", !fs::exists("/t/new")?);

    fs::create_dir("/t/many")?;
    for i in 0..1000 {
        fs::write(format!("/t/many/entry-{i:04}"), "")?;
    }
    let many = names("/t/many")?;
    println!(
        "{} entries, in order: {}",
        many.len(),
        many.iter().enumerate().all(|(i, name)| *name == format!("entry-{i:04}"))
    );
    // Removing while listing must neither skip nor repeat an entry.
    for entry in fs::read_dir("/t/many")? {
        fs::remove_file(entry?.path())?;
    }
    println!("left {:?}", names("/t/many")?);
    fs::remove_dir("/t/many")?;

    let mut path = String::from("/t");
    for _ in 0..60 {
        path += "/level";
        fs::create_dir(&path)?;
    }
    fs::write(format!("{path}/bottom"), "60 down")?;
    println!("{}", fs::read_to_string(format!("{path}/bottom"))?);
    let up = "../".repeat(60);
    println!("{:?}", names(&format!("{path}/{up}"))?);
    fs::remove_dir_all("/t/level")?;
    println!("{:?}", names("/t")?);
    Ok(())
}
