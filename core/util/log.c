/* log.c - writes lines as JSON, and handles their file; see log.h. */
#include "log.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "json.h"
#include "sync.h"

#define LOCK_BYTE ((uint64_t)1 << 62) /* far behind all lines */
#define NAME_MAX_BYTES 220u           /* of a file, with ".log.N" */
#define OLD_NAME_BYTES (NAME_MAX_BYTES + 12u)
#define KEY_SHOWN 200u             /* bytes of a key */
#define TEXT_SHOWN 4000u           /* of a message */
#define FIRST_BYTES "{\"time\":\"" /* of each line */

struct nadb_log {
    const nadb_os *os;
    nadb_dir *dir; /* NULL: standard error */
    uint32_t mode; /* of new files */
    char name[NAME_MAX_BYTES];
    atomic_int levels[NADB_COMPONENTS];
    char *db, *ns;

    nadb_mutex lock; /* guards the fields below */
    bool started;
    uint64_t bytes_max;
    unsigned files_max;
    nadb_file *file; /* NULL: to be opened */
    uint64_t ino, dev;
    bool torn; /* the last line may be incomplete */
    uint64_t lost;
    nadb_err why;
    nadb_buf line;
};

/* --- levels --- */

static const char *const level_names[] = {"debug", "info", "warning", "error",
                                          "off"};
static const char *const component_names[NADB_COMPONENTS] = {
    "store", "read",  "write",  "transaction",
    "flush", "sweep", "backup", "application"};

static char lower(uint8_t c) {
    return (char)(c >= 'A' && c <= 'Z' ? c + 'a' - 'A' : c);
}

static bool is_word(nadb_slice s, const char *word) {
    size_t i = 0;

    while (i < s.n && word[i] != '\0' && lower(s.p[i]) == word[i]) i++;
    return i == s.n && word[i] == '\0';
}

bool nadb_level_find(nadb_slice name, nadb_level *out) {
    for (size_t i = 0; i < sizeof level_names / sizeof level_names[0]; i++)
        if (is_word(name, level_names[i])) {
            *out = (nadb_level)i;
            return true;
        }
    return false;
}

static nadb_slice trimmed(const char *from, size_t n) {
    while (n > 0 && from[n - 1] == ' ') n--;
    while (n > 0 && *from == ' ') {
        from++;
        n--;
    }
    return nadb_slice_of(from, n);
}

/* Parses "level" or "component=level". */
static bool take_level(nadb_slice part, nadb_levels *out) {
    const char *text = (const char *)part.p;
    const char *equal = memchr(text, '=', part.n);
    size_t name_n = equal == NULL ? 0 : (size_t)(equal - text);
    nadb_level level;

    if (equal == NULL) {
        if (!nadb_level_find(part, &level)) return false;
        for (size_t i = 0; i < NADB_COMPONENTS; i++) out->of[i] = level;
        return true;
    }
    if (!nadb_level_find(trimmed(equal + 1, part.n - name_n - 1), &level))
        return false;
    for (size_t i = 0; i < NADB_COMPONENTS; i++)
        if (is_word(trimmed(text, name_n), component_names[i])) {
            out->of[i] = level;
            return true;
        }
    return false;
}

bool nadb_levels_parse(const char *text, nadb_levels *out, nadb_slice *bad) {
    for (size_t i = 0; i < NADB_COMPONENTS; i++) out->of[i] = NADB_LOG_INFO;
    for (;;) {
        size_t n = strcspn(text, ",");

        *bad = trimmed(text, n);
        if (!take_level(*bad, out)) return false;
        if (text[n] == '\0') return true;
        text += n + 1;
    }
}

bool nadb_log_wants(const nadb_log *l, nadb_level level,
                    nadb_component component) {
    return l != NULL &&
           (int)level >= atomic_load_explicit(&l->levels[component],
                                              memory_order_relaxed);
}

/* --- JSON --- */

static bool put(nadb_buf *b, const char *text) {
    return nadb_buf_append(b, text, strlen(text));
}

/* Writes at most `most` bytes of a text as a JSON string. */
static bool put_string(nadb_buf *b, nadb_slice s, size_t most) {
    bool cut = s.n > most;
    bool ok = nadb_buf_byte(b, '"');

    if (cut) s.n = most;
    while (ok && s.n > 0) {
        size_t n = nadb_utf8_len(s.p, s.p + s.n);

        if (n == 0) {
            ok = cut && s.n < 4 ? true : put(b, "\\ufffd");
            n = 1;
        } else if (s.p[0] == 0x7f) { /* a terminal may obey it */
            ok = put(b, "\\u007f");
        } else if (n == 1) {
            ok = nadb_json_byte(b, s.p[0]);
        } else {
            ok = nadb_buf_append(b, s.p, n);
        }
        s = nadb_slice_of(s.p + n, s.n - n);
    }
    return ok && (!cut || put(b, "..")) && nadb_buf_byte(b, '"');
}

static bool put_text(nadb_buf *b, const char *name, const char *text) {
    return put(b, ",\"") && put(b, name) && put(b, "\":") &&
           put_string(b, nadb_slice_str(text), TEXT_SHOWN);
}

static bool put_number(nadb_buf *b, const char *name, uint64_t v) {
    char text[24];

    snprintf(text, sizeof text, "%llu", (unsigned long long)v);
    return put(b, ",\"") && put(b, name) && put(b, "\":") && put(b, text);
}

/* In ms with three decimals, in every locale. */
static bool put_duration(nadb_buf *b, int64_t ns) {
    uint64_t us = (uint64_t)ns / 1000;
    char text[40];

    snprintf(text, sizeof text, ",\"duration_ms\":%llu.%03llu",
             (unsigned long long)(us / 1000), (unsigned long long)(us % 1000));
    return put(b, text);
}

static bool put_time(nadb_buf *b, int64_t now_ms) {
    time_t seconds = (time_t)(now_ms / 1000);
    struct tm t;
    char text[64];

    if (gmtime_r(&seconds, &t) == NULL) memset(&t, 0, sizeof t);
    snprintf(text, sizeof text,
             FIRST_BYTES "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ\"",
             t.tm_year + 1900, t.tm_mon + 1, t.tm_mday, t.tm_hour, t.tm_min,
             t.tm_sec, (int)(now_ms % 1000));
    return put(b, text);
}

static bool put_line(const nadb_log *l, nadb_buf *b, const nadb_line *x) {
    uint64_t process, thread;
    bool ok = put_time(b, l->os->now_ms()) &&
              put_text(b, "level", level_names[x->level]) &&
              put_text(b, "component", component_names[x->component]);

    l->os->who(&process, &thread);
    if (ok && x->operation != NULL) ok = put_text(b, "operation", x->operation);
    if (ok && x->ns >= 0) ok = put_duration(b, x->ns);
    if (ok && x->counts)
        ok = put_number(b, "keys", x->keys) && put_number(b, "bytes", x->bytes);
    if (ok && x->outcome)
        ok = put(b,
                 x->rc == NADB_OK ? ",\"success\":true" : ",\"success\":false");
    if (ok && x->outcome && x->rc != NADB_OK) {
        ok = put_text(b, "code", nadb_rc_name(x->rc)) &&
             put(b, ",\"error\":") && put_string(b, x->message, TEXT_SHOWN);
    } else if (ok && x->message.p != NULL) {
        ok = put(b, ",\"message\":") && put_string(b, x->message, TEXT_SHOWN);
    }
    if (ok && x->slow) ok = put(b, ",\"slow\":true");
    if (ok && x->key.p != NULL)
        ok = put(b, ",\"key\":") && put_string(b, x->key, KEY_SHOWN);
    if (ok && x->data.p != NULL)
        ok = put(b, ",\"data\":") && nadb_buf_append(b, x->data.p, x->data.n);
    return ok && put_text(b, "db", l->db) && put_text(b, "namespace", l->ns) &&
           put_number(b, "process", process) &&
           put_number(b, "thread", thread) && put(b, "}\n");
}

/* --- the file. REQUIRES: the lock --- */

static void close_file(nadb_log *l) {
    l->os->close(l->file); /* releases its lock */
    l->file = NULL;
}

/* Nothing is appended to a file that is no log: a name may be a hard link. A
 * first line that a full disk has cut off ends with the next one, or is
 * continued by that of another process. A power cut leaves zeros. */
static nadb_rc check_file(nadb_log *l, uint64_t size, nadb_err *err) {
    char first[sizeof FIRST_BYTES - 1];
    size_t n = size < sizeof first ? (size_t)size : sizeof first;
    size_t same = 0;
    nadb_rc rc = l->os->pread(l->file, first, n, 0, err);

    if (rc != NADB_OK) return rc;
    while (same < n && first[same] == FIRST_BYTES[same]) same++;
    if (same == n || first[same] == '\n' || first[same] == '\0' ||
        (same > 0 && first[same] == FIRST_BYTES[0]))
        return NADB_OK;
    return nadb_fail(err, NADB_CANTOPEN,
                     "%s does not begin as a log of nadb: remove it, or give "
                     "option log another name",
                     l->os->path(l->file));
}

static nadb_rc open_file(nadb_log *l, nadb_err *err) {
    nadb_stat st;
    nadb_rc rc = l->os->open(
        l->dir, l->name, NADB_OPEN_WRITE | NADB_OPEN_CREATE | NADB_OPEN_APPEND,
        l->mode, &l->file, err);

    if (rc == NADB_OK) rc = l->os->fstat(l->file, &st, err);
    if (rc == NADB_OK && st.size > 0) rc = check_file(l, st.size, err);
    if (rc != NADB_OK) {
        close_file(l);
        return rc;
    }
    l->ino = st.ino;
    l->dev = st.dev;
    return NADB_OK;
}

/* Opens the file that has the name now; *size: its size. */
static nadb_rc follow(nadb_log *l, uint64_t *size, nadb_err *err) {
    nadb_rc rc = NADB_OK;

    for (int tries = 0; tries < 10; tries++) {
        nadb_stat st;

        if (l->file == NULL) rc = open_file(l, err);
        if (rc == NADB_OK) rc = l->os->stat(l->dir, l->name, &st, err);
        if (rc != NADB_OK) return rc;
        *size = st.size;
        if (st.kind == NADB_KIND_FILE && st.ino == l->ino && st.dev == l->dev)
            return NADB_OK;
        close_file(l);
    }
    return nadb_fail(err, NADB_BUSY,
                     "other processes rename the log %s again and again",
                     l->name);
}

static void old_name(const nadb_log *l, unsigned n, char out[OLD_NAME_BYTES]) {
    snprintf(out, OLD_NAME_BYTES, n == 0 ? "%s" : "%s.%u", l->name, n);
}

/* Removes the oldest file and renames each other one to the next number. If the
 * file in use cannot be renamed it stays in use. */
static void rename_all(nadb_log *l) {
    for (unsigned n = l->files_max - 1; n > 0; n--) {
        char from[OLD_NAME_BYTES], to[OLD_NAME_BYTES];
        nadb_stat st;

        old_name(l, n - 1, from);
        old_name(l, n, to);
        if (l->os->stat(l->dir, from, &st, NULL) == NADB_OK &&
            st.kind != NADB_KIND_NONE &&
            l->os->rename(l->dir, from, to, NULL) != NADB_OK)
            return; /* otherwise the next file would be overwritten */
    }
    close_file(l);
}

/* If another process is renaming, this one does not. */
static nadb_rc rotate(nadb_log *l, size_t more, nadb_err *err) {
    uint64_t size = 0;
    bool got = false;
    uint64_t ino = l->ino, dev = l->dev;
    nadb_rc rc = l->os->lock_byte(l->file, LOCK_BYTE, &got, err);

    if (rc != NADB_OK || !got) return NADB_OK;
    rc = follow(l, &size, err);
    /* If another process has renamed it, the lock went with it. */
    if (l->ino != ino || l->dev != dev) return rc;
    if (rc == NADB_OK && size + more > l->bytes_max) rename_all(l);
    if (l->file != NULL) l->os->unlock_byte(l->file, LOCK_BYTE);
    return follow(l, &size, err);
}

static nadb_rc write_line(nadb_log *l, nadb_err *err) {
    uint64_t size = 0;
    nadb_rc rc;

    if (l->dir == NULL) return l->os->print(l->line.p, l->line.n, err);
    rc = follow(l, &size, err);
    if (rc == NADB_OK && size > 0 && size + l->line.n > l->bytes_max)
        rc = rotate(l, l->line.n, err);
    if (rc == NADB_OK) rc = l->os->append(l->file, l->line.p, l->line.n, err);
    return rc;
}

void nadb_log_put(nadb_log *l, const nadb_line *x) {
    nadb_err err;
    bool ok = true;

    if (!nadb_log_wants(l, x->level, x->component)) return;
    nadb_err_clear(&err);
    nadb_lock(&l->lock);
    nadb_buf_reset(&l->line);
    /* Ends the incomplete line. */
    if (l->torn) ok = nadb_buf_byte(&l->line, '\n');
    ok = ok && put_line(l, &l->line, x);
    if (!ok)
        (void)nadb_fail(&err, NADB_NOMEM, "writing a line of the log");
    else if (write_line(l, &err) == NADB_OK)
        l->torn = false;
    else
        l->torn = true;
    if (err.rc != NADB_OK) {
        l->lost++;
        l->why = err;
    }
    nadb_unlock(&l->lock);
}

uint64_t nadb_log_lost(nadb_log *l, nadb_err *why) {
    uint64_t lost;

    nadb_lock(&l->lock);
    lost = l->lost;
    *why = l->why;
    nadb_unlock(&l->lock);
    return lost;
}

/* --- opening --- */

static bool ends_with(const char *name, const char *end) {
    size_t n = strlen(name), m = strlen(end);

    return n > m && strcmp(name + n - m, end) == 0;
}

bool nadb_log_name(const char *name) {
    const char *end = strstr(name, ".log");
    char c = lower((uint8_t)name[0]);

    /* so that it differs from the store's own files */
    if (c < 'a' || c > 'z') return false;
    while (end != NULL && end[4] != '\0' && end[4] != '.')
        end = strstr(end + 1, ".log");
    if (end == NULL || strlen(name) >= NAME_MAX_BYTES) return false;
    if (end[4] == '\0') return true;
    return end[5] != '\0' && strspn(end + 5, "0123456789") == strlen(end + 5);
}

void nadb_log_tune(nadb_log *l, const nadb_log_options *o) {
    for (size_t i = 0; i < NADB_COMPONENTS; i++)
        atomic_store(&l->levels[i], (int)o->levels.of[i]);
    nadb_lock(&l->lock);
    l->bytes_max = o->bytes_max;
    l->files_max = o->files_max;
    nadb_unlock(&l->lock);
}

nadb_rc nadb_log_new(const nadb_log_options *o, nadb_log **out, nadb_err *err) {
    nadb_log *l = nadb_calloc(1, sizeof *l);
    nadb_rc rc = NADB_OK;

    *out = NULL;
    if (l == NULL) return nadb_fail(err, NADB_NOMEM, "opening a log");
    l->os = nadb_os_get();
    l->db = nadb_strdup(o->db);
    l->ns = nadb_strdup(o->ns);
    if (l->db == NULL || l->ns == NULL)
        rc = nadb_fail(err, NADB_NOMEM, "opening a log");
    if (rc == NADB_OK) rc = nadb_mutex_init(&l->lock, NADB_RANK_LOG, err);
    l->started = rc == NADB_OK;
    if (rc == NADB_OK) nadb_log_tune(l, o);
    if (rc == NADB_OK && o->home != NULL) {
        snprintf(l->name, sizeof l->name,
                 ends_with(o->name, ".log") ? "%s" : "%s.log", o->name);
        l->mode = o->home->file_mode;
        rc = l->os->dir_enter(o->home->dir, ".", &l->dir, err);
    }
    if (rc == NADB_OK)
        *out = l;
    else
        nadb_log_free(l);
    return rc;
}

void nadb_log_free(nadb_log *l) {
    if (l == NULL) return;
    if (l->file != NULL) close_file(l);
    l->os->dir_close(l->dir);
    if (l->started) nadb_mutex_clear(&l->lock);
    nadb_buf_clear(&l->line);
    nadb_free(l->db);
    nadb_free(l->ns);
    nadb_free(l);
}

/* --- errors that no call returns --- */

static _Atomic(nadb_alarm_fn *) alarm_fn;

void nadb_alarm_set(nadb_alarm_fn *fn) { atomic_store(&alarm_fn, fn); }

void nadb_alarm(nadb_rc rc, const char *message) {
    nadb_alarm_fn *fn = atomic_load(&alarm_fn);

    if (fn != NULL) fn(rc, message);
}
