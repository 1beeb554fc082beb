/* wal_test.c - the write-ahead log: records come back as they were written,
 * damage of any byte is noticed, and no length leads out of bounds. */
#include "../../core/engine/wal.h"
#include "../support/os_test.h"
#include "home.h"
#include "rig.h"

#define CAPACITY ((uint64_t)4 << 20)

/* --- changes: an iterator over entries made of a seed --- */

enum { ENTRIES_MAX = 400 };

typedef struct entry {
    char key[40];
    size_t key_n, value_n;
    uint64_t value_at; /* in the noise */
    bool tombstone;
} entry;

typedef struct changes {
    nadb_iter base;
    entry e[ENTRIES_MAX];
    size_t n, at;
    size_t fail_at; /* an error instead of this one; SIZE_MAX: none */
} changes;

static nadb_rc changes_show(changes *c, nadb_err *err) {
    const entry *e = &c->e[c->at];

    c->base.valid = false;
    if (c->at == c->fail_at) return nadb_fail(err, NADB_IOERR, "no more");
    if (c->at >= c->n) return NADB_OK;
    memset(&c->base.entry, 0, sizeof c->base.entry);
    c->base.entry.key = nadb_slice_of(e->key, e->key_n);
    c->base.entry.value = nadb_slice_of(rig_noise() + e->value_at, e->value_n);
    c->base.entry.flags = e->tombstone ? NADB_ENTRY_TOMBSTONE : 0;
    c->base.valid = true;
    return NADB_OK;
}

static nadb_rc changes_next(nadb_iter *base, nadb_err *err) {
    changes *c = (changes *)base;

    c->at++;
    return changes_show(c, err);
}

static nadb_rc changes_seek(nadb_iter *base, nadb_slice key, nadb_err *err) {
    changes *c = (changes *)base;

    (void)key; /* always the beginning */
    c->at = 0;
    return changes_show(c, err);
}

static const nadb_iter_ops changes_ops = {changes_next, changes_seek, NULL};

static void changes_draw(changes *c, size_t n, size_t value_max) {
    memset(c, 0, sizeof *c);
    c->base.ops = &changes_ops;
    c->fail_at = SIZE_MAX;
    c->n = n;
    for (size_t i = 0; i < n; i++) {
        entry *e = &c->e[i];

        e->key_n = (size_t)snprintf(e->key, sizeof e->key, "key %06zu", i);
        e->tombstone = rig_rnd(5) == 0;
        e->value_n = e->tombstone ? 0 : rig_rnd(value_max + 1);
        e->value_at = rig_rnd(4096);
    }
}

/* --- a log --- */

static const nadb_os *os;
static nadb_home home;
static nadb_buf scratch;

static bool make(wal *w, uint64_t number) {
    wal_birth birth = {.number = number,
                       .capacity = CAPACITY,
                       .base_seq = 7,
                       .prev_log = number - 1,
                       .prev_end = 99,
                       .decided = 5,
                       .cut = number % 2};
    nadb_err err;

    return CHECK_OK(wal_create(w, &home, &birth, &err), err) &&
           CHECK_OK(os->reserve(w->file, 0, CAPACITY, &err), err);
}

static nadb_rc put(wal *w, uint64_t off, changes *c, uint32_t flags,
                   uint64_t synced, uint64_t *length, nadb_err *err) {
    wal_note note = {.synced = synced, .clear = (flags & WAL_CLEAR) != 0};
    uint32_t count = 0;
    nadb_rc rc = NADB_OK;

    if (c != NULL) rc = nadb_iter_seek(&c->base, nadb_slice_of("", 0), err);
    if (rc != NADB_OK) return rc;
    rc = wal_append(w, off, c == NULL ? NULL : &c->base, &note, &scratch,
                    length, &count, err);
    if (rc == NADB_OK) CHECK_U64(count, c == NULL ? 0 : c->n);
    return rc;
}

/* The record at `off` is that of `c`. */
static void check_record(const wal *w, uint64_t off, uint64_t end, changes *c,
                         uint64_t length) {
    wal_record r;
    wal_entry e;
    bool valid = false;
    size_t n = c == NULL ? 0 : c->n;

    wal_record_at(w, off, end, true, &r, &valid);
    REQUIRE(valid);
    CHECK_U64(r.length, length);
    CHECK_U64(r.off, off);
    CHECK(!r.taken_back);
    REQUIRE(r.count == n);
    for (size_t i = 0; i < n; i++) {
        nadb_err err;

        c->at = i;
        CHECK_OK(changes_show(c, &err), err);
        REQUIRE(wal_entry_next(w, &r, &e));
        CHECK(nadb_slice_eq(e.key, c->base.entry.key));
        CHECK(nadb_slice_eq(e.value, c->base.entry.value));
        CHECK(e.tombstone == c->e[i].tombstone);
        /* found again by its place alone */
        CHECK(wal_entry_at(w, e.off, end, &e));
        CHECK(nadb_slice_eq(e.key, c->base.entry.key));
    }
    CHECK(!wal_entry_next(w, &r, &e));
}

static changes *drawn[40];

/* Random records of all sizes, with and without entries; read in place, and
 * after opening the log again. */
static void test_records(void) {
    uint64_t offs[40], lengths[40], off = WAL_HEADER;
    uint32_t flags[40];
    bool valid;
    wal w;
    nadb_err err;

    REQUIRE(make(&w, 5));
    for (int i = 0; i < 40; i++) {
        size_t n =
            (size_t)(rig_rnd(4) == 0 ? rig_rnd(ENTRIES_MAX) : rig_rnd(4));

        changes_draw(drawn[i], n, rig_rnd(3) == 0 ? 4000 : 40);
        offs[i] = off;
        flags[i] = rig_rnd(4) == 0 ? WAL_CLEAR : 0;
        if (off + 2000000 > CAPACITY) changes_draw(drawn[i], 0, 0);
        REQUIRE_OK(put(&w, off, drawn[i], flags[i], wal_place(5, off),
                       &lengths[i], &err),
                   err);
        CHECK(lengths[i] % 8 == 0);
        CHECK(lengths[i] <= wal_record_bound(n, (uint64_t)n * 4040));
        off += lengths[i];
    }
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 40; i++) {
            wal_record r;

            check_record(&w, offs[i], off, drawn[i], lengths[i]);
            wal_record_at(&w, offs[i], off, true, &r, &valid);
            CHECK(r.flags == flags[i] && r.synced == wal_place(5, offs[i]));
        }
        wal_close(&w);
        REQUIRE_OK(wal_open(&w, &home, 5, round == 0, &valid, &err), err);
        REQUIRE(valid);
        CHECK(w.base_seq == 7 && w.prev_log == 4 && w.prev_end == 99 && w.cut);
    }
    wal_close(&w);
    wal_close(&w);
}

/* A record of several pieces is written header last: as long as its header is
 * missing there is no record. */
static void test_pieces(void) {
    changes *c = drawn[0];
    uint64_t length = 0;
    wal_record r;
    bool valid;
    wal w;
    nadb_err err;

    REQUIRE(make(&w, 6));
    changes_draw(c, 60, 0);
    for (size_t i = 0; i < c->n; i++) {
        c->e[i].tombstone = false;
        c->e[i].value_n = 60000;
    }
    for (uint64_t nth = 1; nth < 8; nth++) {
        uint64_t fired;
        nadb_rc rc;

        test_fault_set("pwrite", nth, nth % 2 == 0 ? "SHORT" : "EIO", false,
                       NULL);
        rc = put(&w, WAL_HEADER, c, 0, 0, &length, &err);
        test_fault_clear(NULL, &fired);
        wal_record_at(&w, WAL_HEADER, CAPACITY, true, &r, &valid);
        if (fired == 0) {
            CHECK_OK(rc, err);
            CHECK(nth > 3);
            check_record(&w, WAL_HEADER, WAL_HEADER + length, c, length);
            wal_close(&w);
            return;
        }
        CHECK(rc != NADB_OK && !valid);
    }
    CHECK(false); /* it was never written */
}

/* The source of the changes fails half way. */
static void test_source_fails(void) {
    changes *c = drawn[0];
    uint64_t length = 0;
    wal_record r;
    bool valid;
    wal w;
    nadb_err err;

    REQUIRE(make(&w, 7));
    changes_draw(c, 30, 60000);
    c->fail_at = 29;
    CHECK(put(&w, WAL_HEADER, c, 0, 0, &length, &err) == NADB_IOERR);
    CHECK_STR(err.msg, "no more");
    wal_record_at(&w, WAL_HEADER, CAPACITY, true, &r, &valid);
    CHECK(!valid);
    wal_close(&w);
}

static void test_take_back(void) {
    changes *c = drawn[0];
    uint64_t length = 0;
    wal_record r;
    bool valid;
    wal w;
    nadb_err err;

    REQUIRE(make(&w, 8));
    changes_draw(c, 3, 100);
    REQUIRE_OK(put(&w, WAL_HEADER, c, 0, 0, &length, &err), err);
    REQUIRE_OK(wal_take_back(&w, WAL_HEADER, &err), err);
    wal_record_at(&w, WAL_HEADER, WAL_HEADER + length, true, &r, &valid);
    CHECK(valid && r.taken_back);
    wal_close(&w);
}

/* --- damage --- */

/* The bytes of a small log in memory, behind a page that must not be read. */
typedef struct image {
    nadb_buf bytes;
    wal w;
    uint64_t length;
} image;

static bool image_make(image *m, uint64_t number) {
    changes *c = drawn[0];
    wal w;
    nadb_err err;
    bool ok;

    memset(m, 0, sizeof *m);
    changes_draw(c, 5, 60);
    if (!make(&w, number)) return false;
    ok = CHECK_OK(put(&w, WAL_HEADER, c, 0, 0, &m->length, &err), err) &&
         CHECK(nadb_buf_append(&m->bytes, w.map,
                               (size_t)(WAL_HEADER + m->length)));
    m->w = w;
    m->w.map = m->bytes.p;
    m->w.capacity = m->bytes.n; /* the sanitizer guards what is behind */
    wal_close(&w);
    return ok;
}

static bool reads_whole(const image *m) {
    wal_record r;
    wal_entry e;
    bool valid;

    wal_record_at(&m->w, WAL_HEADER, m->bytes.n, true, &r, &valid);
    if (!valid) return false;
    while (wal_entry_next(&m->w, &r, &e)) continue;
    return r.count == 0;
}

/* Each bit that flips makes the record void; but for those of its state, of
 * which all but one pattern do. */
static void test_flipped_bits(void) {
    image m;

    REQUIRE(image_make(&m, 9));
    CHECK(reads_whole(&m));
    for (size_t at = WAL_HEADER; at < m.bytes.n; at++)
        for (unsigned bit = 0; bit < 8; bit++) {
            m.bytes.p[at] ^= (uint8_t)(1u << bit);
            if (!CHECK(!reads_whole(&m)))
                printf("  byte %zu, bit %u\n", at - WAL_HEADER, bit);
            m.bytes.p[at] ^= (uint8_t)(1u << bit);
        }
    CHECK(reads_whole(&m));
    /* cut short anywhere */
    for (uint64_t end = 0; end < m.bytes.n; end++) {
        wal_record r;
        bool valid;

        wal_record_at(&m.w, WAL_HEADER, end, true, &r, &valid);
        CHECK(!valid);
    }
    /* and moved to another log */
    m.w.seed++;
    CHECK(!reads_whole(&m));
    nadb_buf_clear(&m.bytes);
}

/* Whatever the bytes, unchecked reading stays inside. */
static void test_hostile_bytes(void) {
    int rounds = rig_soak() ? 2000000 : 40000;
    image m;

    REQUIRE(image_make(&m, 10));
    for (int i = 0; i < rounds; i++) {
        uint8_t *copy = malloc(m.bytes.n);
        wal w = m.w;
        wal_record r;
        wal_entry e;
        bool valid;

        if (copy == NULL) break;
        memcpy(copy, m.bytes.p, m.bytes.n);
        for (uint64_t k = rig_rnd(6); k > 0; k--)
            copy[WAL_HEADER + rig_rnd(m.length)] =
                (uint8_t)(rig_rnd(2) == 0 ? 0xff : rig_rnd(256));
        w.map = copy;
        wal_record_at(&w, WAL_HEADER, m.bytes.n, false, &r, &valid);
        while (valid && wal_entry_next(&w, &r, &e))
            CHECK(e.key.p + e.key.n <= copy + m.bytes.n &&
                  e.value.p + e.value.n <= copy + m.bytes.n);
        (void)wal_entry_at(&w, rig_rnd(m.bytes.n + 10), m.bytes.n, &e);
        free(copy);
    }
    nadb_buf_clear(&m.bytes);
}

/* --- headers --- */

static nadb_rc overwrite(uint64_t number, uint64_t off, const void *p,
                         size_t n) {
    nadb_file *f = NULL;
    nadb_rc rc =
        nadb_home_open(&home, number, "log", NADB_OPEN_WRITE, &f, NULL);

    if (rc == NADB_OK) rc = os->pwrite(f, p, n, off, NULL);
    os->close(f);
    return rc;
}

static void test_damaged_header(void) {
    uint8_t h[WAL_HEADER], zeros[WAL_HEADER] = {0};
    bool valid;
    wal w;
    nadb_err err;

    REQUIRE(make(&w, 11));
    memcpy(h, w.map, sizeof h);
    wal_close(&w);
    for (size_t at = 0; at < WAL_HEADER; at++) {
        uint8_t bad = h[at] ^ (uint8_t)(1u << rig_rnd(8));

        REQUIRE(overwrite(11, at, &bad, 1) == NADB_OK);
        CHECK(wal_open(&w, &home, 11, false, &valid, &err) == NADB_CORRUPT);
        CHECK(!valid && strstr(err.msg, "000011.log") != NULL);
        REQUIRE(overwrite(11, at, &h[at], 1) == NADB_OK);
    }
    CHECK_OK(wal_open(&w, &home, 11, false, &valid, &err), err);
    CHECK(valid);
    wal_close(&w);
    /* never written, as after a power cut: no log, and no damage */
    REQUIRE(overwrite(11, 0, zeros, sizeof zeros) == NADB_OK);
    CHECK_OK(wal_open(&w, &home, 11, false, &valid, &err), err);
    CHECK(!valid && w.os == NULL);
    CHECK(wal_open(&w, &home, 12, false, &valid, &err) == NADB_CANTOPEN);
}

static void test_create_fails(void) {
    static const char *const classes[] = {"open", "pwrite", "map", "malloc"};
    uint64_t number = 20;
    nadb_err err;

    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++) {
        uint64_t fired = 1;

        for (uint64_t nth = 1; fired > 0; nth++, number++) {
            wal_birth birth = {.number = number, .capacity = CAPACITY};
            bool valid;
            wal w;
            nadb_rc rc;

            test_fault_set(classes[i], nth, "EIO", false, NULL);
            rc = wal_create(&w, &home, &birth, &err);
            test_fault_clear(NULL, &fired);
            wal_close(&w);
            if (fired == 0) CHECK_OK(rc, err);
            if (rc == NADB_OK) continue;
            CHECK(wal_open(&w, &home, number, true, &valid, &err) ==
                  NADB_CANTOPEN); /* nothing is left */
        }
    }
}

int main(void) {
    rig_seed_init();
    os = nadb_os_get();
    home_init(&home, unit_dir());
    for (int i = 0; i < 40; i++) {
        drawn[i] = calloc(1, sizeof *drawn[i]);
        if (drawn[i] == NULL) return 1;
    }
    RUN(test_records);
    RUN(test_pieces);
    RUN(test_source_fails);
    RUN(test_take_back);
    RUN(test_flipped_bits);
    RUN(test_hostile_bytes);
    RUN(test_damaged_header);
    RUN(test_create_fails);
    for (int i = 0; i < 40; i++) free(drawn[i]);
    nadb_buf_clear(&scratch);
    return unit_done();
}
