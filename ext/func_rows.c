/* func_rows.c - SQL functions that read or change single rows.
 *
 * Functions that change a row run as a command through the table (command.c):
 * in autocommit each call is a transaction of its own, otherwise it belongs to
 * the caller's. The command first reads the row with a cursor; in autocommit
 * that claims the key. Other writers of the key then wait, so the call neither
 * overwrites their change nor fails because of them.
 *
 * A key that no row can have (NULL, or too long) counts as missing. */
#include "func.h"

/* Rows that one transaction of nadb_purge_expired() deletes, and how often it
 * is repeated when another transaction changes the rows. */
#define PURGE_ROWS 5000u
#define PURGE_TRIES 10

/* --- arguments --- */

nadb_rc func_key(call *k, nadb_slice *key, nadb_err *err) {
    key_kind kind = key_from_sql(k->c, k->argv[1], &k->key_room, key);

    if (kind == KEY_NOMEM) {
        return nadb_fail(err, NADB_NOMEM, "out of memory");
    }
    if (kind == KEY_NULL || key->n > NADB_KEY_MAX) {
        *key = nadb_slice_of(NULL, 0);
    } else if (key->p == NULL) {
        *key = nadb_slice_of("", 0);
    }
    return NADB_OK;
}

/* Opens the table for reading a column of a row, and takes the key. */
static nadb_rc begin_to_read(call *k, const char *column, nadb_slice *key,
                             bool *hidden, nadb_err *err) {
    nadb_rc rc = func_open_to_read(k, column, hidden, err);

    return rc == NADB_OK ? func_key(k, key, err) : rc;
}

/* --- one row --- */

nadb_rc func_lookup(vtab *v, nadb_slice key, lookup *l, nadb_err *err) {
    nadb_rc rc;

    l->ss = v->s->core;
    l->c = NULL;
    l->row = NULL;
    l->entered = false;
    rc = txn_enter(v, err);
    if (rc != NADB_OK) return rc;
    l->entered = true;
    if (key.p == NULL) return NADB_OK;
    rc = nadb_cursor_new(l->ss, &l->c, err);
    if (rc == NADB_OK) rc = nadb_cursor_key(l->c, key, false, err);
    if (rc == NADB_OK) l->row = nadb_cursor_row(l->c);
    return rc;
}

void func_lookup_end(lookup *l) {
    nadb_cursor_free(l->c);
    if (l->entered) nadb_session_leave(l->ss);
}

/* A put that changes only updated_at. */
static nadb_put_req same_row(const nadb_row *row) {
    nadb_put_req req = {.key = row->key,
                        .mode = NADB_PUT_UPDATE,
                        .keep = row,
                        .tags = row->tags,
                        .created_ms = row->created_ms,
                        .updated_ms = INT64_MIN,
                        .expires_ms = row->expires_ms};

    return req;
}

/* --- nadb_ttl, nadb_tags: read only --- */

nadb_rc func_ttl(call *k, nadb_err *err) {
    lookup l;
    nadb_slice key;
    bool hidden;
    nadb_rc rc = begin_to_read(k, "ttl", &key, &hidden, err);

    if (rc != NADB_OK || hidden) return rc;
    rc = func_lookup(k->v, key, &l, err);
    if (l.row != NULL && l.row->expires_ms != NADB_NO_EXPIRY) {
        value_time_to_sql(k->ctx, l.row->expires_ms - nadb_cursor_now(l.c));
    }
    func_lookup_end(&l);
    return rc;
}

nadb_rc func_tags(call *k, nadb_err *err) {
    nadb_buf json = NADB_BUF_INIT;
    lookup l;
    nadb_slice key;
    bool hidden;
    nadb_rc rc = begin_to_read(k, "tags", &key, &hidden, err);

    if (rc != NADB_OK || hidden) return rc;
    rc = func_lookup(k->v, key, &l, err);
    if (l.row != NULL && l.row->tags.n > 0) {
        if (nadb_tags_json(l.row->tags, &json)) {
            value_text_to_sql(k->ctx, nadb_buf_slice(&json), false);
        } else {
            rc = nadb_fail(err, NADB_NOMEM, "out of memory");
        }
    }
    nadb_buf_clear(&json);
    func_lookup_end(&l);
    return rc;
}

/* --- nadb_set_ttl --- */

typedef struct set_ttl {
    nadb_slice key;
    int64_t expires_ms;
    bool found;
} set_ttl;

static nadb_rc set_ttl_command(vtab *v, void *ctx, bool hidden, nadb_err *err) {
    set_ttl *s = ctx;
    lookup l;
    nadb_rc rc = func_lookup(v, s->key, &l, err);

    (void)hidden;
    s->found = l.row != NULL;
    if (rc == NADB_OK && s->found) {
        nadb_put_req req = same_row(l.row);

        req.expires_ms = s->expires_ms;
        rc = nadb_put(v->s->core, &req, err);
    }
    func_lookup_end(&l);
    return rc;
}

nadb_rc func_set_ttl(call *k, nadb_err *err) {
    set_ttl s = {.expires_ms = NADB_NO_EXPIRY};
    nadb_rc rc = func_key(k, &s.key, err);

    if (rc == NADB_OK && sqlite3_value_type(k->argv[2]) != SQLITE_NULL) {
        rc = value_ttl(k->argv[2], nadb_now_ms(), &s.expires_ms, err);
    }
    if (rc == NADB_OK)
        rc = command_run(k, COMMAND_TTL, set_ttl_command, &s, err);
    if (rc == NADB_OK) sqlite3_result_int(k->ctx, s.found);
    return rc;
}

/* --- nadb_tag, nadb_untag --- */

typedef struct retag {
    nadb_slice key;
    nadb_slice *tags; /* the arguments */
    size_t n;
    bool add;
    size_t changed;
} retag;

static nadb_rc retag_command(vtab *v, void *ctx, bool hidden, nadb_err *err) {
    retag *r = ctx;
    lookup l;
    nadb_rc rc = func_lookup(v, r->key, &l, err);

    (void)hidden;
    r->changed = 0;
    nadb_buf_reset(&v->tags);
    /* The tags are checked even if there is no row. */
    if (rc == NADB_OK) {
        rc = nadb_tags_change(
            l.row == NULL ? nadb_slice_of(NULL, 0) : l.row->tags, r->tags, r->n,
            r->add, &v->tags, &r->changed, err);
    }
    if (l.row == NULL) r->changed = 0;
    if (rc == NADB_OK && r->changed > 0) {
        nadb_put_req req = same_row(l.row);

        req.tags = nadb_buf_slice(&v->tags);
        rc = nadb_put(v->s->core, &req, err);
    }
    func_lookup_end(&l);
    return rc;
}

/* True if the argument is a whole JSON list, as column tags takes it. */
static bool is_tag_list(nadb_slice tag) {
    nadb_buf list = NADB_BUF_INIT;
    bool answer = tag.n > 0 && tag.p[0] == '[' &&
                  nadb_tags_parse(tag, &list, NULL) == NADB_OK;

    nadb_buf_clear(&list);
    return answer;
}

static nadb_rc tag_arg(const call *k, int i, char digits[KEY_DIGITS],
                       nadb_slice *tag, nadb_err *err) {
    switch (key_tag_from_sql(k->c, k->argv[i], digits, tag)) {
    case KEY_GIVEN:
        if (!is_tag_list(*tag)) return NADB_OK;
        return nadb_fail(err, NADB_INVALID,
                         "give each tag as an argument of its own, as in "
                         "(table, key, 'a', 'b'); a JSON array is what UPDATE "
                         ".. SET tags takes");
    case KEY_NOMEM:
        return nadb_fail(err, NADB_NOMEM, "out of memory");
    case KEY_NULL:
        break;
    }
    return nadb_fail(err, NADB_INVALID, "a tag is a text, not NULL or a BLOB");
}

static nadb_rc change_tags(call *k, bool add, nadb_err *err) {
    retag r = {.add = add};
    char(*digits)[KEY_DIGITS] = NULL; /* one per argument */
    nadb_rc rc;

    if (k->argc < 3) {
        return nadb_fail(err, NADB_INVALID,
                         "it takes a table, a key, and the tags, one or more");
    }
    r.tags = nadb_calloc((size_t)k->argc, sizeof *r.tags);
    digits = nadb_calloc((size_t)k->argc, sizeof *digits);
    rc = r.tags == NULL || digits == NULL
             ? nadb_fail(err, NADB_NOMEM, "out of memory")
             : func_key(k, &r.key, err);
    for (int i = 2; i < k->argc && rc == NADB_OK; i++) {
        rc = tag_arg(k, i, digits[i], &r.tags[r.n++], err);
    }
    if (rc == NADB_OK)
        rc = command_run(k, COMMAND_TAGS, retag_command, &r, err);
    if (rc == NADB_OK) sqlite3_result_int64(k->ctx, (int64_t)r.changed);
    nadb_free(digits);
    nadb_free(r.tags);
    return rc;
}

nadb_rc func_tag(call *k, nadb_err *err) { return change_tags(k, true, err); }

nadb_rc func_untag(call *k, nadb_err *err) {
    return change_tags(k, false, err);
}

/* --- nadb_incr --- */

typedef struct incr {
    nadb_slice key;
    int64_t by;
    int64_t from;       /* start value of a missing key */
    bool only_present;  /* do not add a missing key */
    bool ttl_given;     /* otherwise the table's default applies */
    int64_t expires_ms; /* of a new row */
    int64_t result;
    bool done;
} incr;

/* Adds to the row's value. */
static nadb_rc add_to(const lookup *l, incr *i, nadb_err *err) {
    nadb_value value;
    int64_t from = i->from;
    char key[NADB_KEY_SHOWN];
    nadb_rc rc = NADB_OK;

    if (l->row != NULL) {
        rc = nadb_cursor_value(l->c, &value, NULL, err);
        if (rc != NADB_OK) return rc;
        if (!value_is_integer(&value, &from)) {
            return nadb_fail(
                err, NADB_INVALID,
                "the value of key '%s' is not an integer of 64 bits",
                nadb_key_show(i->key, key));
        }
    }
    if (__builtin_add_overflow(from, i->by, &i->result)) {
        return nadb_fail(err, NADB_INVALID,
                         "integer overflow: %lld + %lld is beyond 64 bits",
                         (long long)from, (long long)i->by);
    }
    return NADB_OK;
}

static nadb_rc incr_command(vtab *v, void *ctx, bool hidden, nadb_err *err) {
    incr *i = ctx;
    nadb_value value = {.type = NADB_INTEGER};
    lookup l;
    nadb_rc rc = func_lookup(v, i->key, &l, err);

    (void)hidden;
    i->done = l.row != NULL || !i->only_present;
    if (rc == NADB_OK && i->done) rc = add_to(&l, i, err);
    if (rc == NADB_OK && i->done && l.row == NULL)
        rc = command_may_insert(v, err);
    if (rc == NADB_OK && i->done) {
        /* UPDATE even for a new row: if another transaction inserts it first,
         * the result is a conflict, not a duplicate key. */
        nadb_put_req req = {.key = i->key,
                            .mode = NADB_PUT_UPDATE,
                            .created_ms = INT64_MIN,
                            .updated_ms = INT64_MIN,
                            .expires_ms = i->expires_ms};

        if (l.row != NULL) {
            req = same_row(l.row);
        } else if (!i->ttl_given && v->options->default_ttl_ms > 0) {
            req.expires_ms = nadb_now_ms() + v->options->default_ttl_ms;
        }
        value.i = i->result;
        req.value = &value;
        rc = nadb_put(v->s->core, &req, err);
        i->done = rc == NADB_OK;
    }
    func_lookup_end(&l);
    return rc;
}

static nadb_rc incr_key(call *k, nadb_slice *key, nadb_err *err) {
    if (sqlite3_value_type(k->argv[1]) == SQLITE_NULL) {
        return nadb_fail(err, NADB_INVALID, "the key is NULL");
    }
    return key_check(key_from_sql(k->c, k->argv[1], &k->key_room, key), *key,
                     err);
}

/* Takes from the last two arguments what a missing key becomes. */
static nadb_rc incr_new_row(const call *k, incr *i, nadb_err *err) {
    if (k->argc > 3) {
        i->only_present = sqlite3_value_type(k->argv[3]) == SQLITE_NULL;
        if (!i->only_present && !value_integer(k->argv[3], &i->from)) {
            return nadb_fail(err, NADB_INVALID,
                             "the default must be an integer, or NULL: then a "
                             "missing key stays missing");
        }
    }
    if (k->argc > 4 && sqlite3_value_type(k->argv[4]) != SQLITE_NULL) {
        i->ttl_given = true;
        return value_ttl(k->argv[4], nadb_now_ms(), &i->expires_ms, err);
    }
    return NADB_OK;
}

nadb_rc func_incr(call *k, nadb_err *err) {
    incr i = {.by = 1, .expires_ms = NADB_NO_EXPIRY};
    nadb_rc rc = incr_key(k, &i.key, err);

    if (rc == NADB_OK && k->argc > 2 && !value_integer(k->argv[2], &i.by)) {
        rc = nadb_fail(err, NADB_INVALID, "what to add must be an integer");
    }
    if (rc == NADB_OK) rc = incr_new_row(k, &i, err);
    if (rc == NADB_OK)
        rc = command_run(k, COMMAND_VALUE, incr_command, &i, err);
    if (rc == NADB_OK && i.done) sqlite3_result_int64(k->ctx, i.result);
    return rc;
}

/* --- nadb_purge_expired --- */

typedef struct purge {
    int64_t removed; /* in this round */
    bool more;
} purge;

static nadb_rc purge_command(vtab *v, void *ctx, bool hidden, nadb_err *err) {
    purge *p = ctx;

    (void)hidden;
    p->removed = 0;
    return nadb_purge_expired(v->s->core, PURGE_ROWS, &p->removed, &p->more,
                              err);
}

/* One round, with an object that SQLite may have made again meanwhile. A round
 * that conflicts with a writer of the same rows is repeated, since the rows may
 * no longer be expired. */
static nadb_rc purge_round(call *k, purge *p, nadb_err *err) {
    nadb_rc rc = NADB_CONFLICT;

    for (int i = 0; i < PURGE_TRIES && rc == NADB_CONFLICT; i++) {
        rc = command_run(k, COMMAND_DELETE, purge_command, p, err);
        if (sqlite3_get_autocommit(k->db) == 0) break;
    }
    return rc;
}

/* In autocommit each round is committed. */
nadb_rc func_purge_expired(call *k, nadb_err *err) {
    purge p = {.removed = 0};
    int64_t removed = 0;
    nadb_rc rc;

    do {
        rc = purge_round(k, &p, err);
        removed += p.removed;
    } while (rc == NADB_OK && p.more);
    if (rc == NADB_OK) sqlite3_result_int64(k->ctx, removed);
    return rc;
}
