/* logs.c - finds logs by number: live ones and retired ones; unlinks both. */
#include <errno.h>

#include "engine.h"

memtable *engine_log(const engine_version *v, uint64_t number) {
    for (size_t i = 0; i < v->n_logs; i++)
        if (v->logs[i]->log.number == number) return v->logs[i];
    return NULL;
}

/* Takes the log from the previous version if it has it open; else opens it. */
nadb_rc engine_log_ref(engine *s, uint64_t number, memtable **out,
                       nadb_err *err) {
    *out = NULL;
    nadb_lock(&s->version_lock);
    for (engine_version *v = s->versions; v != NULL && *out == NULL;
         v = v->next) {
        memtable *m = engine_log(v, number);

        if (m != NULL) *out = memtable_ref(m);
    }
    nadb_unlock(&s->version_lock);
    if (*out != NULL) return NADB_OK;
    return memtable_attach(out, &s->home, number, err);
}

void engine_unlink_log(engine *s, uint64_t number) {
    (void)nadb_home_unlink(&s->home, number, "log", NULL);
    (void)nadb_home_unlink(&s->home, number, "idx", NULL);
    (void)nadb_home_unlink(&s->home, number, "was", NULL);
}

/* --- retired logs --- */

static nadb_rc unlink_retired(void *ctx, const char *name, nadb_err *err) {
    engine *s = ctx;
    const char *kind = "";
    uint64_t number = 0;
    control_now now;

    control_read(&s->ctl, &now);
    if (!nadb_file_parse(name, &number, &kind) || number >= now.first_log ||
        (strcmp(kind, "log") != 0 && strcmp(kind, "idx") != 0 &&
         strcmp(kind, "was") != 0))
        return NADB_OK;
    return nadb_home_unlink(&s->home, number, kind, err);
}

nadb_rc engine_unlink_retired(engine *s, nadb_err *err) {
    return s->os->dir_list(s->home.dir, unlink_retired, s, err);
}

void engine_retired_free(engine_retired *r) {
    while (r->n > 0) memtable_unref(r->logs[--r->n]);
}

nadb_rc engine_retired_get(engine *s, const engine_version *now,
                           const engine_version *then, engine_retired *out,
                           nadb_err *err) {
    const memtable *m = now->logs[now->n_logs - 1];
    uint64_t number = m->log.prev_log;

    memset(out, 0, sizeof *out);
    out->complete = true;
    while (number != 0 && number >= then->first_log) {
        memtable *old = engine_log(then, number);
        nadb_err mine;
        nadb_rc rc = NADB_OK;

        nadb_err_clear(&mine);
        if (out->n == ENGINE_RETIRED_MAX) {
            out->complete = false;
            break;
        }
        if (old != NULL)
            (void)memtable_ref(old);
        else
            rc = memtable_attach(&old, &s->home, number, &mine);
        if (mine.sys_errno == ENOENT) {
            out->complete = false;
            break;
        }
        if (rc != NADB_OK) {
            engine_retired_free(out);
            return nadb_fail(err, rc, "%s", mine.msg);
        }
        out->logs[out->n++] = old;
        number = old->log.prev_log;
    }
    return NADB_OK;
}
