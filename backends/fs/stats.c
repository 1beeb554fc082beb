/* stats.c - statistics of a version. */
#include "fs_ops.h"
#include "policy.h"

void fs_stats(nadb_base_version *base, nadb_stat_fn *tell, void *ctx) {
    const fs_manifest *m = &((fs_version *)base)->m;
    uint64_t bytes = 0, entries = 0, tombstones = 0, large = 0;

    for (size_t i = 0; i < m->n_tables; i++) {
        bytes += m->tables[i].size;
        entries += m->tables[i].count;
        tombstones += m->tables[i].tombstones;
    }
    for (size_t i = 0; i < m->n_vals; i++) large += m->vals[i].size;
    tell(ctx, "files", (double)(m->n_tables + m->n_vals));
    tell(ctx, "stored_bytes", (double)base->bytes);
    tell(ctx, "table_count", (double)m->n_tables);
    tell(ctx, "table_runs", (double)m->n_runs);
    tell(ctx, "table_bytes", (double)bytes);
    tell(ctx, "table_entries", (double)entries);
    tell(ctx, "table_tombstones", (double)tombstones);
    tell(ctx, "value_files", (double)m->n_vals);
    tell(ctx, "value_bytes", (double)large);
    tell(ctx, "dead_bytes", fs_dead_bytes(m));
    tell(ctx, "generation", (double)m->generation);
}
