/* store_log.c - which log a store has, and lines about the store itself. */
#include "kv/session.h"
#include "store.h"

/* The directory of the log file; NULL: there is none, or nothing may be written
 * there. */
static const nadb_home *home_of(const nadb_store *s) {
    bool in_files = (s->backend->caps & NADB_CAP_BASE) != 0;

    return in_files && !s->kv.options->read_only
               ? nadb_engine_home(s->kv.engine)
               : NULL;
}

/* False if the options name no log. */
static bool log_options(const nadb_options *o, nadb_log_options *out) {
    const char *levels = o->log_level == NULL ? "info" : o->log_level;
    nadb_slice bad;

    *out = (nadb_log_options){.name = o->log,
                              .db = o->db,
                              .ns = o->ns,
                              .bytes_max = o->log_bytes_max,
                              .files_max = (unsigned)o->log_files_max};
    /* Parsing cannot fail: the option was checked when it was given. */
    return o->log != NULL && nadb_levels_parse(levels, &out->levels, &bad);
}

static int64_t slow_ns(const nadb_options *o) {
    return o->log_slow_ms == 0 ? INT64_MAX : o->log_slow_ms * 1000000;
}

/* Replaces *text; without memory it stays. */
static void replace(char **text, const char *by) {
    char *copy = by == NULL ? NULL : nadb_strdup(by);

    if (by != NULL && copy == NULL) return;
    nadb_free(*text);
    *text = copy;
}

/* Makes nadb_stores show the options of the log in force: *o, which may be
 * *have. */
static void show(nadb_options *have, const nadb_options *o) {
    if (have == o) return;
    replace(&have->log, o->log);
    replace(&have->log_level, o->log_level);
    have->log_bytes_max = o->log_bytes_max;
    have->log_files_max = o->log_files_max;
    have->log_slow_ms = o->log_slow_ms;
}

void store_log_open(nadb_store *s, const nadb_options *o) {
    nadb_log_options l;
    nadb_log *log = NULL;

    if (!log_options(o, &l) || atomic_load(&s->kv.monitor.log) != NULL) return;
    if (strcmp(o->log, "stderr") != 0) l.home = home_of(s);
    if (l.home == NULL && strcmp(o->log, "stderr") != 0) {
        (void)nadb_fail(&s->log_error, NADB_READONLY,
                        "the store has no directory that may be written: "
                        "log='stderr' needs none");
        return;
    }
    if (nadb_log_new(&l, &log, &s->log_error) != NADB_OK) return;
    nadb_monitor_log(&s->kv.monitor, log, slow_ns(o));
    show(s->kv.options, o);
}

void store_log_tune(nadb_store *s, const nadb_options *o) {
    nadb_log *log = atomic_load(&s->kv.monitor.log);
    nadb_log_options l;

    if (log == NULL || !log_options(o, &l)) return;
    nadb_log_tune(log, &l);
    nadb_monitor_log(&s->kv.monitor, log, slow_ns(o));
    show(s->kv.options, o);
}

void store_log_state(nadb_store *s, uint64_t *lost, nadb_err *why) {
    nadb_log *log = atomic_load(&s->kv.monitor.log);

    *lost = 0;
    *why = s->log_error;
    if (log != NULL) *lost = nadb_log_lost(log, why);
}

void store_log_event(nadb_store *s, const char *operation, int64_t from_ns,
                     nadb_rc rc, const nadb_err *err) {
    nadb_line line = {.level = rc == NADB_OK ? NADB_LOG_INFO : NADB_LOG_ERROR,
                      .component = NADB_IN_STORE,
                      .operation = operation,
                      .ns = -1,
                      .outcome = true,
                      .rc = rc};

    if (from_ns >= 0) line.ns = nadb_os_get()->mono_ns() - from_ns;
    if (rc != NADB_OK && err != NULL) line.message = nadb_slice_str(err->msg);
    nadb_log_put(atomic_load(&s->kv.monitor.log), &line);
}

void nadb_store_log_backup(nadb_store *s, const char *operation,
                           int64_t begun_ns, uint64_t rows, uint64_t bytes,
                           nadb_rc rc, const nadb_err *err) {
    nadb_line line = {.level = rc == NADB_OK ? NADB_LOG_INFO : NADB_LOG_ERROR,
                      .component = NADB_IN_BACKUP,
                      .operation = operation,
                      .ns = nadb_os_get()->mono_ns() - begun_ns,
                      .counts = rc == NADB_OK,
                      .keys = rows,
                      .bytes = bytes,
                      .outcome = true,
                      .rc = rc};

    if (rc == NADB_INTERRUPT || rc == NADB_INVALID) line.level = NADB_LOG_INFO;
    if (rc != NADB_OK && err != NULL) line.message = nadb_slice_str(err->msg);
    nadb_log_put(atomic_load(&s->kv.monitor.log), &line);
}

static bool find_level(const char *name, nadb_level *out) {
    return nadb_level_find(nadb_slice_str(name), out) && *out != NADB_LOG_OFF;
}

nadb_rc nadb_log_check(const char *level, nadb_err *err) {
    nadb_level found;

    if (find_level(level, &found)) return NADB_OK;
    return nadb_fail(err, NADB_INVALID,
                     "'%.40s' is not a level: debug, info, warning or error",
                     level);
}

nadb_rc nadb_store_log(nadb_store *s, const char *level, nadb_slice message,
                       nadb_slice data, bool *put, nadb_err *err) {
    nadb_line line = {.component = NADB_IN_APPLICATION, .ns = -1};
    nadb_log *log = atomic_load(&s->kv.monitor.log);
    nadb_rc rc = nadb_store_usable(s, err);

    *put = false;
    if (rc == NADB_OK) rc = nadb_log_check(level, err);
    if (rc != NADB_OK) return rc;
    (void)find_level(level, &line.level);
    line.message = message;
    line.data = data;
    *put = nadb_log_wants(log, line.level, line.component);
    nadb_log_put(log, &line);
    return NADB_OK;
}
