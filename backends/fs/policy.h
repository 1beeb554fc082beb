/* policy.h - which compaction is due. Pure arithmetic over a manifest.
 *
 * Runs, newest first, are of two kinds: the oldest one is the bottom, all
 * others are above it. Runs above are merged four of a size at a time, so that
 * an entry is rewritten once for each time the data grow fourfold, and few
 * runs are left for a get to ask. They are merged into the bottom when more
 * than a quarter of all bytes is dead, when they outweigh the bottom, or when
 * walks over tombstones have cost as much as the merge will.
 *
 * A merge too large for one step is a sweep: its sources are flagged in
 * MANIFEST, and each step takes the next stretch of keys, from low to high. */
#ifndef NADB_FS_POLICY_H
#define NADB_FS_POLICY_H

#include "../../core/backend.h"
#include "manifest.h"

typedef struct fs_task {
    size_t first; /* merge runs [first, first + n) into the oldest of them */
    size_t n;
    bool sweep;   /* in steps: the sources are flagged in MANIFEST */
    bool rewrite; /* rewrite only `table` of run `first`, in place */
    size_t table; /* index in manifest.tables */
    /* rewrite: move the values of this file to a new one; 0: none */
    uint64_t val;
} fs_task;

/* Chooses the next task; false if nothing is due or, with a goal (may be NULL),
 * nothing is left for it. A step has about `step_bytes` of input. `passed`:
 * tombstones that walks have passed since the last merge into the bottom. */
bool fs_pick(const fs_manifest *m, uint64_t step_bytes, uint64_t passed,
             const nadb_compact_goal *goal, fs_task *out);
/* Estimate of bytes in files that no reader needs. */
double fs_dead_bytes(const fs_manifest *m);
/* Bytes of a table that are in use, large values included. */
double fs_live_bytes(const fs_meta *t);

#endif
