/* rig.h - a store, a history of transactions that is known to the last byte,
 * and the question which part of it a store holds; for power_test.c and
 * fault_test.c.
 *
 * A transaction is named by its number, from 1, in the order in which their
 * records come in the log. What it writes under a key follows from number and
 * key, so the state of a store is told by one number a key. */
#ifndef NADB_TEST_RIG_H
#define NADB_TEST_RIG_H

#include <sys/statvfs.h>

#include "../../core/kv/tags.h"
#include "../../core/nadb.h"
#include "../../core/util/os.h"
#include "../support/os_test.h"
#include "unit.h"

enum { RIG_KEYS = 40, RIG_OPS = 12, RIG_TXNS = 4000 };

typedef struct rig_op {
    uint8_t key;
    bool del;
} rig_op;

typedef enum rig_fate {
    RIG_OPEN,      /* prepared or on the way there */
    RIG_COMMITTED, /* acknowledged */
    RIG_BACK       /* taken back, and that was acknowledged */
} rig_fate;

typedef struct rig_txn {
    bool clear;
    uint8_t n;
    rig_op ops[RIG_OPS];
    rig_fate fate;
    uint64_t begun; /* power events when its record could first exist */
    uint64_t ended; /* .. when its fate was known */
} rig_txn;

typedef struct rig_history {
    rig_txn txns[RIG_TXNS]; /* number n is txns[n - 1] */
    uint32_t n;
    uint32_t base; /* added to the number in what is written */
} rig_history;

typedef struct rig_state {
    uint32_t by[RIG_KEYS]; /* who wrote the key; 0: it is not there */
} rig_state;

/* --- chance --- */

static uint64_t rig_seed;

static inline uint64_t rig_rnd(uint64_t below) {
    uint64_t z = rig_seed += UINT64_C(0x9E3779B97F4A7C15);

    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return (z ^ z >> 31) % below;
}

static inline void rig_seed_init(void) {
    const char *given = getenv("NADB_SEED");

    if (given != NULL)
        rig_seed = strtoull(given, NULL, 10);
    else
        nadb_os_get()->random(&rig_seed, 4);
    printf("NADB_SEED=%llu\n", (unsigned long long)rig_seed);
    fflush(stdout);
}

/* Thousands of stores are made and synced: in memory, where there is room. */
static inline void rig_use_memory(void) {
    struct statvfs fs;

    if (getenv("TMPDIR") != NULL || statvfs("/dev/shm", &fs) != 0) return;
    if (access("/dev/shm", W_OK) != 0) return;
    if ((uint64_t)fs.f_bavail * fs.f_frsize < (uint64_t)512 << 20) return;
    (void)setenv("TMPDIR", "/dev/shm", 1);
}

static inline void rig_remove(const char *dir) {
    char command[300];

    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    if (system(command) != 0) printf("cannot remove %s\n", dir);
}

static inline bool rig_soak(void) { return getenv("NADB_SOAK") != NULL; }

/* --- what is written --- */

static inline uint64_t rig_mix(uint32_t key, uint32_t txn) {
    uint32_t in[2] = {key, txn};

    return nadb_hash64(nadb_slice_of(in, sizeof in));
}

static inline nadb_slice rig_key(uint32_t key, char buf[64]) {
    int n = snprintf(buf, 64, "key %02u", key);

    if (key % 8 == 3) /* some that share 8 bytes, and some long ones */
        n = snprintf(buf, 64, "a common beginning and %02u", key);
    return nadb_slice_of(buf, (size_t)n);
}

#define RIG_VALUE_MAX 100000u

/* Bytes that the whole length of a value is made of. */
static inline const uint8_t *rig_noise(void) {
    static uint8_t *noise;
    uint64_t s = 7;

    if (noise != NULL) return noise;
    noise = malloc(RIG_VALUE_MAX + 4096);
    if (noise == NULL) return NULL;
    for (size_t i = 0; i < RIG_VALUE_MAX + 4096; i++) {
        s = s * UINT64_C(6364136223846793005) + 1442695040888963407u;
        noise[i] = (uint8_t)(s >> 56);
    }
    return noise;
}

static inline size_t rig_value_n(uint32_t key, uint32_t txn) {
    uint64_t h = rig_mix(key, txn);

    switch (h % 32) {
    case 0:
        return 0;
    case 1:
    case 2:
    case 3:
        return 8 + h / 32 % 5000;
    case 4:
        return 30000 + h / 32 % (RIG_VALUE_MAX - 30000);
    default:
        return 8 + h / 32 % 120;
    }
}

/* The value, in a static buffer: number and key, then noise. */
static inline nadb_slice rig_value(uint32_t key, uint32_t txn) {
    static uint8_t buf[RIG_VALUE_MAX];
    size_t n = rig_value_n(key, txn);

    if (n == 0) return nadb_slice_of(buf, 0);
    memcpy(buf, &txn, 4);
    memcpy(buf + 4, &key, 4);
    memcpy(buf + 8, rig_noise() + rig_mix(key, txn) % 4096, n - 8);
    return nadb_slice_of(buf, n);
}

/* Tags and expiry follow from number and key, too. The halves of the keys share
 * no tag: two transactions that are prepared at once may not share a counter.
 */
enum { RIG_TAGS = 6 };
#define RIG_EXPIRES INT64_C(4000000000000) /* ms, and some more */

static inline unsigned rig_tag_bits(uint32_t key, uint32_t txn) {
    uint64_t h = rig_mix(key, txn) >> 20;
    unsigned half = (1u << RIG_TAGS / 2) - 1;

    return (unsigned)(h | h >> 8) &
           (key < RIG_KEYS / 2 ? half : half << RIG_TAGS / 2);
}

/* The list, in a static buffer. */
static inline nadb_slice rig_tags(uint32_t key, uint32_t txn) {
    static uint8_t buf[RIG_TAGS * 4];
    unsigned bits = rig_tag_bits(key, txn);
    uint8_t *p = buf;

    for (unsigned i = 0; i < RIG_TAGS; i++) {
        if ((bits >> i & 1) == 0) continue;
        *p++ = 2;
        *p++ = 't';
        *p++ = (uint8_t)('0' + i);
    }
    return nadb_slice_of(buf, (size_t)(p - buf));
}

static inline int64_t rig_expires(uint32_t key, uint32_t txn) {
    uint64_t h = rig_mix(key, txn) >> 40;

    return h % 3 == 0 ? RIG_EXPIRES + (int64_t)(h / 3 % 4) : NADB_NO_EXPIRY;
}

/* --- the model --- */

static inline void rig_apply(rig_state *s, const rig_history *h, uint32_t txn) {
    const rig_txn *t = &h->txns[txn - 1];

    if (t->clear) memset(s, 0, sizeof *s);
    for (unsigned i = 0; i < t->n; i++)
        s->by[t->ops[i].key] = t->ops[i].del ? 0 : h->base + txn;
}

/* Draws what a transaction does, with keys of [lo, hi); the last operation
 * marks the number. */
static inline void rig_draw(rig_txn *t, uint8_t lo, uint8_t hi, bool clear) {
    unsigned n = 1 + (unsigned)rig_rnd(rig_rnd(8) == 0 ? RIG_OPS - 1 : 4);

    memset(t, 0, sizeof *t);
    t->clear = clear;
    for (unsigned i = 0; i < n; i++)
        t->ops[i] =
            (rig_op){(uint8_t)(lo + 1 + rig_rnd((uint64_t)(hi - lo - 1))),
                     rig_rnd(5) == 0};
    t->ops[n] = (rig_op){lo, false};
    t->n = (uint8_t)(n + 1);
}

/* --- the store --- */

/* Opens the store in `dir`; flags as nadb_store_open(). The options live as
 * long as the process: few are needed. */
typedef struct rig_how {
    nadb_durability sync;
    unsigned buffer_bytes;
    bool no_mmap;
    bool no_create;
    int64_t busy_ms; /* 0: two seconds */
    bool read_only;
    int opener; /* stores of different ones are as of different processes */
} rig_how;

static inline nadb_rc rig_open(const char *dir, const rig_how *how,
                               nadb_store **out, bool *created, nadb_err *err) {
    char path[600];
    const char *args[] = {"backend='fs'", path, "flush_interval=3600",
                          "busy_timeout=2000", "namespace='n'"};
    nadb_place place = {"kv", NULL, NULL};
    nadb_options *o = NULL;
    nadb_rc rc;

    *out = NULL;
    snprintf(path, sizeof path, "path='%s/s'", dir);
    rc = nadb_options_parse(args, 5, &place, &o, err);
    if (rc != NADB_OK) return rc;
    o->synchronous = how->sync;
    o->buffer_bytes = how->buffer_bytes;
    o->mmap = !how->no_mmap;
    o->read_only = how->read_only;
    if (how->busy_ms > 0) o->busy_timeout_ms = how->busy_ms;
    test_os_opener(how->opener);
    rc = nadb_store_open(o, how->no_create ? 0 : NADB_STORE_CREATE, out,
                         created, err);
    test_os_opener(0);
    nadb_options_free(o);
    return rc;
}

/* One row without tags, which stays, into the session's batch. */
static inline nadb_rc rig_put(nadb_session *ss, const char *key, nadb_value v,
                              nadb_err *err) {
    nadb_put_req req = {.key = nadb_slice_str(key),
                        .mode = NADB_PUT_BLIND,
                        .value = &v,
                        .created_ms = INT64_MIN,
                        .updated_ms = INT64_MIN,
                        .expires_ms = NADB_NO_EXPIRY};

    return nadb_put(ss, &req, err);
}

/* The transaction's changes, into the session's batch. */
static inline nadb_rc rig_write(nadb_session *ss, const rig_history *h,
                                uint32_t txn, nadb_err *err) {
    const rig_txn *t = &h->txns[txn - 1];
    nadb_rc rc = NADB_OK;

    if (t->clear) rc = nadb_clear(ss, NULL, err);
    for (unsigned i = 0; i < t->n && rc == NADB_OK; i++) {
        char buf[64];
        uint32_t key = t->ops[i].key;
        nadb_value v = {.type = NADB_BLOB,
                        .bytes = rig_value(key, h->base + txn)};
        nadb_put_req req = {.key = rig_key(key, buf),
                            .mode = NADB_PUT_BLIND,
                            .value = &v,
                            .tags = rig_tags(key, h->base + txn),
                            .created_ms = INT64_MIN,
                            .updated_ms = INT64_MIN,
                            .expires_ms = rig_expires(key, h->base + txn)};

        rc = t->ops[i].del ? nadb_delete(ss, req.key, err)
                           : nadb_put(ss, &req, err);
    }
    return rc;
}

/* One row into *s; false when it is not what its writer wrote. */
static inline bool rig_row(nadb_cursor *c, rig_state *s) {
    const nadb_row *row = nadb_cursor_row(c);
    nadb_value v;
    nadb_err err;
    char buf[64];
    uint32_t txn = 0, key = 0;

    while (key < RIG_KEYS && !nadb_slice_eq(row->key, rig_key(key, buf))) key++;
    if (!CHECK(key < RIG_KEYS)) return false;
    if (!CHECK_OK(nadb_cursor_value(c, &v, NULL, &err), err)) return false;
    if (v.bytes.n == 0) {
        s->by[key] = UINT32_MAX; /* some transaction with an empty value */
        return CHECK(row->size == 0);
    }
    if (!CHECK(v.type == NADB_BLOB && v.bytes.n >= 8)) return false;
    memcpy(&txn, v.bytes.p, 4);
    s->by[key] = txn;
    return CHECK(nadb_slice_eq(v.bytes, rig_value(key, txn))) &&
           CHECK(nadb_slice_eq(row->tags, rig_tags(key, txn))) &&
           CHECK(row->expires_ms == rig_expires(key, txn));
}

/* Reads everything, one way; NADB_OK with *whole false when rows are not as
 * they were written. */
static inline nadb_rc rig_scan(nadb_session *ss, bool reverse, rig_state *s,
                               bool *whole, nadb_err *err) {
    nadb_scan all = {.reverse = reverse};
    nadb_cursor *c = NULL;
    nadb_rc rc = nadb_cursor_new(ss, &c, err);

    memset(s, 0, sizeof *s);
    *whole = true;
    if (rc == NADB_OK) rc = nadb_cursor_scan(c, &all, err);
    while (rc == NADB_OK && nadb_cursor_row(c) != NULL) {
        *whole = rig_row(c, s) && *whole;
        rc = nadb_cursor_next(c, err);
    }
    nadb_cursor_free(c);
    return rc;
}

static inline bool rig_same(const rig_state *got, const rig_state *want) {
    for (uint32_t k = 0; k < RIG_KEYS; k++) {
        uint32_t by = want->by[k];

        if (by != 0 && rig_value_n(k, by) == 0) by = UINT32_MAX;
        if (got->by[k] != by) return false;
    }
    return true;
}

static inline void rig_print(const char *what, const rig_state *s) {
    printf("  %s:", what);
    for (uint32_t k = 0; k < RIG_KEYS; k++)
        printf(" %d", s->by[k] == UINT32_MAX ? -1 : (int)s->by[k]);
    printf("\n");
}

static inline void rig_problem(void *ctx, const char *what) {
    (*(unsigned *)ctx)++;
    printf("  nadb_check: %s\n", what);
}

/* --- indexes --- */

typedef struct rig_counts {
    unsigned rows[RIG_TAGS];
    unsigned counter[RIG_TAGS];
    unsigned mortal;
} rig_counts;

static inline nadb_rc rig_counter(void *ctx, nadb_slice tag, int64_t rows,
                                  nadb_err *err) {
    rig_counts *c = ctx;

    if (tag.n != 2 || tag.p[1] - '0' >= RIG_TAGS)
        return nadb_corrupt(err, "a tag nobody gave");
    c->counter[tag.p[1] - '0'] = (unsigned)rows;
    return NADB_OK;
}

/* Counts what a scan gives, row by row; adds tags and expiries up in *c where
 * it is not NULL. */
static inline nadb_rc rig_walk(nadb_session *ss, const nadb_scan *scan,
                               unsigned *rows, rig_counts *c, nadb_err *err) {
    nadb_cursor *cursor = NULL;
    nadb_rc rc = nadb_cursor_new(ss, &cursor, err);
    const nadb_row *row;

    *rows = 0;
    if (rc == NADB_OK) rc = nadb_cursor_scan(cursor, scan, err);
    while (rc == NADB_OK && (row = nadb_cursor_row(cursor)) != NULL) {
        nadb_slice tags, tag;

        ++*rows;
        rc = nadb_cursor_load(cursor, err);
        tags = row->tags;
        while (c != NULL && rc == NADB_OK && nadb_tags_next(&tags, &tag))
            c->rows[tag.p[1] - '0']++;
        if (c != NULL && row->expires_ms != NADB_NO_EXPIRY) c->mortal++;
        if (rc == NADB_OK) rc = nadb_cursor_next(cursor, err);
    }
    nadb_cursor_free(cursor);
    return rc;
}

/* Rows found by each tag, both ways, and by expiry, and the counters, are what
 * the rows say. */
static inline bool rig_indexes(nadb_session *ss) {
    rig_counts c;
    nadb_scan all = {.reverse = false};
    nadb_scan mortal = {.by_expiry = true,
                        .expires_from = RIG_EXPIRES,
                        .expires_to = INT64_MAX};
    unsigned n = 0;
    bool ok;
    nadb_err err;

    memset(&c, 0, sizeof c);
    ok = CHECK_OK(rig_walk(ss, &all, &n, &c, &err), err) &&
         CHECK_OK(rig_walk(ss, &mortal, &n, NULL, &err), err) &&
         CHECK_U64(n, c.mortal) &&
         CHECK_OK(
             nadb_tags_count(ss, nadb_slice_of(NULL, 0), rig_counter, &c, &err),
             err);
    for (unsigned i = 0; i < RIG_TAGS && ok; i++) {
        char tag[] = {'t', (char)('0' + i), 0};
        nadb_match *m = NULL;

        ok = CHECK_U64(c.counter[i], c.rows[i]) &&
             CHECK_OK(nadb_match_parse(nadb_slice_str(tag), &m, &err), err);
        for (int reverse = 0; reverse < 2 && ok; reverse++) {
            nadb_scan by_tag = {.reverse = reverse == 1, .match = m};

            ok = CHECK_OK(rig_walk(ss, &by_tag, &n, NULL, &err), err) &&
                 CHECK_U64(n, c.rows[i]);
        }
        nadb_match_free(m);
    }
    return ok;
}

/* The whole store both ways, by its indexes, and by nadb_check. */
static inline bool rig_read(nadb_store *s, rig_state *got) {
    nadb_session *ss = NULL;
    rig_state back;
    unsigned problems = 0;
    bool whole = false, whole_back = false, ok;
    nadb_err err;

    ok = CHECK_OK(nadb_session_new(s, &ss, &err), err) &&
         CHECK_OK(rig_scan(ss, false, got, &whole, &err), err) &&
         CHECK_OK(rig_scan(ss, true, &back, &whole_back, &err), err) &&
         rig_indexes(ss);
    nadb_session_free(ss);
    if (!ok) return false;
    ok = CHECK(whole && whole_back) &&
         CHECK(memcmp(got, &back, sizeof back) == 0);
    ok = CHECK_OK(nadb_store_check(s, rig_problem, &problems, &err), err) && ok;
    return CHECK_U64(problems, 0) && ok;
}

#endif
