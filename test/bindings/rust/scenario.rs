// scenario.rs - the scenario through rusqlite.
#[path = "../hook.rs"]
mod hook; // the page's open()

use rusqlite::types::Value;
use rusqlite::{params_from_iter, Connection};
use std::process::Command;
use std::{fs, thread, time::Duration};

const TEXT: &str = "Grüße, 世界 😀";
const PUT: &str = "INSERT INTO kv(key, value) VALUES(?, ?)";

fn t(text: &str) -> Value {
    Value::Text(text.into())
}

fn i(n: i64) -> Value {
    Value::Integer(n)
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "NULL".into(),
        Value::Integer(n) => n.to_string(),
        Value::Real(x) => x.to_string(),
        Value::Text(text) => text.clone(),
        Value::Blob(bytes) => format!("{} bytes", bytes.len()),
    }
}

fn rows(db: &Connection, sql: &str, args: &[Value]) -> rusqlite::Result<Vec<Vec<Value>>> {
    let mut statement = db.prepare(sql)?;
    let columns = statement.column_count();
    let mut found = Vec::new();
    let mut rows = statement.query(params_from_iter(args))?;
    while let Some(row) = rows.next()? {
        let values: rusqlite::Result<Vec<Value>> = (0..columns).map(|n| row.get(n)).collect();
        found.push(values?);
    }
    Ok(found)
}

fn run(db: &Connection, sql: &str, args: &[Value]) {
    rows(db, sql, args).unwrap();
}

/// All columns of the first row, with blanks between.
fn one(db: &Connection, sql: &str, args: &[Value]) -> String {
    let found = rows(db, sql, args).unwrap();
    match found.first() {
        Some(row) => row.iter().map(shown).collect::<Vec<_>>().join(" "),
        None => "no row".into(),
    }
}

fn column(db: &Connection, key: &str, columns: &str) -> String {
    let sql = format!("SELECT {columns} FROM kv WHERE key = ?");
    one(db, &sql, &[t(key)])
}

fn get(db: &Connection, key: &str) -> String {
    column(db, key, "value")
}

fn same(db: &Connection, binary: &[u8]) -> &'static str {
    let got: Vec<u8> = db
        .query_row("SELECT value FROM kv WHERE key = 'binary'", [], |row| row.get(0))
        .unwrap();
    if got == binary { "same" } else { "different" }
}

fn create(db: &mut Connection, binary: &[u8]) -> rusqlite::Result<()> {
    run(db, "CREATE VIRTUAL TABLE kv USING nadb", &[]);
    run(db, "CREATE TABLE plain(x)", &[]);
    let tx = db.transaction()?;
    for pair in [
        [t("text"), t(TEXT)],
        [t("binary"), Value::Blob(binary.to_vec())],
        [t("integer"), i(42)],
        [t("real"), Value::Real(1.5)],
        [t("big"), i(9007199254740993)],
        [t("null"), Value::Null],
        [i(5), t("five")],
    ] {
        run(&tx, PUT, &pair);
    }
    run(
        &tx,
        "INSERT INTO kv(key, value, tags, ttl) VALUES(?, ?, ?, ?)",
        &[t("tagged"), i(1), t(r#"["b", "a"]"#), i(3600)],
    );
    tx.commit()
}

fn read(db: &Connection, binary: &[u8]) {
    println!("text {}", get(db, "text"));
    println!("binary {}", same(db, binary));
    println!("binary-type {}", column(db, "binary", "typeof(value), size"));
    println!("integer {}", get(db, "integer"));
    println!("real {}", get(db, "real"));
    println!("big {}", column(db, "big", "value, typeof(value)"));
    if get(db, "null") == "NULL" {
        println!("null {}", column(db, "null", "typeof(value)"));
    }
    let missing = rows(db, "SELECT 1 FROM kv WHERE key = ?", &[t("nosuch")]).unwrap();
    println!("missing {}", missing.len());
    println!("tags {}", column(db, "tagged", "tags"));
    let both = "SELECT key FROM kv WHERE tag = ? AND tag = ?";
    println!("tag {}", one(db, both, &[t("a"), t("b")]));
    println!("match {}", one(db, "SELECT key FROM kv WHERE tags MATCH ?", &[t("a NOT c")]));
    println!("ttl {}", column(db, "tagged", "ttl > 3500 AND ttl <= 3600"));
    println!("number-key {}", one(db, "SELECT key, value FROM kv WHERE key = ?", &[i(5)]));
}

fn functions(db: &Connection) {
    let incr = || one(db, "SELECT nadb_incr('kv', ?, ?)", &[t("n"), i(2)]);
    println!("incr {} {}", incr(), incr());
    println!("pop {}", one(db, "SELECT nadb_pop('kv', ?)", &[t("n")]));
    run(db, "INSERT INTO kv(key, ttl) VALUES(?, ?)", &[t("brief"), Value::Real(0.05)]);
    while column(db, "brief", "1") == "1" {
        thread::sleep(Duration::from_millis(5));
    }
    println!("expired {}", one(db, "SELECT count(*) FROM kv WHERE key = ?", &[t("brief")]));
}

fn transactions(db: &mut Connection) -> rusqlite::Result<()> {
    let tagged = "SELECT count(*) FROM kv WHERE tag = 'a'";
    {
        let tx = db.transaction()?; // rolled back by being dropped
        run(&tx, "REPLACE INTO kv(key, value) VALUES(?, ?)", &[t("text"), t("lost")]);
        run(&tx, PUT, &[t("lost"), i(1)]);
        run(&tx, "INSERT INTO plain VALUES(1)", &[]);
        run(&tx, "UPDATE kv SET tags = NULL WHERE tag = ?", &[t("a")]);
        println!("inside {} {}", get(&tx, "text"), one(&tx, tagged, &[]));
    }
    println!("rolled-back {}", get(db, "text"));
    println!(
        "rolled-back-rows {} {} {}",
        one(db, "SELECT count(*) FROM kv WHERE key = 'lost'", &[]),
        one(db, "SELECT count(*) FROM plain", &[]),
        one(db, tagged, &[])
    );
    let tx = db.transaction()?;
    run(&tx, PUT, &[t("committed"), i(1)]);
    run(&tx, "INSERT INTO plain VALUES(1)", &[]);
    tx.commit()?;
    println!("committed {} {}", get(db, "committed"), one(db, "SELECT x FROM plain", &[]));
    if let Err(error) = rows(db, PUT, &[t("text"), i(1)]) {
        println!("duplicate {error}");
    }
    let keys = rows(db, "SELECT key FROM kv ORDER BY key", &[])?;
    let keys: Vec<String> = keys.iter().map(|row| shown(&row[0])).collect();
    println!("keys {}", keys.join(" "));
    Ok(())
}

fn main() -> rusqlite::Result<()> {
    let mut db = hook::open("scenario.db")?;
    if std::env::args().len() > 1 {
        run(&db, PUT, &[t("second"), i(2)]);
        println!("second-reads {}", get(&db, "text"));
        return Ok(());
    }
    println!("# Rust, rusqlite, SQLite {}", rusqlite::version());
    let binary = fs::read("binary").unwrap();
    create(&mut db, &binary)?;
    read(&db, &binary);
    functions(&db);
    transactions(&mut db)?;
    db.close().map_err(|(_, error)| error)?;
    db = hook::open("scenario.db")?;
    println!("reopen {}", get(&db, "text"));
    println!("reopen-binary {}", same(&db, &binary));
    let status = Command::new("./second").status().unwrap();
    println!("second-process {}", status.code().unwrap_or(-1));
    println!("second-wrote {}", get(&db, "second"));
    println!("check {}", one(&db, "SELECT nadb_check('kv')", &[]));
    Ok(())
}
