/* cursor.c - SQL cursors: xOpen, xFilter, xNext, xColumn.
 *
 * The lookup of one key is the hot path: xOpen takes a used cursor from the
 * table's list, xFilter passes the key to the core, xColumn returns the value
 * where it lies. It never calls sqlite3_malloc(), whose statistics mutex is
 * shared by all threads, and calls malloc() only for a new cursor.
 *
 * From xOpen to xClose the cursor counts as a reader of its session. That keeps
 * one snapshot for the statement, and keeps bytes valid that SQLite holds as
 * SQLITE_STATIC: it holds them beyond xNext, xFilter and even xClose (a one-row
 * UPDATE closes the cursor before xUpdate). */
#include "cursor.h"
#include "sqlite_quirks.h"

#define SPARE_MAX 8u

int vcursor_failed(vcursor *c, const nadb_err *err) {
    c->row = NULL;
    return value_vtab_error(&c->v->base, err);
}

static nadb_rc no_memory(nadb_err *err) {
    return nadb_fail(err, NADB_NOMEM, "out of memory");
}

static void tag_misused(nadb_err *err) {
    (void)nadb_fail(err, NADB_INVALID,
                    "column tag is only a filter, as in tag = 'x' AND ..; "
                    "inside OR, NOT and other expressions use tags MATCH");
}

/* Column tag was read last, and not by an UPDATE .. FROM. */
static int tag_failed(vcursor *c) {
    nadb_err err;

    c->tag_read = false;
    tag_misused(&err);
    return vcursor_failed(c, &err);
}

/* --- open, close --- */

static void vcursor_free(vcursor *c) {
    nadb_cursor_free(c->core);
    filter_clear(c);
    nadb_free(c);
}

static nadb_rc vcursor_new(vtab *v, vcursor **out, nadb_err *err) {
    vcursor *c = nadb_calloc(1, sizeof *c);
    nadb_rc rc;

    *out = NULL;
    if (c == NULL) return no_memory(err);
    c->v = v;
    rc = nadb_cursor_new(v->s->core, &c->core, err);
    if (rc != NADB_OK) {
        nadb_free(c);
        return rc;
    }
    *out = c;
    return NADB_OK;
}

int vcursor_open(sqlite3_vtab *base, sqlite3_vtab_cursor **out) {
    vtab *v = (vtab *)base;
    vcursor *c;
    nadb_err err;

    if (txn_enter(v, &err) != NADB_OK) return value_vtab_error(base, &err);
    c = v->spare;
    if (c != NULL) {
        v->spare = c->next;
        v->n_spare--;
    } else if (vcursor_new(v, &c, &err) != NADB_OK) {
        nadb_session_leave(v->s->core);
        return value_vtab_error(base, &err);
    }
    c->row = NULL;
    c->tag_read = false;
    if (v->c->command == NULL) { /* it may run inside another statement */
        if (v->n_open == 0) v->read_from_ms = v->accessed_from_ms = 0;
        /* all cursors of a statement are opened before its first change */
        v->moved_moment = 0;
    }
    v->n_open++;
    v->seen.stmt = NULL; /* planning has ended */
    *out = &c->base;
    return SQLITE_OK;
}

int vcursor_close(sqlite3_vtab_cursor *base) {
    vcursor *c = (vcursor *)base;
    vtab *v = c->v;

    nadb_cursor_close(c->core);
    nadb_session_leave(v->s->core);
    v->n_open--;
    if (v->n_spare < SPARE_MAX) {
        c->next = v->spare;
        v->spare = c;
        v->n_spare++;
    } else {
        vcursor_free(c);
    }
    if (v->gone) vtab_let_go(v);
    return SQLITE_OK;
}

void vcursor_free_spare(vtab *v) {
    while (v->spare != NULL) {
        vcursor *c = v->spare;

        v->spare = c->next;
        vcursor_free(c);
    }
    v->n_spare = 0;
}

/* --- walking --- */

int vcursor_filter(sqlite3_vtab_cursor *base, int plan, const char *text,
                   int argc, sqlite3_value **argv) {
    vcursor *c = (vcursor *)base;
    nadb_slice key;
    nadb_err err;

    (void)text; /* only for EXPLAIN QUERY PLAN */
    if (c->tag_read) return tag_failed(c);
    c->plan = plan;
    if (c->v->c->command != NULL) {
        c->single = true;
        c->row = command_filter();
        return SQLITE_OK;
    }
    if (plan >> PLAN_ARG_SHIFT != ARG_KEY_TEXT &&
        (plan >> PLAN_ARG_SHIFT != ARG_KEY_EQ ||
         filter_is_column_number(argv[0]))) {
        return filter_any(c, argc, argv);
    }

    c->single = true;
    c->row = NULL;
    switch (key_from_sql(c->v->c, argv[0], &c->key_room, &key)) {
    case KEY_GIVEN:
        break;
    case KEY_NOMEM:
        (void)no_memory(&err);
        return vcursor_failed(c, &err);
    case KEY_NULL:
        return SQLITE_OK; /* NULL equals nothing */
    }
    if (key.n > NADB_KEY_MAX) return SQLITE_OK;
    if (nadb_cursor_key(c->core, key, (plan & PLAN_KEY_ONLY) != 0, &err) !=
        NADB_OK) {
        return vcursor_failed(c, &err);
    }
    c->row = nadb_cursor_row(c->core);
    return SQLITE_OK;
}

int vcursor_next(sqlite3_vtab_cursor *base) {
    vcursor *c = (vcursor *)base;
    nadb_err err;

    if (c->tag_read) return tag_failed(c);
    if (c->single) {
        c->row = NULL;
        return SQLITE_OK;
    }
    if (nadb_cursor_next(c->core, &err) != NADB_OK)
        return vcursor_failed(c, &err);
    if (!c->check_tags && !c->check_number && c->parts == 0) {
        c->row = nadb_cursor_row(c->core);
    } else if (filter_settle(c, &err) != NADB_OK) {
        return vcursor_failed(c, &err);
    }
    return SQLITE_OK;
}

int vcursor_eof(sqlite3_vtab_cursor *base) {
    return ((vcursor *)base)->row == NULL;
}

/* --- columns --- */

static int column_error(sqlite3_context *ctx, const nadb_err *err) {
    sqlite3_result_error(ctx, err->msg, -1);
    sqlite3_result_error_code(ctx, value_code(err->rc));
    return value_code(err->rc);
}

/* Called only if the term on `tag` could not be passed to xFilter. */
static int column_tag(vcursor *c, sqlite3_context *ctx) {
    nadb_err err;

    c->v->read_moment = nadb_moment(c->v->s->core);
    if ((c->plan & PLAN_TAG_USED) == 0) return SQLITE_OK;
    if (quirk_reads_all(c->v, c->plan, c->last_column)) {
        c->tag_read = true;
        return SQLITE_OK;
    }
    tag_misused(&err);
    return column_error(ctx, &err);
}

static int column_ttl(vcursor *c, sqlite3_context *ctx) {
    c->v->read_ms = nadb_cursor_now(c->core);
    if (c->v->read_from_ms == 0) c->v->read_from_ms = c->v->read_ms;
    value_time_to_sql(ctx, c->row->expires_ms - c->v->read_ms);
    return SQLITE_OK;
}

static int column_accessed(vcursor *c, sqlite3_context *ctx) {
    int64_t ms = 0;
    bool known;
    nadb_err err;

    if (nadb_cursor_accessed(c->core, &ms, &known, &err) != NADB_OK) {
        return vcursor_failed(c, &err);
    }
    if (!known) return SQLITE_OK;
    if (c->v->accessed_from_ms == 0) c->v->accessed_ms = ms;
    if (c->v->accessed_from_ms == 0 || ms < c->v->accessed_from_ms)
        c->v->accessed_from_ms = ms;
    if (ms > c->v->accessed_ms) c->v->accessed_ms = ms;
    value_time_to_sql(ctx, ms);
    return SQLITE_OK;
}

int vcursor_column(sqlite3_vtab_cursor *base, sqlite3_context *ctx, int i) {
    vcursor *c = (vcursor *)base;
    const nadb_row *row = c->row;
    nadb_err err;
    bool mortal;

    if (c->tag_read && i != COL_STORED_SIZE) {
        c->tag_read = false;
        tag_misused(&err);
        return column_error(ctx, &err);
    }
    c->tag_read = false;
    /* The key is returned even under nochange, because it identifies the
     * row. */
    if (i != COL_KEY && sqlite3_vtab_nochange(ctx)) return SQLITE_OK;
    if (command_is_row(row)) {
        command_column(c->v->c->command, ctx, i);
        return SQLITE_OK;
    }
    if (is_key_column(i) && !row->stale) {
        key_to_sql(ctx, row->key, row->key_pinned);
        return SQLITE_OK;
    }
    if (i != COL_TAG && !is_key_column(i)) c->last_column = i;
    if (nadb_cursor_load(c->core, &err) != NADB_OK) {
        return vcursor_failed(c, &err);
    }
    /* the row was deleted meanwhile */
    if (nadb_cursor_row(c->core) == NULL) return SQLITE_OK;
    mortal = row->expires_ms != NADB_NO_EXPIRY;
    switch (i) {
    case COL_TTL:
        return mortal ? column_ttl(c, ctx) : SQLITE_OK;
    case COL_TAG:
        return column_tag(c, ctx);
    case COL_STORED_SIZE:
        sqlite3_result_int64(ctx, (int64_t)row->stored.n);
        return SQLITE_OK;
    case COL_ACCESSED_AT:
        return column_accessed(c, ctx);
    default:
        break;
    }
    if (value_column_to_sql(ctx, c->core,
                            is_key_column(i) ? COL_KEY : (enum column)i, true,
                            &c->scratch, &err) != NADB_OK) {
        return vcursor_failed(c, &err);
    }
    return SQLITE_OK;
}
