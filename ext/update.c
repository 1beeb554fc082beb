/* update.c - xUpdate: INSERT, UPDATE or DELETE of one row.
 *
 * Everything is checked before anything is changed, so a refused row needs no
 * undo. Conflicts are handled as in SQLite's own tables: xUpdate returns
 * SQLITE_CONSTRAINT, and SQLite skips the row, stops or rolls back as the
 * statement says. REPLACE is done here.
 *
 * INSERT OR REPLACE reads nothing. UPDATE reads the row and changes what the
 * statement names; SQLite marks the columns that it does not. The exception is
 * UPDATE .. FROM, which passes every column: there a column whose value equals
 * what the statement has read counts as unchanged. The row may have changed
 * meanwhile, because it is passed as often as FROM has a match for it. */
#include "ext.h"
#include "sqlite_quirks.h"

/* SQLite's arguments, indexed by column. */
typedef struct columns {
    sqlite3_value **at; /* COL_COUNT of them */
    bool from;          /* UPDATE .. FROM: no column is marked as unchanged */
    /* From the row that UPDATE .. FROM has read: */
    int64_t expires_ms, updated_ms, stored_size;
} columns;

static bool is_null(const columns *cols, int i) {
    return sqlite3_value_type(cols->at[i]) == SQLITE_NULL;
}

static bool untouched(const columns *cols, int i) {
    return sqlite3_value_nochange(cols->at[i]) != 0;
}

/* --- checks --- */

static nadb_rc refuse_column(int i, nadb_err *err) {
    static const char *const why[COL_COUNT] = {
        [COL_TAG] = "column tag cannot be assigned, it is a filter: assign "
                    "tags, a JSON array such as '[\"a\", \"b\"]', and search "
                    "with tag = 'a' or tags MATCH",
        [COL_STORED_SIZE] = "column stored_size cannot be assigned: it is what "
                            "the stored value takes",
        [COL_ACCESSED_AT] = "column accessed_at cannot be assigned: create "
                            "the table with track_access=on",
        [COL_ROWID] = "column rowid is the key: assign key",
        [COL_ROWID_UNDERSCORED] = "column _rowid_ is the key: assign key",
        [COL_OID] = "column oid is the key: assign key"};

    return nadb_fail(err, NADB_INVALID, "%s", why[i]);
}

/* True if column i is one of rowid, _rowid_, oid and has the key's value: a
 * program that has read it may pass it back. */
static bool names_key(vtab *v, const columns *cols, int i, nadb_slice key) {
    nadb_slice named;

    return is_key_column(i) &&
           key_from_sql(v->c, cols->at[i], &v->keys[2], &named) == KEY_GIVEN &&
           nadb_slice_eq(named, key);
}

/* Takes created_at or updated_at. */
static nadb_rc row_time(const columns *cols, int i, const char *name,
                        int64_t *ms, nadb_err *err) {
    bool given;
    int64_t t = 0;
    nadb_rc rc = value_time(cols->at[i], name, &t, &given, err);

    if (rc != NADB_OK || !given) return rc;
    if (t == NADB_NO_EXPIRY) {
        return nadb_fail(err, NADB_INVALID, "%s must not be infinite", name);
    }
    *ms = t;
    return NADB_OK;
}

static nadb_rc parse_tags(vtab *v, const columns *cols, nadb_slice *out,
                          nadb_err *err) {
    sqlite3_value *in = cols->at[COL_TAGS];
    const unsigned char *text;
    nadb_rc rc;

    *out = nadb_slice_of(NULL, 0);
    if (value_is_none(in)) return NADB_OK;
    if (sqlite3_value_type(in) != SQLITE_TEXT) {
        return nadb_fail(err, NADB_INVALID,
                         "tags must be a JSON array of non-empty strings, such "
                         "as '[\"a\",\"b\"]', or NULL");
    }
    text = sqlite3_value_text(in);
    if (text == NULL) return nadb_fail(err, NADB_NOMEM, "out of memory");
    nadb_buf_reset(&v->tags);
    rc = nadb_tags_parse(nadb_slice_of(text, (size_t)sqlite3_value_bytes(in)),
                         &v->tags, err);
    if (rc == NADB_OK) *out = nadb_buf_slice(&v->tags);
    return rc;
}

/* --- INSERT --- */

/* expires_at has priority over ttl; without both the table's default
 * applies. */
static nadb_rc insert_expiry(const vtab *v, const columns *cols, int64_t *ms,
                             nadb_err *err) {
    bool given = false;
    nadb_rc rc;

    *ms = NADB_NO_EXPIRY;
    rc = value_time(cols->at[COL_EXPIRES_AT], "expires_at", ms, &given, err);
    if (rc != NADB_OK || given) return rc;
    if (!value_is_none(cols->at[COL_TTL])) {
        return value_ttl(cols->at[COL_TTL], nadb_now_ms(), ms, err);
    }
    if (v->options->default_ttl_ms > 0) {
        *ms = nadb_now_ms() + v->options->default_ttl_ms;
    }
    return NADB_OK;
}

/* True if the statement gives only key and value. */
static bool is_plain(const columns *cols) {
    int i = COL_TAGS;

    while (i < COL_SIZE && is_null(cols, i)) i++;
    if (i == COL_SIZE) i = COL_TAG;
    while (i < COL_COUNT && is_null(cols, i)) i++;
    return i == COL_COUNT;
}

static nadb_rc insert_fields(vtab *v, const columns *cols, nadb_put_req *req,
                             nadb_err *err) {
    nadb_rc rc;

    req->created_ms = req->updated_ms = INT64_MIN;
    req->expires_ms = NADB_NO_EXPIRY;
    if (v->options->default_ttl_ms <= 0 && is_plain(cols)) return NADB_OK;
    for (int i = COL_TAG; i < COL_COUNT; i++) {
        if (is_null(cols, i) || names_key(v, cols, i, req->key)) continue;
        return refuse_column(i, err);
    }
    rc = parse_tags(v, cols, &req->tags, err);
    if (rc == NADB_OK) rc = insert_expiry(v, cols, &req->expires_ms, err);
    if (rc == NADB_OK) {
        rc =
            row_time(cols, COL_CREATED_AT, "created_at", &req->created_ms, err);
    }
    if (rc == NADB_OK) {
        rc =
            row_time(cols, COL_UPDATED_AT, "updated_at", &req->updated_ms, err);
    }
    return rc;
}

/* Decides the mode of a put under a new key. *taken: the key exists and the
 * statement does not replace rows. */
static nadb_rc decide_mode(vtab *v, int conflict, nadb_put_req *req,
                           bool *taken, nadb_err *err) {
    *taken = false;
    if (conflict == SQLITE_REPLACE) {
        req->mode = NADB_PUT_BLIND;
        return NADB_OK;
    }
    req->mode = NADB_PUT_INSERT;
    return nadb_exists(v->s->core, req->key, taken, err);
}

static int insert_row(vtab *v, sqlite3_value **argv) {
    columns cols = {.at = argv + 2};
    int conflict = sqlite3_vtab_on_conflict(v->c->db);
    bool loud = conflict != SQLITE_IGNORE;
    nadb_put_req req = {0};
    nadb_value value;
    key_kind kind = key_from_sql(v->c, cols.at[COL_KEY], &v->keys[1], &req.key);
    bool taken = false;
    nadb_err err;
    nadb_rc rc;

    if (kind == KEY_NULL) return value_not_null_failed(v, loud);
    rc = key_check(kind, req.key, &err);
    if (rc == NADB_OK)
        rc = value_from_sql(v->c, cols.at[COL_VALUE], &value, &err);
    if (rc == NADB_OK) rc = insert_fields(v, &cols, &req, &err);
    if (rc == NADB_OK) rc = decide_mode(v, conflict, &req, &taken, &err);
    if (rc == NADB_OK && !taken) {
        if (!loud) req.mode = NADB_PUT_IGNORE;
        req.value = &value;
        rc = nadb_put(v->s->core, &req, &err);
    }
    if (rc != NADB_OK) return value_vtab_error(&v->base, &err);
    return taken ? value_unique_failed(v, loud) : SQLITE_OK;
}

/* --- UPDATE --- */

/* For UPDATE .. FROM: true if the time is the row's own. */
static bool same_time(sqlite3_value *in, int64_t ms) {
    return sqlite3_value_double(in) == (double)ms / 1000.0;
}

static nadb_rc update_times(const columns *cols, const nadb_row *old,
                            nadb_put_req *req, nadb_err *err) {
    nadb_rc rc = NADB_OK;

    req->created_ms = old->created_ms;
    if (!untouched(cols, COL_CREATED_AT)) {
        rc =
            row_time(cols, COL_CREATED_AT, "created_at", &req->created_ms, err);
    }
    req->updated_ms = INT64_MIN; /* INT64_MIN: now */
    if (rc == NADB_OK && !untouched(cols, COL_UPDATED_AT) &&
        !(cols->from &&
          same_time(cols->at[COL_UPDATED_AT], cols->updated_ms))) {
        rc =
            row_time(cols, COL_UPDATED_AT, "updated_at", &req->updated_ms, err);
    }
    return rc;
}

/* True if the statement does not change ttl or expires_at. */
static bool keeps_ttl(const vtab *v, const columns *cols) {
    double ms;

    if (!cols->from) return untouched(cols, COL_TTL);
    if (value_is_none(cols->at[COL_TTL]) ||
        cols->expires_ms == NADB_NO_EXPIRY) {
        return value_is_none(cols->at[COL_TTL]) &&
               cols->expires_ms == NADB_NO_EXPIRY;
    }
    /* The remaining time at one of the moments at which the statement has read
     * it. */
    ms = sqlite3_value_double(cols->at[COL_TTL]) * 1000;
    return ms >= (double)(cols->expires_ms - v->read_ms) - 0.5 &&
           ms <= (double)(cols->expires_ms - v->read_from_ms) + 0.5;
}

static bool keeps_expires_at(const columns *cols) {
    if (!cols->from) return untouched(cols, COL_EXPIRES_AT);
    if (cols->expires_ms == NADB_NO_EXPIRY) {
        return value_is_none(cols->at[COL_EXPIRES_AT]);
    }
    return same_time(cols->at[COL_EXPIRES_AT], cols->expires_ms);
}

static nadb_rc update_expiry(const vtab *v, const columns *cols,
                             const nadb_row *old, int64_t *ms, nadb_err *err) {
    bool given;

    *ms = old->expires_ms;
    if (!keeps_expires_at(cols)) {
        *ms = NADB_NO_EXPIRY;
        return value_time(cols->at[COL_EXPIRES_AT], "expires_at", ms, &given,
                          err);
    }
    if (keeps_ttl(v, cols)) return NADB_OK;
    *ms = NADB_NO_EXPIRY;
    if (value_is_none(cols->at[COL_TTL])) return NADB_OK;
    return value_ttl(cols->at[COL_TTL], nadb_now_ms(), ms, err);
}

/* For UPDATE .. FROM: true if the statement has read such a time in column
 * accessed_at. */
static bool was_accessed(const vtab *v, sqlite3_value *in) {
    double s = sqlite3_value_double(in);

    return v->accessed_from_ms != 0 &&
           s >= (double)v->accessed_from_ms / 1000.0 &&
           s <= (double)v->accessed_ms / 1000.0;
}

static nadb_rc update_hidden(vtab *v, const columns *cols, nadb_slice old_key,
                             nadb_err *err) {
    for (int i = COL_TAG; i < COL_COUNT; i++) {
        if (untouched(cols, i) || (cols->from && is_null(cols, i))) continue;
        if (names_key(v, cols, i, old_key)) continue;
        if (cols->from && i == COL_STORED_SIZE &&
            sqlite3_value_int64(cols->at[i]) == cols->stored_size) {
            continue;
        }
        if (cols->from && i == COL_ACCESSED_AT && was_accessed(v, cols->at[i]))
            continue;
        return refuse_column(i, err);
    }
    return NADB_OK;
}

/* Computes the new state of row `old`. req->value may point to `value`. */
static nadb_rc update_fields(vtab *v, const columns *cols, const nadb_row *old,
                             nadb_put_req *req, nadb_value *value,
                             nadb_err *err) {
    nadb_rc rc = update_hidden(v, cols, old->key, err);

    req->keep = old;
    req->tags = old->tags;
    if (rc == NADB_OK && !untouched(cols, COL_TAGS)) {
        rc = parse_tags(v, cols, &req->tags, err);
    }
    if (rc == NADB_OK) rc = update_times(cols, old, req, err);
    if (rc == NADB_OK) {
        rc = update_expiry(v, cols, old, &req->expires_ms, err);
    }
    if (rc == NADB_OK && !untouched(cols, COL_VALUE)) {
        rc = value_from_sql(v->c, cols->at[COL_VALUE], value, err);
        req->value = value;
    }
    return rc;
}

static void note_read(columns *cols, const nadb_row *row) {
    cols->expires_ms = row->expires_ms;
    cols->updated_ms = row->updated_ms;
    cols->stored_size = (int64_t)row->stored.n;
}

static nadb_rc update_found(vtab *v, columns *cols, nadb_slice old_key,
                            nadb_put_req *req, nadb_err *err) {
    bool renamed = !nadb_slice_eq(old_key, req->key);
    nadb_value value;
    nadb_row old;
    bool found;
    bool changed = false;
    nadb_rc rc = NADB_OK;

    if (cols->from) {
        rc = nadb_get_before(v->s->core, old_key, v->read_moment, &old,
                             &changed, err);
        if (changed) note_read(cols, &old);
    }
    if (rc == NADB_OK) rc = nadb_get(v->s->core, old_key, &old, &found, err);
    /* The row expired, or an earlier row of this statement has replaced it. */
    if (rc != NADB_OK || !found) return rc;
    if (!changed) note_read(cols, &old);
    if (!renamed) req->mode = NADB_PUT_UPDATE;
    rc = update_fields(v, cols, &old, req, &value, err);
    if (rc == NADB_OK) rc = nadb_put(v->s->core, req, err);
    if (rc == NADB_OK && renamed) rc = nadb_delete(v->s->core, old_key, err);
    return rc;
}

/* UPDATE OR REPLACE may move a row to a key whose own row is still to be
 * updated. SQLite has already computed that row's new values, and would apply
 * them to the row that was moved there. For its own tables it computes them
 * again from the moved row, which a virtual table cannot do: so this is an
 * error. */
static nadb_rc check_moved(vtab *v, nadb_slice old_key, bool renamed,
                           nadb_err *err) {
    bool moved = false;
    char key[NADB_KEY_SHOWN];
    nadb_rc rc = NADB_OK;

    if (v->moved_moment != 0) {
        rc = nadb_put_since(v->s->core, old_key, v->moved_moment, &moved, err);
    } else if (renamed) {
        v->moved_moment = nadb_moment(v->s->core);
    }
    if (rc != NADB_OK || !moved) return rc;
    return nadb_fail(err, NADB_INVALID,
                     "UPDATE OR REPLACE has moved a row to key '%s' and then "
                     "comes to this key itself: DELETE the rows to be replaced "
                     "first, or move in two UPDATEs, first to keys that no row "
                     "has",
                     nadb_key_show(old_key, key));
}

static int change_row(vtab *v, sqlite3_value **argv) {
    columns cols = {.at = argv + 2, .from = true};
    int conflict = sqlite3_vtab_on_conflict(v->c->db);
    bool loud = conflict != SQLITE_IGNORE;
    nadb_put_req req = {0};
    nadb_slice old_key;
    bool taken = false;
    bool renamed;
    key_kind kind;
    nadb_err err;
    nadb_rc rc;

    for (int i = 0; i < COL_COUNT; i++) {
        if (untouched(&cols, i)) cols.from = false;
    }
    kind = key_from_sql(v->c, argv[0], &v->keys[0], &old_key);
    rc = key_check(kind, old_key, &err);
    if (rc != NADB_OK) return value_vtab_error(&v->base, &err);
    kind = key_from_sql(v->c, argv[1], &v->keys[1], &req.key);
    if (kind == KEY_NULL) return value_not_null_failed(v, loud);
    rc = key_check(kind, req.key, &err);
    renamed = rc == NADB_OK && !nadb_slice_eq(old_key, req.key);
    if (rc == NADB_OK && conflict == SQLITE_REPLACE) {
        rc = check_moved(v, old_key, renamed, &err);
    }
    if (rc == NADB_OK && renamed) {
        rc = decide_mode(v, conflict, &req, &taken, &err);
    }
    if (rc == NADB_OK && !taken) {
        rc = update_found(v, &cols, old_key, &req, &err);
    }
    if (rc != NADB_OK) return value_vtab_error(&v->base, &err);
    return taken ? value_unique_failed(v, loud) : SQLITE_OK;
}

/* --- DELETE --- */

static int delete_row(vtab *v, sqlite3_value *key_value) {
    nadb_slice key;
    nadb_err err;
    key_kind kind = key_from_sql(v->c, key_value, &v->keys[0], &key);
    nadb_rc rc = key_check(kind, key, &err);

    if (rc == NADB_OK) rc = nadb_delete(v->s->core, key, &err);
    return rc == NADB_OK ? SQLITE_OK : value_vtab_error(&v->base, &err);
}

/* --- xUpdate --- */

static int write_row(vtab *v, int argc, sqlite3_value **argv) {
    if (argc == 1) return delete_row(v, argv[0]);
    if (sqlite3_value_type(argv[0]) != SQLITE_NULL) return change_row(v, argv);
    return insert_row(v, argv);
}

int update_row(sqlite3_vtab *base, int argc, sqlite3_value **argv,
               sqlite3_int64 *rowid) {
    vtab *v = (vtab *)base;
    nadb_err err;
    int code;

    if (quirk_is_tripped(v->c)) return SQLITE_ABORT_ROLLBACK;
    if (v->phase == PHASE_SYNCED) {
        if (txn_go_on(v, &err) != NADB_OK) return value_vtab_error(base, &err);
    } else if (v->phase == PHASE_IDLE) {
        /* A table that this transaction has created gets no xBegin. Any other
         * table had it: a function that the statement calls has run ROLLBACK or
         * COMMIT since. */
        if (!v->creator) return SQLITE_ABORT_ROLLBACK;
        if (txn_join(v, &err) != NADB_OK) return value_vtab_error(base, &err);
    }
    if (argc > 1 && sqlite3_value_type(argv[0]) == SQLITE_NULL) {
        /* There are no rowids, so last_insert_rowid() must not change. */
        *rowid = sqlite3_last_insert_rowid(v->c->db);
    }
    if (v->c->command != NULL) {
        return command_update(v, v->c->command, argc, argv);
    }
    code = write_row(v, argc, argv);
    if (code == SQLITE_OK) job_wrote(v, argc, argv);
    return code;
}
