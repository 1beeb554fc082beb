# The scenario through R's DBI and RSQLite.
suppressPackageStartupMessages({
  source(file.path(Sys.getenv("BLOCKS"), "block1.R")) # the page's open_db
  library(bit64)
})
text <- "Grüße, 世界 😀"
put_sql <- "INSERT INTO kv(key, value) VALUES(?, ?)"
db <- open_db("scenario.db")

run <- function(sql, ...) {
  if (length(list(...))) dbExecute(db, sql, params = list(...))
  else dbExecute(db, sql)
}
rows <- function(sql, ...) {
  if (length(list(...))) dbGetQuery(db, sql, params = list(...))
  else dbGetQuery(db, sql)
}
one <- function(sql, ...) rows(sql, ...)[[1]][1]
put <- function(key, value) run(put_sql, key, value)
get <- function(key, column = "value") {
  one(paste("SELECT", column, "FROM kv WHERE key = ?"), key)
}
say <- function(...) cat(paste(c(...), collapse = " "), "\n", sep = "")

if (length(commandArgs(TRUE))) {
  put("second", 2)
  say("second-reads", get("text"))
  dbDisconnect(db)
  quit()
}
say(paste0("# R ", getRversion(), ", RSQLite ", packageVersion("RSQLite"),
           ", SQLite ", one("SELECT sqlite_version()")))
binary <- readBin("binary", "raw", 1048576)
same <- function() {
  if (identical(get("binary")[[1]], binary)) "same" else "different"
}
invisible(run("CREATE VIRTUAL TABLE kv USING nadb"))
invisible(run("CREATE TABLE plain(x)"))
invisible(dbWithTransaction(db, {
  put("text", text)
  put("binary", list(binary))
  put("integer", 42L)
  put("real", 1.5)
  put("big", as.integer64("9007199254740993"))
  put("null", NA)
  put(5, "five")
  run("INSERT INTO kv(key, value, tags, ttl) VALUES(?, ?, ?, ?)",
      "tagged", 1L, '["b", "a"]', 3600)
}))
say("text", get("text"))
say("binary", same())
say("binary-type", get("binary", "typeof(value)"), get("binary", "size"))
say("integer", get("integer"))
say("real", get("real"))
say("big", as.character(get("big")), get("big", "typeof(value)"))
say("null", if (is.na(get("null"))) get("null", "typeof(value)") else "no")
say("missing", nrow(rows("SELECT 1 FROM kv WHERE key = ?", "nosuch")))
say("tags", get("tagged", "tags"))
say("tag", one("SELECT key FROM kv WHERE tag = ? AND tag = ?", "a", "b"))
say("match", one("SELECT key FROM kv WHERE tags MATCH ?", "a NOT c"))
say("ttl", get("tagged", "ttl > 3500 AND ttl <= 3600"))
say("number-key", one("SELECT key FROM kv WHERE key = ?", 5), get(5))
incr <- "SELECT nadb_incr('kv', ?, ?)"
say("incr", one(incr, "n", 2), one(incr, "n", 2))
say("pop", one("SELECT nadb_pop('kv', ?)", "n"))
invisible(run("INSERT INTO kv(key, ttl) VALUES(?, ?)", "brief", 0.05))
while (!is.na(get("brief", "1"))) Sys.sleep(0.005)
say("expired", one("SELECT count(*) FROM kv WHERE key = ?", "brief"))
tagged <- "SELECT count(*) FROM kv WHERE tag = 'a'"
dbWithTransaction(db, {
  run("REPLACE INTO kv(key, value) VALUES(?, ?)", "text", "lost")
  put("lost", 1)
  run("INSERT INTO plain VALUES(1)")
  run("UPDATE kv SET tags = NULL WHERE tag = ?", "a")
  say("inside", get("text"), one(tagged))
  dbBreak()
})
say("rolled-back", get("text"))
say("rolled-back-rows", one("SELECT count(*) FROM kv WHERE key = 'lost'"),
    one("SELECT count(*) FROM plain"), one(tagged))
invisible(dbWithTransaction(db, {
  put("committed", 1)
  run("INSERT INTO plain VALUES(1)")
}))
say("committed", get("committed"), one("SELECT x FROM plain"))
tryCatch(put("text", 1), error = function(e) {
  say("duplicate", regmatches(conditionMessage(e), regexpr(
    "UNIQUE constraint failed: kv.key", conditionMessage(e))))
})
say("keys", rows("SELECT key FROM kv ORDER BY key")$key)
dbDisconnect(db)
db <- open_db("scenario.db")
say("reopen", get("text"))
say("reopen-binary", same())
say("second-process", system("./second"))
say("second-wrote", get("second"))
say("check", one("SELECT nadb_check('kv')"))
dbDisconnect(db)
