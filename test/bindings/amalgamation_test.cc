/* amalgamation_test.cc - nadb.c and sqlite3.c in a program of C++.
 *
 * usage: amalgamation_test FOLDER. Prints "ok NAME" and "not ok NAME: ..". */
#include <cstdio>
#include <cstdlib>
#include <sqlite3.h>
#include <string>

#include "nadb.h"

static int bad;

static void check(const char *name, const std::string &want,
                  const std::string &got) {
    if (want == got) {
        std::printf("ok %s\n", name);
        return;
    }
    std::printf("not ok %s: expected %s, got %s\n", name, want.c_str(),
                got.c_str());
    bad = 1;
}

/* All values of all rows, or the error. */
static std::string all(sqlite3 *db, const std::string &sql) {
    std::string out;
    char *msg = nullptr;
    auto row = [](void *to, int n, char **values, char **) {
        for (int i = 0; i < n; i++) {
            auto *text = static_cast<std::string *>(to);

            if (!text->empty()) *text += ' ';
            *text += values[i] == nullptr ? "NULL" : values[i];
        }
        return 0;
    };

    if (sqlite3_exec(db, sql.c_str(), row, &out, &msg) != SQLITE_OK)
        out = msg == nullptr ? "an error without a message" : msg;
    sqlite3_free(msg);
    return out;
}

static sqlite3 *open_it(const std::string &path) {
    sqlite3 *db = nullptr;

    if (sqlite3_open(path.c_str(), &db) == SQLITE_OK &&
        sqlite3_nadb_init(db, nullptr, nullptr) == SQLITE_OK)
        return db;
    std::printf("not ok open: %s\n", sqlite3_errmsg(db));
    std::exit(1);
}

int main(int argc, char **argv) {
    std::string path = argc == 2 ? std::string(argv[1]) + "/x.db" : "";
    sqlite3 *db = open_it(path);
    int major = 0, minor = 0, patch = 0;

    check("version", NADB_VERSION, all(db, "SELECT nadb_version()"));
    std::sscanf(NADB_VERSION, "%d.%d.%d", &major, &minor, &patch);
    check("version number", std::to_string(NADB_VERSION_NUMBER),
          std::to_string(major * 1000000 + minor * 1000 + patch));
    check("SQLite", SQLITE_VERSION, all(db, "SELECT sqlite_version()"));
    check("write", "",
          all(db,
              "CREATE VIRTUAL TABLE kv USING nadb;"
              "INSERT INTO kv(key, value, tags, ttl) VALUES"
              "('a', 1, '[\"x\"]', 60), ('b', zeroblob(100000), NULL, NULL),"
              "('c', 'gone', '[\"x\",\"y\"]', -1)"));
    check("rollback", "1",
          all(db, "BEGIN; UPDATE kv SET value = 2 WHERE key = 'a'; ROLLBACK;"
                  "SELECT value FROM kv WHERE key = 'a'"));
    sqlite3_close(db);
    db = open_it(path);
    check("tags and expiry", "a",
          all(db, "SELECT key FROM kv WHERE tag = 'x'"));
    check("large value", "100000",
          all(db, "SELECT length(value) FROM kv WHERE key = 'b'"));
    check("check", "ok", all(db, "SELECT nadb_check('kv')"));
    check("unknown option", "",
          all(db, "CREATE VIRTUAL TABLE t USING nadb(nonsense=1)")
                      .find("nonsense") == std::string::npos
              ? "no message"
              : "");
    sqlite3_close(db);
    return bad;
}
