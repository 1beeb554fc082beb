/* pop.c - nadb_pop: removes a row and returns it, as a function that returns
 * its value, and as a table-valued function that returns the whole row:
 *
 *   SELECT nadb_pop('kv', 'job');
 *   SELECT value, tags FROM nadb_pop('kv', 'job');
 *
 * The second returns no row if there was none, so a missing row and the value
 * NULL can be told apart. It takes the row when SQLite begins to read it, each
 * time that it begins; in a join that is for each row before it.
 *
 * In autocommit the row is deleted for good when it is returned. So the result
 * is made before the row is deleted, in memory that SQLite takes over without a
 * copy: nothing that can fail comes after the delete. */
#include "eponymous.h"
#include "func.h"

/* --- the row that was taken --- */

/* Bytes with several owners: this file, and each value that SQLite holds. */
typedef struct shared {
    size_t refs;
    char bytes[];
} shared;

static void shared_release(void *bytes) {
    shared *s;

    if (bytes == NULL) return;
    s = (shared *)(void *)((char *)bytes - offsetof(shared, bytes));
    if (--s->refs == 0) sqlite3_free(s);
}

typedef struct popped {
    bool found;
    nadb_value value; /* its bytes are in a `shared` */
    nadb_buf key, tags;
    uint64_t size;
    int64_t created_ms, updated_ms, expires_ms, now_ms;
} popped;

static void popped_clear(popped *p) {
    shared_release((void *)(uintptr_t)p->value.bytes.p);
    nadb_buf_clear(&p->key);
    nadb_buf_clear(&p->tags);
    memset(p, 0, sizeof *p);
}

/* Copies the bytes of the value into a `shared`. */
static nadb_rc own_bytes(const vtab *v, nadb_value *value, nadb_err *err) {
    size_t n = value->bytes.n;
    int most = sqlite3_limit(v->c->db, SQLITE_LIMIT_LENGTH, -1);
    shared *s;

    if (n > (size_t)most) {
        return nadb_fail(err, NADB_TOOBIG,
                         "the value has %zu bytes, and this connection takes "
                         "%d (SQLITE_LIMIT_LENGTH): the row stays",
                         n, most);
    }
    s = sqlite3_malloc64(sizeof *s + n + 1);
    if (s == NULL) return nadb_fail(err, NADB_NOMEM, "out of memory");
    s->refs = 1;
    if (n > 0) memcpy(s->bytes, value->bytes.p, n);
    s->bytes[n] = 0;
    value->bytes = nadb_slice_of(s->bytes, n);
    return NADB_OK;
}

/* `hidden`: the value must not be returned. */
static nadb_rc remember(vtab *v, const lookup *l, bool hidden, popped *p,
                        nadb_err *err) {
    const nadb_row *row = l->row;
    nadb_value value = {.type = NADB_NULL};
    nadb_rc rc = NADB_OK;

    if (!hidden) rc = nadb_cursor_value(l->c, &value, NULL, err);
    if (rc == NADB_OK && (value.type == NADB_TEXT || value.type == NADB_BLOB)) {
        rc = own_bytes(v, &value, err);
    }
    if (rc != NADB_OK) return rc;
    p->value = value;
    p->size = row->size;
    p->created_ms = row->created_ms;
    p->updated_ms = row->updated_ms;
    p->expires_ms = row->expires_ms;
    p->now_ms = nadb_cursor_now(l->c);
    if (!nadb_buf_append(&p->key, row->key.p, row->key.n) ||
        (row->tags.n > 0 && !nadb_tags_json(row->tags, &p->tags))) {
        return nadb_fail(err, NADB_NOMEM, "out of memory");
    }
    p->found = true;
    return NADB_OK;
}

typedef struct pop {
    nadb_slice key;
    popped *out;
} pop;

static nadb_rc pop_command(vtab *v, void *ctx, bool hidden, nadb_err *err) {
    pop *p = ctx;
    lookup l;
    nadb_rc rc = func_lookup(v, p->key, &l, err);

    popped_clear(p->out);
    if (rc == NADB_OK && l.row != NULL) {
        rc = remember(v, &l, hidden, p->out, err);
        if (rc == NADB_OK) rc = nadb_delete(v->s->core, p->key, err);
    }
    func_lookup_end(&l);
    return rc;
}

/* Takes the row of the call's arguments. The caller clears *out in any case. */
static nadb_rc take(call *k, command_which which, popped *out, nadb_err *err) {
    pop p = {.out = out};
    nadb_rc rc = func_key(k, &p.key, err);

    return rc == NADB_OK ? command_run(k, which, pop_command, &p, err) : rc;
}

static void result_value(sqlite3_context *ctx, popped *p) {
    const char *bytes = (const char *)p->value.bytes.p;
    shared *s;

    if (bytes == NULL) {
        value_to_sql(ctx, &p->value, false); /* a number or NULL */
        return;
    }
    s = (shared *)(void *)(uintptr_t)(bytes - offsetof(shared, bytes));
    s->refs++;
    if (p->value.type == NADB_TEXT) {
        sqlite3_result_text64(ctx, bytes, p->value.bytes.n, shared_release,
                              SQLITE_UTF8);
    } else {
        sqlite3_result_blob64(ctx, bytes, p->value.bytes.n, shared_release);
    }
}

/* --- the function --- */

nadb_rc func_pop(call *k, nadb_err *err) {
    popped row = {0};
    nadb_rc rc = take(k, COMMAND_POP, &row, err);

    if (rc == NADB_OK && row.found) result_value(k->ctx, &row);
    popped_clear(&row);
    return rc;
}

/* --- the table-valued function --- */

enum pop_column {
    POP_KEY,
    POP_VALUE,
    POP_TAGS,
    POP_TTL,
    POP_EXPIRES_AT,
    POP_CREATED_AT,
    POP_UPDATED_AT,
    POP_SIZE,
    POP_ARGUMENTS /* table, key */
};

typedef struct pop_cursor {
    eponymous_cursor base;
    popped row;
} pop_cursor;

static void pop_stop(eponymous_cursor *c) {
    popped_clear(&((pop_cursor *)c)->row);
}

static nadb_rc pop_start(eponymous_cursor *c, sqlite3_value **given,
                         nadb_err *err) {
    call k = {.c = c->c, .argc = 2, .argv = given, .db = c->c->db};
    nadb_rc rc;

    if (given[0] == NULL || given[1] == NULL)
        return nadb_fail(err, NADB_INVALID,
                         "nadb_pop needs a table and a key: SELECT * FROM "
                         "nadb_pop('kv', 'k')");
    rc = take(&k, COMMAND_POP_ROW, &((pop_cursor *)c)->row, err);
    func_pin(&k, NULL);
    nadb_buf_clear(&k.key_room);
    return rc;
}

static nadb_rc pop_next(eponymous_cursor *c, nadb_err *err) {
    (void)err;
    ((pop_cursor *)c)->row.found = false;
    return NADB_OK;
}

static bool pop_at_end(const eponymous_cursor *c) {
    return !((const pop_cursor *)c)->row.found;
}

static nadb_rc pop_column(eponymous_cursor *c, sqlite3_context *ctx, int i,
                          nadb_err *err) {
    popped *row = &((pop_cursor *)c)->row;
    bool mortal = row->expires_ms != NADB_NO_EXPIRY;

    (void)err;
    switch (i) {
    case POP_KEY:
        key_to_sql(ctx, nadb_buf_slice(&row->key), false);
        break;
    case POP_VALUE:
        result_value(ctx, row);
        break;
    case POP_TAGS:
        if (row->tags.n > 0)
            value_text_to_sql(ctx, nadb_buf_slice(&row->tags), false);
        break;
    case POP_TTL:
        if (mortal) value_time_to_sql(ctx, row->expires_ms - row->now_ms);
        break;
    case POP_EXPIRES_AT:
        if (mortal) value_time_to_sql(ctx, row->expires_ms);
        break;
    case POP_CREATED_AT:
        value_time_to_sql(ctx, row->created_ms);
        break;
    case POP_UPDATED_AT:
        value_time_to_sql(ctx, row->updated_ms);
        break;
    case POP_SIZE:
        sqlite3_result_int64(ctx, (int64_t)row->size);
        break;
    default:
        break;
    }
    return NADB_OK;
}

const eponymous pop_table = {
    .name = "nadb_pop",
    .declaration =
        "CREATE TABLE x(key TEXT, value, tags TEXT, ttl REAL, expires_at REAL,"
        " created_at REAL, updated_at REAL, size INTEGER,"
        " \"table\" HIDDEN, name HIDDEN)",
    .argument = POP_ARGUMENTS,
    .n_arguments = 2,
    .cost = 20,
    .rows = 1,
    .removes = true,
    .cursor_size = sizeof(pop_cursor),
    .start = pop_start,
    .next = pop_next,
    .at_end = pop_at_end,
    .column = pop_column,
    .stop = pop_stop,
};
