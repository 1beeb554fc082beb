// scenario.go - the scenario through database/sql and mattn/go-sqlite3.
package main

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"
)

const text = "Grüße, 世界 😀"
const put = "INSERT INTO kv(key, value) VALUES(?, ?)"

type querier interface {
	Query(query string, args ...any) (*sql.Rows, error)
}

var db *sql.DB
var on querier // the database or a transaction

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func rows(query string, args ...any) (found [][]any, err error) {
	r, err := on.Query(query, args...)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	columns, err := r.Columns()
	must(err)
	for r.Next() {
		row := make([]any, len(columns))
		to := make([]any, len(columns))
		for i := range row {
			to[i] = &row[i]
		}
		must(r.Scan(to...))
		found = append(found, row)
	}
	return found, r.Err()
}

func run(query string, args ...any) {
	_, err := rows(query, args...)
	must(err)
}

func one(query string, args ...any) any {
	found, err := rows(query, args...)
	must(err)
	if len(found) == 0 {
		return nil
	}
	return found[0][0]
}

func column(key any, name string) any {
	return one("SELECT "+name+" FROM kv WHERE key = ?", key)
}

func get(key any) any { return column(key, "value") }

// transaction rolls back when f fails.
func transaction(f func() error) {
	tx, err := db.Begin()
	must(err)
	on = tx
	err = f()
	on = db
	if err != nil {
		must(tx.Rollback())
	} else {
		must(tx.Commit())
	}
}

func same(binary []byte) string {
	if got, ok := get("binary").([]byte); ok && bytes.Equal(got, binary) {
		return "same"
	}
	return "different"
}

func openAgain() {
	var err error
	db, err = open("scenario.db")
	must(err)
	on = db
}

func create(binary []byte) {
	run("CREATE VIRTUAL TABLE kv USING nadb")
	run("CREATE TABLE plain(x)")
	transaction(func() error {
		for _, pair := range [][]any{{"text", text}, {"binary", binary},
			{"integer", 42}, {"real", 1.5}, {"big", int64(9007199254740993)},
			{"null", nil}, {5, "five"}} {
			run(put, pair...)
		}
		run("INSERT INTO kv(key, value, tags, ttl) VALUES(?, ?, ?, ?)",
			"tagged", 1, `["b", "a"]`, 3600)
		return nil
	})
}

func read(binary []byte) {
	fmt.Println("text", get("text"))
	fmt.Println("binary", same(binary))
	fmt.Println("binary-type", column("binary", "typeof(value)"),
		column("binary", "size"))
	fmt.Println("integer", get("integer"))
	fmt.Println("real", get("real"))
	fmt.Println("big", get("big"), column("big", "typeof(value)"))
	if get("null") == nil {
		fmt.Println("null", column("null", "typeof(value)"))
	}
	missing, err := rows("SELECT 1 FROM kv WHERE key = ?", "nosuch")
	must(err)
	fmt.Println("missing", len(missing))
	fmt.Println("tags", column("tagged", "tags"))
	fmt.Println("tag", one("SELECT key FROM kv WHERE tag = ? AND tag = ?", "a", "b"))
	fmt.Println("match", one("SELECT key FROM kv WHERE tags MATCH ?", "a NOT c"))
	fmt.Println("ttl", column("tagged", "ttl > 3500 AND ttl <= 3600"))
	fmt.Println("number-key", one("SELECT key FROM kv WHERE key = ?", 5), get(5))
}

func functions() {
	incr := "SELECT nadb_incr('kv', ?, ?)"
	fmt.Println("incr", one(incr, "n", 2), one(incr, "n", 2))
	fmt.Println("pop", one("SELECT nadb_pop('kv', ?)", "n"))
	run("INSERT INTO kv(key, ttl) VALUES(?, ?)", "brief", 0.05)
	for column("brief", "1") != nil {
		time.Sleep(5 * time.Millisecond)
	}
	fmt.Println("expired", one("SELECT count(*) FROM kv WHERE key = ?", "brief"))
}

func transactions() {
	tagged := "SELECT count(*) FROM kv WHERE tag = 'a'"
	transaction(func() error {
		run("REPLACE INTO kv(key, value) VALUES(?, ?)", "text", "lost")
		run(put, "lost", 1)
		run("INSERT INTO plain VALUES(1)")
		run("UPDATE kv SET tags = NULL WHERE tag = ?", "a")
		fmt.Println("inside", get("text"), one(tagged))
		return errors.New("roll back")
	})
	fmt.Println("rolled-back", get("text"))
	fmt.Println("rolled-back-rows", one("SELECT count(*) FROM kv WHERE key = 'lost'"),
		one("SELECT count(*) FROM plain"), one(tagged))
	transaction(func() error {
		run(put, "committed", 1)
		run("INSERT INTO plain VALUES(1)")
		return nil
	})
	fmt.Println("committed", get("committed"), one("SELECT x FROM plain"))
	_, err := rows(put, "text", 1)
	if e, ok := err.(sqlite3.Error); ok &&
		e.ExtendedCode == sqlite3.ErrConstraintPrimaryKey {
		fmt.Println("duplicate", err)
	}
	keys := []string{}
	found, err := rows("SELECT key FROM kv ORDER BY key")
	must(err)
	for _, row := range found {
		keys = append(keys, fmt.Sprint(row[0]))
	}
	fmt.Println("keys", strings.Join(keys, " "))
}

func main() {
	openAgain()
	if len(os.Args) > 1 {
		run(put, "second", 2)
		fmt.Println("second-reads", get("text"))
		must(db.Close())
		return
	}
	fmt.Println("# "+runtime.Version()+", SQLite", one("SELECT sqlite_version()"))
	binary, err := os.ReadFile("binary")
	must(err)
	create(binary)
	read(binary)
	functions()
	transactions()
	must(db.Close())
	openAgain()
	fmt.Println("reopen", get("text"))
	fmt.Println("reopen-binary", same(binary))
	must(exec.Command("./second").Run())
	fmt.Println("second-process", 0)
	fmt.Println("second-wrote", get("second"))
	fmt.Println("check", one("SELECT nadb_check('kv')"))
	must(db.Close())
}
