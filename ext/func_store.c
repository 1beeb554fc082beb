/* func_store.c - SQL functions on a whole store: nadb_compact, nadb_reindex,
 * nadb_cache_clear, nadb_clear_db. They see committed rows only. */
#include "func.h"

static int64_t mono_ms(void) { return nadb_os_get()->mono_ns() / 1000000; }

static nadb_rc no_memory(nadb_err *err) {
    return nadb_fail(err, NADB_NOMEM, "out of memory");
}

/* --- nadb_compact --- */

/* Two numbers of nadb_stats. */
typedef struct sizes {
    double files, bytes;
} sizes;

static void pick_size(void *ctx, const char *name, double value) {
    sizes *s = ctx;

    if (strcmp(name, "files") == 0) s->files = value;
    if (strcmp(name, "stored_bytes") == 0) s->bytes = value;
}

static nadb_rc result_compact(call *k, const sizes *before, const sizes *after,
                              int64_t ms, const nadb_recompressed *n,
                              nadb_err *err) {
    char *counts = NULL, *json = NULL;

    if (n == NULL)
        counts = sqlite3_mprintf("");
    else
        counts =
            sqlite3_mprintf(",\"compressed\":%lld,\"already_compressed\":%lld,"
                            "\"not_compressible\":%lld,\"too_small\":%lld,"
                            "\"missing\":%lld,\"errors\":%lld",
                            (long long)n->compressed, (long long)n->already,
                            (long long)n->not_smaller, (long long)n->too_small,
                            (long long)n->missing, (long long)n->errors);
    if (counts != NULL)
        json = sqlite3_mprintf("{\"files_before\":%.0f,\"files_after\":%.0f,"
                               "\"bytes_before\":%.0f,\"bytes_after\":%.0f,"
                               "\"ms\":%lld%s}",
                               before->files, after->files, before->bytes,
                               after->bytes, (long long)ms, counts);
    sqlite3_free(counts);
    if (json == NULL) return no_memory(err);
    sqlite3_result_text(k->ctx, json, -1, sqlite3_free);
    return NADB_OK;
}

/* nadb_compact(t [, 'recompress']) */
nadb_rc func_compact(call *k, nadb_err *err) {
    sizes before = {0, 0}, after = {0, 0};
    int64_t start = mono_ms();
    nadb_recompressed n;
    nadb_store *store;
    bool again = false;
    nadb_rc rc = func_word(k, 1, "recompress", &again, err);

    if (rc == NADB_OK) rc = func_open_table(k, err);
    if (rc == NADB_OK) rc = vtab_writable(k->v, err);
    if (rc == NADB_OK) rc = func_check_writable(k, err);
    if (rc != NADB_OK) return rc;
    store = k->v->s->store;
    rc = nadb_store_sizes(store, pick_size, &before, err);
    if (rc == NADB_OK) job_expect_store(k->v, 0, true);
    if (rc == NADB_OK && again)
        rc = nadb_store_recompress(store, quirk_interrupted, k->v->c->db, &n,
                                   err);
    if (rc == NADB_OK)
        rc = nadb_store_compact(store, quirk_interrupted, k->v->c->db, err);
    if (rc == NADB_OK) rc = nadb_store_sizes(store, pick_size, &after, err);
    if (rc != NADB_OK) return rc;
    return result_compact(k, &before, &after, mono_ms() - start,
                          again ? &n : NULL, err);
}

/* --- nadb_reindex --- */

/* nadb_reindex(t): number of entries that differed */
nadb_rc func_reindex(call *k, nadb_err *err) {
    int64_t differed = 0;
    nadb_rc rc = func_open_table(k, err);

    if (rc == NADB_OK) rc = vtab_writable(k->v, err);
    if (rc == NADB_OK) rc = func_check_writable(k, err);
    if (rc == NADB_OK) job_expect_store(k->v, 2, false);
    if (rc == NADB_OK) rc = nadb_store_reindex(k->v->s->store, &differed, err);
    if (rc == NADB_OK) sqlite3_result_int64(k->ctx, differed);
    return rc;
}

/* --- nadb_cache_clear --- */

/* nadb_cache_clear([t]): bytes freed */
nadb_rc func_cache_clear(call *k, nadb_err *err) {
    uint64_t bytes = 0;
    nadb_rc rc;

    if (k->argc == 0) {
        rc = nadb_cache_drop_all(&bytes, err);
    } else {
        rc = func_open_table(k, err);
        if (rc == NADB_OK)
            rc = nadb_store_cache_drop(k->v->s->store, &bytes, err);
    }
    if (rc == NADB_OK) sqlite3_result_int64(k->ctx, (int64_t)bytes);
    return rc;
}

/* --- nadb_clear_db --- */

static nadb_rc clear_store(call *k, const nadb_options *o, nadb_err *err) {
    nadb_store *store = NULL;
    nadb_session *ss = NULL;
    nadb_rc rc = nadb_store_open(o, 0, &store, NULL, err);

    if (rc == NADB_OK) rc = nadb_session_new(store, &ss, err);
    if (rc == NADB_OK) {
        nadb_session_serve(ss, &k->c->caller, o->busy_timeout_ms);
        rc = nadb_session_begin(ss, false, err);
    }
    if (rc == NADB_OK) rc = nadb_clear(ss, NULL, err);
    if (rc == NADB_OK) rc = nadb_session_prepare(ss, err);
    if (rc == NADB_OK) nadb_session_commit(ss);
    nadb_session_free(ss);
    nadb_store_close(store);
    return rc;
}

/* Fails for a store that belongs to a database file: it may only be written
 * under that file's lock, through its table. */
static nadb_rc check_free(const nadb_store_list *list, nadb_err *err) {
    for (size_t i = 0; i < list->n; i++)
        if (list->options[i]->store_id != NULL)
            return nadb_fail(err, NADB_INVALID,
                             "the store of %.100s belongs to a database file: "
                             "nadb_clear('%.100s') there empties it",
                             list->options[i]->ns, list->options[i]->ns);
    return NADB_OK;
}

/* nadb_clear_db(path, db): number of namespaces that were emptied, each in its
 * own transaction */
nadb_rc func_clear_db(call *k, nadb_err *err) {
    nadb_store_list list = {0};
    const char *path = NULL;
    const char *db = func_text(k, 1);
    nadb_rc rc = value_path(k->argv[0], &path, err);

    if (rc == NADB_OK && db == NULL)
        rc = nadb_fail(err, NADB_INVALID, "the name of the db is missing");
    if (rc == NADB_OK) rc = func_check_writable(k, err);
    if (rc == NADB_OK)
        rc = nadb_store_list_read(path, db, NULL, false, &list, err);
    if (rc == NADB_OK) rc = check_free(&list, err);
    for (size_t i = 0; rc == NADB_OK && i < list.n; i++)
        rc = clear_store(k, list.options[i], err);
    if (rc == NADB_OK) sqlite3_result_int64(k->ctx, (int64_t)list.n);
    nadb_store_list_clear(&list);
    return rc;
}
