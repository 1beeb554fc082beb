/* manifest_fuzz.c - hostile MANIFEST bytes: no crash, no hang, no read outside
 * of them; what is accepted is written back the same, and a compaction that is
 * picked from it is one of its runs or tables.
 * Build and run: run.sh; seeds: fs_corpus.c.
 *
 * The checksum is put right first. */
#include "../../backends/fs/policy.h"
#include "fuzz.h"
#include "repair.h"

static void pick(const fs_manifest *m) {
    nadb_compact_goal goal = {m->seq, 1000, NULL};

    for (int all = 0; all <= 1; all++) {
        fs_task t;

        if (!fs_pick(m, 1 << 20, m->seq, all == 1 ? &goal : NULL, &t)) continue;
        MUST(t.n > 0 && t.first < m->n_runs && t.n <= m->n_runs - t.first);
        if (t.rewrite) MUST(t.table < m->n_tables);
    }
    (void)fs_dead_bytes(m);
}

/* Any spelling of a varint but the shortest is refused by the reader, so equal
 * contents are equal bytes. */
static void again(const fs_manifest *m, nadb_slice bytes) {
    nadb_buf b = NADB_BUF_INIT;

    if (fs_manifest_encode(m, &b, NULL) == NADB_OK)
        MUST(nadb_slice_eq(nadb_buf_slice(&b), bytes));
    nadb_buf_clear(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t *copy = malloc(size == 0 ? 1 : size);
    fs_manifest m;

    if (copy == NULL) return 0;
    if (size > 0) memcpy(copy, data, size);
    repair_manifest(copy, size);
    if (fs_manifest_decode(nadb_slice_of(copy, size), "M", &m, NULL) ==
        NADB_OK) {
        pick(&m);
        again(&m, nadb_slice_of(copy, size));
        fs_manifest_clear(&m);
    }
    free(copy);
    return 0;
}
