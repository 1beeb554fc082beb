/* memtable_file.c - makes, opens and grows the two files of a memtable.
 *
 * Both files are mapped at full capacity, far beyond their ends, and grow below
 * the mapping in steps of GROW. Space is reserved before a page is touched, so
 * a full disk is an error and not a signal; and a mapping never moves. */
#include "memtable.h"

#include <errno.h>

#include "../util/assert.h"
#include "../util/coding.h"
#include "../util/crc32c.h"
#include "memtable_node.h"

#define MAGIC nadb_get_u64((const uint8_t *)"NADBidx1")
#define FORMAT 3u
#define GROW ((uint64_t)256 << 10)

static uint32_t bucket_count(uint64_t log_capacity) {
    uint32_t n = 1024;

    while (n < ((uint32_t)1 << 22) && (uint64_t)n * 128 < log_capacity) n *= 2;
    return n;
}

/* Capacity for a log full of the smallest entries. It is address space, not
 * memory. */
static uint64_t index_capacity(uint64_t log_capacity) {
    uint64_t n = log_capacity * 20 + ((uint64_t)1 << 20);
    uint64_t max = (uint64_t)UINT32_MAX * 8;

    return n < max ? n : max;
}

uint32_t memtable_index_crc(memtable *m, uint32_t crc, bool *ok) {
    uint64_t end = atomic_load(&m->head->alloc);

    if (!memtable_index_fits(m, end, 0)) {
        *ok = false;
        return crc;
    }
    if (end == memtable_first_free(m)) end = sizeof(memtable_head);
    return nadb_crc32c(crc, m->head, (size_t)end);
}

void memtable_tail_set(memtable *m, uint64_t tail) {
    nadb_set(&m->head->tail_not, ~tail);
    nadb_set(&m->head->tail, tail);
}

bool memtable_tail_ok(memtable *m) {
    uint64_t tail = memtable_tail(m);

    return atomic_load(&m->head->tail_not) == ~tail && tail >= WAL_HEADER &&
           tail % 8 == 0 && memtable_log_exists(m, tail);
}

bool memtable_is_whole(memtable *m) {
    return memtable_tail_ok(m) &&
           memtable_index_fits(m, atomic_load(&m->head->alloc), 0);
}

void memtable_unseal(memtable *m) {
    _Atomic uint32_t *bucket = (_Atomic uint32_t *)(m->head + 1);

    if (atomic_load(&m->head->alloc) != memtable_first_free(m)) return;
    for (uint32_t i = 0; i < m->buckets; i++)
        if (atomic_load_explicit(&bucket[i], memory_order_relaxed) != 0)
            atomic_store(&bucket[i], 0);
}

/* Turns a zeroed mapping into an empty index. The magic is written last, so a
 * half-made index is not valid. */
static void head_format(memtable *m) {
    memtable_head *h = m->head;

    h->version = FORMAT;
    h->buckets = m->buckets;
    h->salt = m->log.salt;
    h->number = m->log.number;
    h->capacity = m->idx_capacity;
    memtable_tail_set(m, WAL_HEADER);
    atomic_store(&h->log_reserved, WAL_HEADER);
    atomic_store(&h->idx_reserved, atomic_load(&m->idx_safe));
    atomic_store(&h->alloc, memtable_first_free(m));
    atomic_store(&h->magic, MAGIC);
}

static bool head_valid(const memtable *m) {
    const memtable_head *h = m->head;

    return atomic_load(&h->magic) == MAGIC && h->version == FORMAT &&
           h->salt == m->log.salt && h->number == m->log.number &&
           h->capacity == m->idx_capacity && h->buckets == m->buckets;
}

static nadb_rc index_map(memtable *m, nadb_err *err) {
    void *p = NULL;
    nadb_rc rc = m->log.os->map(m->idx_file, m->idx_capacity, true, &p, err);

    if (rc == NADB_OK) m->head = p;
    return rc;
}

/* Keeps the old index as NNNNNN.was until the log has been replayed: if the log
 * is damaged, it may be the only source that tells which entries are whole
 * (salvage.c). */
static void keep_index(const nadb_home *home, uint64_t number) {
    char idx[NADB_FILE_NAME], was[NADB_FILE_NAME];
    nadb_stat st;

    nadb_file_name(idx, number, "idx");
    nadb_file_name(was, number, "was");
    if (home->os->stat(home->dir, was, &st, NULL) == NADB_OK &&
        st.kind == NADB_KIND_NONE)
        (void)!home->os->rename(home->dir, idx, was, NULL);
}

/* Makes a new file; an existing one of that name is removed. */
static nadb_rc index_create(memtable *m, const nadb_home *home, uint64_t size,
                            nadb_err *err) {
    uint64_t number = m->log.number;
    nadb_rc rc;

    keep_index(home, number);
    rc = nadb_home_unlink(home, number, "idx", err);
    if (rc != NADB_OK) return rc;
    rc =
        nadb_home_open(home, number, "idx",
                       NADB_OPEN_WRITE | NADB_OPEN_CREATE | NADB_OPEN_EXCLUSIVE,
                       &m->idx_file, err);
    if (rc != NADB_OK) return rc;
    rc = home->os->reserve(m->idx_file, 0, size, err);
    if (rc == NADB_OK) rc = index_map(m, err);
    if (rc != NADB_OK) nadb_home_unlink(home, number, "idx", NULL);
    return rc;
}

static nadb_rc index_make(memtable *m, const nadb_home *home, bool private,
                          nadb_err *err) {
    const nadb_os *os = home->os;
    uint64_t size = sizeof(memtable_head) + MEMTABLE_SLACK + GROW +
                    (uint64_t)bucket_count(m->log.capacity) * 4;
    nadb_rc rc;

    m->idx_capacity = index_capacity(m->log.capacity);
    m->buckets = bucket_count(m->log.capacity);
    if (size > m->idx_capacity) size = m->idx_capacity;
    if (private) {
        void *p = NULL;

        rc = os->map_private(m->idx_capacity, &p, err);
        m->head = p;
        size = m->idx_capacity;
    } else {
        rc = index_create(m, home, size, err);
    }
    if (rc != NADB_OK) return rc;
    atomic_store(&m->idx_safe, size);
    head_format(m);
    return NADB_OK;
}

static memtable *blank(void) {
    memtable *m = nadb_calloc(1, sizeof *m);

    if (m != NULL) atomic_store(&m->refs, 1);
    return m;
}

static nadb_rc no_memory(const nadb_home *home, nadb_err *err) {
    return nadb_fail(err, NADB_NOMEM, "opening a memtable in %s",
                     home->os->dir_path(home->dir));
}

nadb_rc memtable_create(memtable **out, const nadb_home *home,
                        const wal_birth *birth, nadb_err *err) {
    memtable *m = blank();
    nadb_rc rc;

    *out = NULL;
    if (m == NULL) return no_memory(home, err);
    rc = wal_create(&m->log, home, birth, err);
    if (rc == NADB_OK) {
        atomic_store(&m->log_safe, WAL_HEADER);
        rc = index_make(m, home, false, err);
        if (rc != NADB_OK) nadb_home_unlink(home, birth->number, "log", NULL);
    }
    if (rc == NADB_OK) atomic_store(&m->head->keeps, (uint32_t)birth->keeps);
    if (rc == NADB_OK)
        *out = m;
    else
        memtable_unref(m);
    return rc;
}

static bool is_unlinked(const wal *w) {
    nadb_stat st;

    return w->os->fstat(w->file, &st, NULL) == NADB_OK && st.links == 0;
}

static nadb_rc index_open(memtable *m, const nadb_home *home, nadb_err *err) {
    nadb_err mine;
    nadb_rc rc;

    nadb_err_clear(&mine);
    rc = nadb_home_open(home, m->log.number, "idx", NADB_OPEN_WRITE,
                        &m->idx_file, &mine);
    /* A missing index can be rebuilt, unless the log was unlinked with it. */
    if (mine.sys_errno == ENOENT && !is_unlinked(&m->log))
        return memtable_damaged(m, err);
    if (rc != NADB_OK) {
        if (err != NULL) *err = mine;
        return rc;
    }
    m->idx_capacity = index_capacity(m->log.capacity);
    m->buckets = bucket_count(m->log.capacity);
    memtable_look_again(m);
    if (atomic_load(&m->idx_safe) < memtable_first_free(m))
        return memtable_damaged(m, err);
    rc = index_map(m, err);
    if (rc == NADB_OK && !head_valid(m)) rc = memtable_damaged(m, err);
    return rc;
}

nadb_rc memtable_attach(memtable **out, nadb_home *home, uint64_t number,
                        nadb_err *err) {
    memtable *m = blank();
    bool valid = false;
    nadb_rc rc;

    *out = NULL;
    if (m == NULL) return no_memory(home, err);
    rc = wal_open(&m->log, home, number, false, &valid, err);
    if (rc == NADB_OK && !valid)
        rc = nadb_corrupt(err, "log %llu in %s has a damaged header",
                          (unsigned long long)number,
                          home->os->dir_path(home->dir));
    if (rc == NADB_OK) rc = index_open(m, home, err);
    if (rc == NADB_OK)
        *out = m;
    else
        memtable_unref(m);
    return rc;
}

nadb_rc memtable_rebuild(memtable **out, nadb_home *home, uint64_t number,
                         bool private, nadb_err *err) {
    memtable *m = blank();
    bool valid = false;
    nadb_rc rc;

    *out = NULL;
    if (m == NULL) return no_memory(home, err);
    rc = wal_open(&m->log, home, number, private, &valid, err);
    if (rc == NADB_OK && valid) {
        memtable_look_again(m);
        rc = index_make(m, home, private, err);
    }
    if (rc == NADB_OK && valid) {
        atomic_store(&m->head->log_reserved, atomic_load(&m->log_safe));
        /* appending continues in another log */
        atomic_store(&m->head->closed, 1);
        *out = m;
    } else {
        memtable_unref(m);
    }
    return rc;
}

memtable *memtable_ref(memtable *m) {
    NADB_ASSERT(atomic_load(&m->refs) > 0);
    atomic_fetch_add(&m->refs, 1);
    return m;
}

void memtable_unref(memtable *m) {
    const nadb_os *os;

    NADB_ASSERT(m == NULL || atomic_load(&m->refs) > 0);
    if (m == NULL || atomic_fetch_sub(&m->refs, 1) != 1) return;
    os = m->log.os;
    if (m->head != NULL) os->unmap(m->head, m->idx_capacity);
    if (m->idx_file != NULL) os->close(m->idx_file);
    wal_close(&m->log);
    nadb_free(m);
}

/* Extends `file` to at least `need` bytes, in steps. `reserved` is only
 * updated; the size itself comes from the system. */
static nadb_rc grow(memtable *m, nadb_file *file, uint64_t need,
                    uint64_t capacity, _Atomic uint64_t *reserved,
                    _Atomic uint64_t *safe, nadb_err *err) {
    const nadb_os *os = m->log.os;
    uint64_t want = (need + GROW - 1) / GROW * GROW;
    uint64_t have;
    nadb_rc rc;

    if (need <= atomic_load(safe)) return NADB_OK;
    (void)memtable_look_again(m);
    have = atomic_load(safe);
    if (need <= have) return NADB_OK;
    if (want > capacity) want = capacity;
    rc = os->reserve(file, have, want, err);
    if (rc != NADB_OK) return rc;
    atomic_store(reserved, want);
    atomic_store(safe, want);
    return NADB_OK;
}

nadb_rc memtable_reserve(memtable *m, uint64_t log_bytes, uint64_t room,
                         bool *fits, nadb_err *err) {
    memtable_head *h = m->head;
    uint64_t tail = atomic_load(&h->tail);
    uint64_t alloc = atomic_load(&h->alloc);
    uint64_t log_end = tail + log_bytes;
    uint64_t idx_end = alloc + room + MEMTABLE_SLACK;
    nadb_rc rc;

    *fits = false;
    if (!memtable_tail_ok(m) || alloc < memtable_first_free(m) ||
        alloc % 8 != 0 || alloc > m->idx_capacity)
        return memtable_damaged(m, err);
    if (log_bytes > m->log.capacity || log_end > m->log.capacity ||
        room > m->idx_capacity || idx_end > m->idx_capacity)
        return NADB_OK;
    rc = grow(m, m->log.file, log_end, m->log.capacity, &h->log_reserved,
              &m->log_safe, err);
    if (rc == NADB_OK)
        rc = grow(m, m->idx_file, idx_end, m->idx_capacity, &h->idx_reserved,
                  &m->idx_safe, err);
    *fits = rc == NADB_OK;
    return rc;
}
