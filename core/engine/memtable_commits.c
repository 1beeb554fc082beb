/* memtable_commits.c - the list of commits in a memtable's index.
 *
 *   head->commit --> seq 9, off --> seq 7, off --> seq 4, off --> 0
 *
 * A log has records in the order of their prepares. This list has the committed
 * ones in the order of their commits, newest first, so that a walk over changes
 * visits nothing else. It takes 24 bytes of the index per commit, and is kept
 * if the store keeps changes (head->keeps). */
#include "../util/coding.h"
#include "../util/crc32c.h"
#include "memtable_node.h"

static uint32_t commit_sum(const memtable *m, const version *v) {
    uint8_t h[28];

    nadb_put_u64(h, v->seq);
    nadb_put_u64(h + 8, v->off);
    nadb_put_u32(h + 16, v->older);
    nadb_put_u64(h + 20, m->log.salt);
    return nadb_crc32c(0, h, sizeof h);
}

nadb_rc memtable_commit_add(memtable *m, uint64_t off, uint64_t seq,
                            nadb_err *err) {
    uint32_t newest = atomic_load(&m->head->commit);
    version *v;
    uint64_t at;

    if (atomic_load(&m->head->keeps) == 0) return NADB_OK;
    if (newest != 0) {
        const version *old = memtable_version_at(m, newest);

        if (old == NULL) return memtable_damaged(m, err);
        if (old->seq >= seq) return NADB_OK; /* already listed */
    }
    if (!memtable_index_fits(m, atomic_load(&m->head->alloc), sizeof *v))
        return memtable_damaged(m, err);
    at = memtable_take(m, sizeof *v);
    v = (version *)((uint8_t *)m->head + at);
    v->seq = seq;
    v->off = off;
    v->older = newest;
    v->sum = commit_sum(m, v);
    atomic_store_explicit(&m->head->commit, (uint32_t)(at / 8),
                          memory_order_release);
    return NADB_OK;
}

static void turn_around(memtable_commit *c, size_t n) {
    for (size_t i = 0; i < n / 2; i++) {
        memtable_commit other = c[n - 1 - i];

        c[n - 1 - i] = c[i];
        c[i] = other;
    }
}

nadb_rc memtable_commits(memtable *m, uint64_t since, uint64_t upto,
                         nadb_buf *out, nadb_err *err) {
    uint32_t at = atomic_load_explicit(&m->head->commit, memory_order_acquire);
    uint64_t above = UINT64_MAX;
    size_t begin = out->n;

    while (at != 0) {
        const version *v = memtable_version_at(m, at);
        memtable_commit c;

        if (v == NULL || v->seq >= above || v->sum != commit_sum(m, v))
            return memtable_damaged(m, err);
        if (v->seq <= since) break;
        c.seq = above = v->seq;
        c.off = v->off;
        if (c.seq <= upto && !nadb_buf_append(out, &c, sizeof c))
            return nadb_fail(err, NADB_NOMEM, "listing changes");
        at = v->older;
    }
    if (out->n > begin)
        turn_around((memtable_commit *)(void *)(out->p + begin),
                    (out->n - begin) / sizeof(memtable_commit));
    return NADB_OK;
}
