/* func_repair.c - nadb_check and nadb_repair.
 *
 * nadb_repair needs a store that is not open anywhere, so the table closes its
 * store meanwhile and opens the new one at its next use. */
#include "func.h"

typedef struct problems {
    nadb_buf text; /* lines, or JSON strings */
    unsigned n;
    bool json;
    bool nomem;
} problems;

static bool append(nadb_buf *b, const char *text) {
    return nadb_buf_append(b, text, strlen(text));
}

static bool append_json(nadb_buf *b, const char *text) {
    return nadb_json_text(b, nadb_slice_str(text));
}

static void add_problem(void *ctx, const char *what) {
    problems *p = ctx;

    if (p->n++ > 0 && !nadb_buf_byte(&p->text, p->json ? ',' : '\n'))
        p->nomem = true;
    if (!(p->json ? append_json : append)(&p->text, what)) p->nomem = true;
}

/* nadb_check(t) */
nadb_rc func_check(call *k, nadb_err *err) {
    problems found = {.text = NADB_BUF_INIT};
    nadb_rc rc = func_open_table(k, err);

    if (rc == NADB_OK) {
        job_expect_store(k->v, 1, true);
        rc = nadb_store_check(k->v->s->store, add_problem, &found, err);
    }
    if (rc == NADB_OK && found.n == 0) found.nomem = !append(&found.text, "ok");
    if (rc == NADB_OK && found.nomem)
        rc = nadb_fail(err, NADB_NOMEM, "out of memory");
    if (rc == NADB_OK)
        value_text_to_sql(k->ctx, nadb_buf_slice(&found.text), false);
    nadb_buf_clear(&found.text);
    return rc;
}

/* --- nadb_repair --- */

/* Lists of JSON strings; lost keys up to a readable number. */
#define KEYS_MOST 1000u

typedef struct listing {
    problems faults, keys;
} listing;

static void add_fault(void *ctx, const char *what) {
    add_problem(&((listing *)ctx)->faults, what);
}

static void add_key(void *ctx, const char *key) {
    problems *keys = &((listing *)ctx)->keys;

    if (keys->n < KEYS_MOST) add_problem(keys, key);
}

static void pick_count(void *ctx, const char *name, double value) {
    if (strcmp(name, "count") == 0) *(int64_t *)ctx = (int64_t)value;
}

/* True if the table's store opens and nadb_check finds nothing. */
static bool is_sound(call *k, nadb_repaired *out) {
    problems found = {.text = NADB_BUF_INIT};
    nadb_err why; /* ignored: the repair finds the faults itself */
    nadb_rc rc;

    nadb_err_clear(&why);
    rc = vtab_open(k->v, &why);
    if (rc == NADB_OK)
        rc = nadb_store_check(k->v->s->store, add_problem, &found, &why);
    if (rc == NADB_OK && found.n == 0)
        rc = nadb_store_stats(k->v->s->store, pick_count, &out->rows, &why);
    nadb_buf_clear(&found.text);
    return rc == NADB_OK && found.n == 0;
}

/* Makes the table close its store. */
static nadb_rc let_go(vtab *v, nadb_err *err) {
    nadb_rc rc;

    if (v->s == NULL) return NADB_OK;
    rc = conn_leave_alone(v, err);
    if (rc == NADB_OK && v->n_open > 0)
        rc = nadb_fail(err, NADB_LOCKED,
                       "a statement of this connection still reads the table");
    if (rc != NADB_OK) return rc;
    vcursor_free_spare(v);
    conn_detach(v);
    return NADB_OK;
}

static nadb_rc repair(call *k, listing *l, nadb_repaired *out, nadb_err *err) {
    nadb_repair_listener to = {
        l, add_fault, add_key, {quirk_interrupted, k->db}};
    uint64_t stamp = 0;
    nadb_rc rc = file_number(k->v, &stamp, err);

    if (rc == NADB_OK) rc = let_go(k->v, err);
    if (rc == NADB_OK)
        rc = nadb_store_repair(k->v->options, stamp, &to, out, err);
    /* Sets the file's stamp to that of the new store. */
    if (rc == NADB_OK) rc = vtab_open(k->v, err);
    if (rc == NADB_OK && file_owns(k->v)) rc = file_accept(k->v, err);
    return rc;
}

static nadb_rc result_repaired(call *k, const listing *l,
                               const nadb_repaired *out, nadb_err *err) {
    nadb_buf b = NADB_BUF_INIT;
    char *head = sqlite3_mprintf(
        "{\"rows\":%lld,\"lost\":%lld,\"finished\":%s,\"aside\":",
        (long long)out->rows, (long long)out->lost,
        out->finished ? "true" : "false");
    bool ok = head != NULL && append(&b, head) &&
              (out->aside == NULL ? append(&b, "null")
                                  : append_json(&b, out->aside)) &&
              append(&b, ",\"faults\":[") &&
              nadb_buf_append(&b, l->faults.text.p, l->faults.text.n) &&
              append(&b, "],\"keys\":[") &&
              nadb_buf_append(&b, l->keys.text.p, l->keys.text.n) &&
              append(&b, "]}") && !l->faults.nomem && !l->keys.nomem;

    if (ok) value_text_to_sql(k->ctx, nadb_buf_slice(&b), false);
    sqlite3_free(head);
    nadb_buf_clear(&b);
    return ok ? NADB_OK : nadb_fail(err, NADB_NOMEM, "out of memory");
}

/* Finds the table and asks for DELETE; its store may be damaged. */
static nadb_rc find_table(call *k, nadb_err *err) {
    const char *name = value_name(k->argv[0]);
    sqlite3_stmt *stmt = NULL;
    nadb_rc rc = func_find_table(k, err);

    if (rc == NADB_OK)
        rc = conn_prepare(k->c, "DELETE FROM", name, "", &stmt, &k->v, err);
    func_pin(k, stmt);
    if (rc != NADB_OK) return rc;
    if (k->v->options == NULL)
        return nadb_fail(err, k->v->fault->rc, "%s", k->v->fault->msg);
    rc = vtab_writable(k->v, err);
    if (rc == NADB_OK) rc = func_check_writable(k, err);
    if (rc == NADB_OK) rc = file_find(k->v, err);
    if (rc != NADB_OK) return rc;
    return func_alone(k, "a repair cannot be rolled back", err);
}

/* nadb_repair(path, db, namespace): if no table can be declared for it */
static nadb_rc repair_place(call *k, listing *l, nadb_repaired *out,
                            nadb_err *err) {
    nadb_repair_listener to = {
        l, add_fault, add_key, {quirk_interrupted, k->db}};
    const char *path = NULL, *db = func_text(k, 1), *ns = func_text(k, 2);
    nadb_options *o = NULL;
    nadb_rc rc = value_path(k->argv[0], &path, err);

    if (rc == NADB_OK && (db == NULL || ns == NULL || *db == 0 || *ns == 0))
        rc = nadb_fail(err, NADB_INVALID,
                       "the names of db and namespace are missing");
    if (rc == NADB_OK) rc = func_check_writable(k, err);
    if (rc == NADB_OK) rc = nadb_options_for_place(path, db, ns, &o, err);
    if (rc == NADB_OK) rc = nadb_store_repair(o, 0, &to, out, err);
    nadb_options_free(o);
    return rc;
}

/* nadb_repair(t): what was saved and what was lost, as JSON */
nadb_rc func_repair(call *k, nadb_err *err) {
    listing l = {.faults = {.json = true}, .keys = {.json = true}};
    nadb_repaired out = {0};
    nadb_rc rc;

    if (k->argc == 3) {
        rc = repair_place(k, &l, &out, err);
    } else {
        rc = find_table(k, err);
        if (rc == NADB_OK && !is_sound(k, &out)) rc = repair(k, &l, &out, err);
    }
    if (rc == NADB_OK) rc = result_repaired(k, &l, &out, err);
    nadb_free(out.aside);
    nadb_buf_clear(&l.faults.text);
    nadb_buf_clear(&l.keys.text);
    return rc;
}
