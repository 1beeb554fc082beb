/* salvage.c - see salvage.h.
 *
 * Reads the tables of the base first, then the logs that they do not contain,
 * by number, each from its first record to its last. Behind a damaged record
 * the next good one is searched. Of a damaged record, the entries that the
 * index confirms are taken; its other keys are given up, because older values
 * of them are outdated.
 *
 * A record counts as committed unless it is marked as taken back. A record with
 * a stamp counts if the database file has that stamp or a later one, or if the
 * index knows its entries. */
#include "salvage.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct wreck {
    engine *s;          /* only its directory, names and options are used */
    nadb_file *control; /* its open byte is held */
    nadb_dir *above;    /* the folder that contains the store's */
    char *repair, *repaired;
};

/* --- opening --- */

static char *name_with(const char *name, const char *suffix) {
    nadb_buf b = NADB_BUF_INIT;
    char *out = NULL;

    if (nadb_buf_append(&b, name, strlen(name)) &&
        nadb_buf_append(&b, suffix, strlen(suffix) + 1))
        out = nadb_strdup((const char *)b.p);
    nadb_buf_clear(&b);
    return out;
}

void wreck_close(wreck *w) {
    if (w == NULL) return;
    if (w->s != NULL) {
        w->s->os->close(w->control);
        w->s->os->dir_close(w->above);
        w->s->os->dir_close(w->s->home.dir);
        nadb_free(w->s->db_name);
        nadb_free(w->s->ns_name);
        nadb_free(w->s->control_path);
        nadb_free(w->s->dir);
        nadb_free(w->s);
    }
    nadb_free(w->repair);
    nadb_free(w->repaired);
    nadb_free(w);
}

static nadb_rc wreck_new(const nadb_options *options, const nadb_base_ops *base,
                         wreck **out, nadb_err *err) {
    wreck *w = nadb_calloc(1, sizeof *w);
    nadb_rc rc = NADB_OK;

    *out = NULL;
    if (w != NULL) w->s = nadb_calloc(1, sizeof *w->s);
    if (w == NULL || w->s == NULL) goto no_memory;
    w->s->os = nadb_os_get();
    w->s->home.os = w->s->os;
    w->s->options = options;
    atomic_store(&w->s->busy_timeout_ms, options->busy_timeout_ms);
    w->s->base_ops = base;
    rc = engine_dir_name(w->s, err);
    if (rc != NADB_OK) goto failed;
    w->repair = name_with(w->s->ns_name, "%repair");
    w->repaired = name_with(w->s->ns_name, "%repaired");
    if (w->repair == NULL || w->repaired == NULL) goto no_memory;
    *out = w;
    return NADB_OK;
no_memory:
    rc = nadb_fail(err, NADB_NOMEM, "repairing %s", options->path);
failed:
    wreck_close(w);
    return rc;
}

static bool is_there(const wreck *w, const char *name) {
    nadb_stat st;

    return w->s->os->stat(w->above, name, &st, NULL) == NADB_OK &&
           st.kind == NADB_KIND_DIR;
}

/* The store's folder is missing. An earlier repair may have moved it aside and
 * died before the new one took its place; the exchange is completed. */
static nadb_rc finish(wreck *w, bool *finished, nadb_err *err) {
    engine *s = w->s;
    nadb_dir *top = NULL;
    nadb_rc rc = s->os->dir_open(s->options->path, &top, err);

    if (rc == NADB_OK) rc = s->os->dir_enter(top, s->db_name, &w->above, err);
    s->os->dir_close(top);
    if (rc != NADB_OK) return rc;
    if (!is_there(w, w->repaired))
        return nadb_fail(err, NADB_CANTOPEN, "there is no store in %s", s->dir);
    rc = s->os->rename(w->above, w->repaired, s->ns_name, err);
    if (rc == NADB_OK) rc = s->os->dir_sync(w->above, err);
    *finished = rc == NADB_OK;
    return rc;
}

/* Locks out openers. REQUIRES: the directory is open. */
static nadb_rc lock_out(wreck *w, nadb_err *err) {
    engine *s = w->s;
    bool ours = false, foreign = false;
    nadb_rc rc = engine_dir_look(s, s->home.dir, &ours, &foreign, err);

    if (rc == NADB_OK && !ours)
        rc = nadb_fail(err, NADB_CANTOPEN,
                       "%s does not look like a store: neither control nor "
                       "MANIFEST nor a log says so",
                       s->dir);
    if (rc == NADB_OK)
        rc = s->os->open(s->home.dir, "control",
                         NADB_OPEN_WRITE | NADB_OPEN_CREATE, s->home.file_mode,
                         &w->control, err);
    if (rc == NADB_OK)
        rc = control_lock_out(s->os, w->control,
                              atomic_load(&s->busy_timeout_ms), err);
    if (rc == NADB_OK) rc = s->os->dir_up(s->home.dir, &w->above, err);
    return rc;
}

nadb_rc wreck_open(const nadb_options *options, const nadb_base_ops *base,
                   wreck **out, bool *finished, nadb_err *err) {
    wreck *w = NULL;
    bool there = false;
    nadb_rc rc = wreck_new(options, base, &w, err);

    *out = NULL;
    *finished = false;
    if (rc == NADB_OK) rc = engine_dir_find(w->s, &there, err);
    if (rc == NADB_OK) rc = there ? lock_out(w, err) : finish(w, finished, err);
    if (rc == NADB_OK && !*finished) {
        *out = w;
        w = NULL;
    }
    wreck_close(w);
    return rc;
}

nadb_rc wreck_prepare(wreck *w, const char **folder, nadb_err *err) {
    nadb_rc rc = engine_remove_left(w->s, w->above, w->repair, err);

    if (rc == NADB_OK)
        rc = engine_remove_left(w->s, w->above, w->repaired, err);
    *folder = w->repair;
    return rc;
}

/* --- logs --- */

typedef struct reading {
    wreck *w;
    const nadb_salvage *to;
    uint64_t stamp;   /* of the database file */
    uint64_t decided; /* records say that stamps up to this one are decided */
    nadb_buf numbers; /* uint64_t, numbers of logs */
    wal log;
    uint64_t limit;   /* its records end here at the latest */
    nadb_buf vouched; /* memtable_vouched, sorted by offset */
    nadb_buf known;   /* memtable_known */
} reading;

static nadb_rc tell(const reading *r, uint64_t off, const char *what) {
    nadb_report(r->to->report, r->to->ctx, "%s: offset %llu: %s",
                r->log.os->path(r->log.file), (unsigned long long)off, what);
    return NADB_OK;
}

static size_t n_vouched(const reading *r) {
    return r->vouched.n / sizeof(memtable_vouched);
}

/* Index of the first entry at or behind `off`. */
static size_t vouched_from(const reading *r, uint64_t off) {
    const memtable_vouched *v =
        (const memtable_vouched *)(const void *)r->vouched.p;
    size_t lo = 0, hi = n_vouched(r);

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (v[mid].off < off)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static const memtable_vouched *vouched_at(const reading *r, size_t i) {
    return (const memtable_vouched *)(const void *)r->vouched.p + i;
}

static nadb_rc give(const reading *r, const wal_entry *e, nadb_err *err) {
    nadb_entry out;

    if (e->key.n == 0 || e->key.p[0] != NADB_KS_ROW) return NADB_OK;
    memset(&out, 0, sizeof out);
    out.key = e->key;
    out.value = e->value;
    if (e->tombstone) out.flags = NADB_ENTRY_TOMBSTONE;
    return r->to->change(r->to->ctx, &out, err);
}

/* True if a good record was committed. */
static bool is_committed(const reading *r, const wal_record *rec) {
    uint64_t first = (uint64_t)(rec->entries.p - r->log.map);
    size_t i;

    if (rec->taken_back) return false;
    if (rec->stamp.number == 0 || rec->stamp.number <= r->stamp ||
        rec->stamp.number <= r->decided)
        return true;
    i = vouched_from(r, first);
    return i < n_vouched(r) && vouched_at(r, i)->off < first + rec->entries.n;
}

static nadb_rc give_record(reading *r, wal_record *rec, nadb_err *err) {
    wal_entry e;
    nadb_rc rc = NADB_OK;

    if (!is_committed(r, rec)) {
        if (!rec->taken_back)
            return tell(r, rec->off,
                        "a transaction that its database file has not "
                        "committed is left out");
        return NADB_OK;
    }
    if (rec->flags & WAL_CLEAR) rc = r->to->clear(r->to->ctx, err);
    while (rc == NADB_OK && wal_entry_next(&r->log, rec, &e))
        rc = give(r, &e, err);
    return rc;
}

/* A part of a damaged record without confirmed entries: log offsets, and the
 * keys of the good entries around it. */
typedef struct gap {
    const reading *r;
    uint64_t from, to;
    nadb_slice before, after; /* p == NULL: there is none in the record */
    bool hashes;              /* the index has keys in it */
} gap;

/* True if the index has a key with this hash in the gap. */
static bool in_gap(const gap *g, nadb_slice key) {
    const memtable_known *k =
        (const memtable_known *)(const void *)g->r->known.p;
    uint32_t hash = (uint32_t)(nadb_hash64(key) >> 32);

    for (size_t i = 0; i < g->r->known.n / sizeof *k; i++)
        if (k[i].key_off >= g->from && k[i].key_off < g->to &&
            k[i].hash == hash)
            return true;
    return false;
}

static bool gap_hit(void *arg, nadb_slice key) {
    const gap *g = arg;

    return !g->hashes || in_gap(g, key);
}

static bool has_hashes(const gap *g) {
    const memtable_known *k =
        (const memtable_known *)(const void *)g->r->known.p;

    for (size_t i = 0; i < g->r->known.n / sizeof *k; i++)
        if (k[i].key_off >= g->from && k[i].key_off < g->to) return true;
    return false;
}

/* Gives up the keys of a gap. Their bytes may be damaged, so this covers all
 * rows between the neighbours whose hash the index has in the gap; or all rows
 * between them, if it has none. Without neighbours only the bytes themselves
 * can be used. */
static nadb_rc give_up(gap *g, nadb_err *err) {
    const nadb_salvage *to = g->r->to;
    uint64_t at = g->from;
    nadb_rc rc = NADB_OK;

    g->hashes = has_hashes(g);
    while (rc == NADB_OK && at < g->to) {
        wal_entry e;

        if (!wal_entry_at(&g->r->log, at, g->to, &e) || e.key.n == 0) break;
        if (e.key.p[0] == NADB_KS_ROW && gap_hit(g, e.key))
            rc = to->lose(to->ctx, e.key, err);
        at = (uint64_t)(e.value.p + e.value.n - g->r->log.map);
    }
    if (rc != NADB_OK ||
        (!g->hashes && (g->before.p == NULL || g->after.p == NULL)))
        return rc;
    return to->lose_range(to->ctx, g->before, g->after, gap_hit, g, err);
}

/* Handles the part between two good records: confirmed entries, in the order of
 * their keys, and gaps between them. */
static nadb_rc give_damaged(reading *r, uint64_t off, uint64_t end,
                            nadb_err *err) {
    gap g = {.r = r, .from = wal_entries_at(&r->log, off)};
    nadb_rc rc = NADB_OK;

    for (size_t i = vouched_from(r, off); rc == NADB_OK && g.from < end; i++) {
        const memtable_vouched *v = i < n_vouched(r) ? vouched_at(r, i) : NULL;
        wal_entry e = {.off = 0};

        if (v != NULL && v->off < g.from) continue; /* already handled */
        if (v != NULL &&
            (v->end > end || !wal_entry_at(&r->log, v->off, end, &e)))
            v = NULL;
        g.to = v == NULL ? end : v->off;
        g.after = v == NULL ? nadb_slice_of(NULL, 0) : e.key;
        if (g.to - g.from >= 8 || (v != NULL && g.to > g.from))
            rc = give_up(&g, err);
        if (v == NULL) break;
        if (rc == NADB_OK) rc = give(r, &e, err);
        g.before = e.key;
        g.from = v->end;
    }
    return rc;
}

static nadb_rc read_records(reading *r, nadb_err *err) {
    uint64_t off = WAL_HEADER;
    nadb_rc rc = NADB_OK;

    while (rc == NADB_OK && off + WAL_RECORD <= r->limit) {
        wal_record rec;
        bool valid = false;
        uint64_t next;

        wal_record_at(&r->log, off, r->limit, true, &rec, &valid);
        if (valid) {
            rc = give_record(r, &rec, err);
            off += rec.length;
            continue;
        }
        next = wal_next_good(&r->log, off, r->limit);
        /* Nothing behind it was ever used: this is the end. */
        if (next == r->limit && vouched_from(r, off) == n_vouched(r)) break;
        rc = tell(r, off, "damaged record");
        if (rc == NADB_OK) rc = give_damaged(r, off, next, err);
        off = next;
    }
    return rc;
}

/* Opens the log, with a damaged header by the salt in its index. */
static nadb_rc open_log(reading *r, uint64_t number, bool *valid,
                        nadb_err *err) {
    nadb_home *home = &r->w->s->home;
    uint64_t salt = 0;
    nadb_err mine;
    nadb_rc rc;

    nadb_err_clear(&mine);
    rc = wal_open(&r->log, home, number, true, valid, &mine);
    if (*valid || rc == NADB_OK) return NADB_OK;
    /* Otherwise the log is unreadable, and older rows must not pass for its
     * newer ones. */
    if (rc != NADB_CORRUPT && mine.sys_errno != ENOENT)
        return nadb_fail(err, rc, "%s", mine.msg);
    r->to->report(r->to->ctx, mine.msg);
    rc = wal_salt_left(home, number, &salt, &mine);
    if (rc == NADB_OK)
        rc = wal_open_damaged(&r->log, home, number, salt, valid, &mine);
    if (rc == NADB_OK && !*valid && memtable_index_salt(home, number, &salt))
        rc = wal_open_damaged(&r->log, home, number, salt, valid, &mine);
    return rc == NADB_OK || rc == NADB_CORRUPT
               ? NADB_OK
               : nadb_fail(err, rc, "%s", mine.msg);
}

/* Limits the log to the end that the next log's header gives for it. */
static void limit_to(reading *r, uint64_t next) {
    bool valid = false;
    wal log;

    if (next == 0 ||
        wal_open(&log, &r->w->s->home, next, true, &valid, NULL) != NADB_OK ||
        !valid)
        return;
    if (log.decided > r->decided) r->decided = log.decided;
    if (log.cut && log.prev_log == r->log.number && log.prev_end < r->limit)
        r->limit = log.prev_end;
    wal_close(&log);
}

/* Finds the highest stamp that a record calls decided. */
static void note_decided(reading *r) {
    uint64_t off = WAL_HEADER;
    wal_record rec;
    bool valid = true;

    while (valid) {
        wal_record_at(&r->log, off, r->limit, true, &rec, &valid);
        if (valid && rec.decided > r->decided) r->decided = rec.decided;
        off += valid ? rec.length : 0;
    }
}

static nadb_rc read_log(reading *r, uint64_t number, uint64_t next,
                        nadb_err *err) {
    bool valid = false;
    uint64_t size = 0;
    nadb_rc rc = open_log(r, number, &valid, err);

    if (rc != NADB_OK || !valid) return rc;
    rc = r->log.os->size(r->log.file, &size, err);
    r->limit = size < r->log.capacity ? size : r->log.capacity;
    nadb_buf_reset(&r->vouched);
    nadb_buf_reset(&r->known);
    if (rc == NADB_OK)
        rc = memtable_vouch(&r->log, &r->w->s->home, &r->vouched, &r->known,
                            err);
    limit_to(r, next);
    note_decided(r);
    if (rc == NADB_OK) rc = read_records(r, err);
    wal_close(&r->log);
    return rc;
}

static nadb_rc each_name(void *ctx, const char *name, nadb_err *err) {
    reading *r = ctx;
    const char *kind = "";
    uint64_t number = 0;

    if (!nadb_file_parse(name, &number, &kind) || strcmp(kind, "log") != 0)
        return NADB_OK;
    return nadb_buf_append(&r->numbers, &number, sizeof number)
               ? NADB_OK
               : nadb_fail(err, NADB_NOMEM, "listing logs");
}

static int by_number(const void *a, const void *b) {
    const uint64_t *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

static nadb_rc read_logs(reading *r, uint64_t first_log, nadb_err *err) {
    engine *s = r->w->s;
    nadb_rc rc = s->os->dir_list(s->home.dir, each_name, r, err);
    const uint64_t *numbers = (const uint64_t *)(const void *)r->numbers.p;
    size_t n = r->numbers.n / sizeof *numbers;

    if (rc == NADB_OK && n > 1)
        qsort(r->numbers.p, n, sizeof *numbers, by_number);
    for (size_t i = 0; rc == NADB_OK && i < n; i++)
        if (numbers[i] >= first_log)
            rc = read_log(r, numbers[i], i + 1 < n ? numbers[i + 1] : 0, err);
    return rc;
}

nadb_rc wreck_read(wreck *w, uint64_t stamp, const nadb_salvage *to,
                   nadb_err *err) {
    reading r = {.w = w, .to = to, .stamp = stamp};
    nadb_base_env env = {.os = w->s->os,
                         .options = w->s->options,
                         .home = &w->s->home,
                         .dir = w->s->dir,
                         .read_only = true};
    uint64_t first_log = 0;
    nadb_rc rc = w->s->base_ops->salvage(&env, to, &first_log, err);

    if (rc == NADB_OK) rc = read_logs(&r, first_log, err);
    nadb_buf_clear(&r.numbers);
    nadb_buf_clear(&r.vouched);
    nadb_buf_clear(&r.known);
    return rc;
}

/* --- the exchange --- */

#define ASIDE_MOST 1000

nadb_rc wreck_replace(wreck *w, char **aside, nadb_err *err) {
    engine *s = w->s;
    char *name = NULL;
    nadb_rc rc = s->os->rename(w->above, w->repair, w->repaired, err);

    *aside = NULL;
    if (rc == NADB_OK) rc = s->os->dir_sync(w->above, err);
    for (int i = 1; rc == NADB_OK && i <= ASIDE_MOST; i++) {
        char suffix[32];

        snprintf(suffix, sizeof suffix, "%%damaged-%d", i);
        nadb_free(name);
        name = name_with(s->ns_name, suffix);
        if (name == NULL)
            rc = nadb_fail(err, NADB_NOMEM, "repairing %s", s->dir);
        else if (!is_there(w, name))
            break;
    }
    if (rc == NADB_OK) rc = s->os->rename(w->above, s->ns_name, name, err);
    if (rc == NADB_OK)
        rc = s->os->rename(w->above, w->repaired, s->ns_name, err);
    if (rc == NADB_OK) rc = s->os->dir_sync(w->above, err);
    if (rc == NADB_OK) {
        *aside = nadb_path_join(s->os->dir_path(w->above), name);
        if (*aside == NULL)
            rc = nadb_fail(err, NADB_NOMEM, "repairing %s", s->dir);
    }
    nadb_free(name);
    return rc;
}
