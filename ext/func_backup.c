/* func_backup.c - SQL functions of backups (core/backup/backup.h).
 *
 * Directories are relative to the working directory of the process, as in
 * ATTACH. */
#include "func.h"

#include <math.h>

const char *func_text(const call *k, int i) {
    return i < k->argc ? value_name(k->argv[i]) : NULL;
}

static nadb_rc id_of(const call *k, int i, const char **id, nadb_err *err) {
    *id = func_text(k, i);
    if (*id != NULL) return NADB_OK;
    return nadb_fail(err, NADB_INVALID,
                     "the id of a backup is missing: SELECT id FROM "
                     "nadb_backups('dir') lists them");
}

nadb_rc func_word(const call *k, int i, const char *word, bool *given,
                  nadb_err *err) {
    const char *text = func_text(k, i);

    *given = text != NULL;
    if (text == NULL || sqlite3_stricmp(text, word) == 0) return NADB_OK;
    return nadb_fail(err, NADB_INVALID, "'%.60s' is not '%s', nor left out",
                     text, word);
}

nadb_rc func_level(const call *k, int i, int *level, nadb_err *err) {
    const char *text = func_text(k, i);

    *level = 1;
    if (text == NULL || sqlite3_stricmp(text, "on") == 0) return NADB_OK;
    *level = 0;
    if (sqlite3_stricmp(text, "off") == 0) return NADB_OK;
    *level = text[0] - '0';
    if (text[0] >= '0' && text[0] <= '9' && text[1] == '\0') return NADB_OK;
    return nadb_fail(err, NADB_INVALID,
                     "compression '%.60s' is not on, off or a level from 1 to "
                     "9",
                     text);
}

nadb_rc func_result_backup(call *k, const backup_manifest *m, nadb_err *err) {
    char *json;
    bool has_parent = m->parent[0] != '\0';

    json = sqlite3_mprintf(
        "{\"id\":\"%s\",\"type\":\"%s\",\"parent\":%s%s%s,"
        "\"created_at\":%.3f,\"rows\":%lld,\"deleted\":%lld,\"bytes\":%lld,"
        "\"sha256\":\"%s\"}",
        m->id, backup_type_name(m->type), has_parent ? "\"" : "",
        has_parent ? m->parent : "null", has_parent ? "\"" : "",
        (double)m->created_ms / 1000.0, (long long)m->rows,
        (long long)m->deleted, (long long)m->bytes, m->sha256);
    if (json == NULL) return nadb_fail(err, NADB_NOMEM, "out of memory");
    sqlite3_result_text(k->ctx, json, -1, sqlite3_free);
    return NADB_OK;
}

/* nadb_backup(t, dir [, id [, parent [, compression]]]) */
nadb_rc func_backup(call *k, nadb_err *err) {
    nadb_stop stop = {quirk_interrupted, k->db};
    nadb_backup_req req = {.stop = &stop};
    backup_manifest made;
    nadb_rc rc = command_find(k, COMMAND_BACKUP, err);

    if (rc == NADB_OK) rc = value_path(k->argv[1], &req.folder, err);
    if (rc == NADB_OK) rc = func_level(k, 4, &req.level, err);
    if (rc != NADB_OK) return rc;
    req.id = func_text(k, 2);
    req.parent = func_text(k, 3);
    job_expect_store(k->v, 1, false);
    rc = nadb_backup_make(k->v->s->store, &req, &made, err);
    if (rc == NADB_OK) rc = func_result_backup(k, &made, err);
    backup_manifest_clear(&made);
    return rc;
}

typedef struct restore_args {
    const char *folder;
    const char *id;
    bool clear;
    int64_t rows;
} restore_args;

static nadb_rc restore_command(vtab *v, void *ctx, bool hidden, nadb_err *err) {
    nadb_stop stop = {quirk_interrupted, v->c->db};
    int64_t begun = nadb_os_get()->mono_ns();
    restore_args *a = ctx;
    nadb_rc rc;

    (void)hidden;
    rc = nadb_backup_restore(v->s->core, a->folder, a->id, a->clear, &stop,
                             &a->rows, err);
    nadb_store_log_backup(v->s->store, "restore", begun, (uint64_t)a->rows, 0,
                          rc, err);
    return rc;
}

/* nadb_restore(t, dir, id [, 'clear']) */
nadb_rc func_restore(call *k, nadb_err *err) {
    restore_args a = {0};
    nadb_rc rc = value_path(k->argv[1], &a.folder, err);

    if (rc == NADB_OK) rc = id_of(k, 2, &a.id, err);
    if (rc == NADB_OK) rc = func_word(k, 3, "clear", &a.clear, err);
    if (rc == NADB_OK && a.clear) rc = command_find(k, COMMAND_DELETE, err);
    if (rc == NADB_OK)
        rc = command_run(k, COMMAND_INSERT, restore_command, &a, err);
    if (rc == NADB_OK) sqlite3_result_int64(k->ctx, a.rows);
    return rc;
}

typedef struct problems {
    nadb_buf text; /* one line per problem */
    bool nomem;
} problems;

static void add_problem(void *ctx, const char *what) {
    problems *p = ctx;

    if ((p->text.n > 0 && !nadb_buf_byte(&p->text, '\n')) ||
        !nadb_buf_append(&p->text, what, strlen(what)))
        p->nomem = true;
}

/* nadb_verify_backup(dir, id) */
nadb_rc func_verify_backup(call *k, nadb_err *err) {
    nadb_stop stop = {quirk_interrupted, k->db};
    problems found = {NADB_BUF_INIT, false};
    const char *folder, *id;
    nadb_rc rc = value_path(k->argv[0], &folder, err);

    if (rc == NADB_OK) rc = id_of(k, 1, &id, err);
    if (rc == NADB_OK)
        rc = nadb_backup_verify(folder, id, &stop, add_problem, &found, err);
    if (rc == NADB_OK && found.nomem)
        rc = nadb_fail(err, NADB_NOMEM, "out of memory");
    if (rc == NADB_OK && found.text.n == 0)
        sqlite3_result_text(k->ctx, "ok", 2, SQLITE_STATIC);
    else if (rc == NADB_OK)
        value_text_to_sql(k->ctx, nadb_buf_slice(&found.text), false);
    nadb_buf_clear(&found.text);
    return rc;
}

/* nadb_delete_backup(dir, id [, 'force']) */
nadb_rc func_delete_backup(call *k, nadb_err *err) {
    const char *folder, *id;
    bool force = false;
    int64_t removed = 0;
    nadb_rc rc = value_path(k->argv[0], &folder, err);

    if (rc == NADB_OK) rc = id_of(k, 1, &id, err);
    if (rc == NADB_OK) rc = func_word(k, 2, "force", &force, err);
    if (rc == NADB_OK) rc = func_check_writable(k, err);
    if (rc == NADB_OK)
        rc = nadb_backup_delete(folder, id, force, &removed, err);
    if (rc == NADB_OK) sqlite3_result_int64(k->ctx, removed);
    return rc;
}

/* A number >= 0; `preset` if it is missing or NULL. */
static nadb_rc number_of(const call *k, int i, const char *name, double preset,
                         double *out, nadb_err *err) {
    int type =
        i < k->argc ? sqlite3_value_numeric_type(k->argv[i]) : SQLITE_NULL;

    *out = preset;
    if (type == SQLITE_NULL) return NADB_OK;
    if (type == SQLITE_INTEGER || type == SQLITE_FLOAT)
        *out = sqlite3_value_double(k->argv[i]);
    if ((type == SQLITE_INTEGER || type == SQLITE_FLOAT) && *out >= 0)
        return NADB_OK;
    return nadb_fail(err, NADB_INVALID, "%s must be a number from 0 on", name);
}

/* nadb_prune_backups(dir [, keep_days [, keep_count]]) */
nadb_rc func_prune_backups(call *k, nadb_err *err) {
    const char *folder;
    double days = 0, count = 0;
    int64_t removed = 0;
    nadb_rc rc = value_path(k->argv[0], &folder, err);

    if (rc == NADB_OK) rc = number_of(k, 1, "keep_days", 30, &days, err);
    if (rc == NADB_OK) rc = number_of(k, 2, "keep_count", 10, &count, err);
    if (rc == NADB_OK) rc = func_check_writable(k, err);
    if (rc == NADB_OK)
        rc = nadb_backup_prune(folder, days,
                               count > 1e9 ? 1000000000 : (int64_t)count,
                               &removed, err);
    if (rc == NADB_OK) sqlite3_result_int64(k->ctx, removed);
    return rc;
}
