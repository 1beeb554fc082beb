/* fs_ops.h - the operations of the base, one file each; fs.c lists them. */
#ifndef NADB_FS_OPS_H
#define NADB_FS_OPS_H

#include "base.h"

extern const nadb_base_ops fs_ops;

/* iter.c */
nadb_rc fs_iter(nadb_base_version *v, const nadb_range *range, nadb_iter **out,
                nadb_err *err);
/* flush.c */
nadb_rc fs_flush(nadb_base *b, const nadb_flush_req *req,
                 nadb_base_version **out, nadb_err *err);
/* compact.c */
nadb_rc fs_compact_step(nadb_base *b, const nadb_compact_goal *goal,
                        nadb_base_version **out, nadb_err *err);
/* unused.c */
nadb_rc fs_remove_unused(nadb_base *b, uint64_t oldest_generation,
                         nadb_err *err);
/* check.c */
nadb_rc fs_salvage(const nadb_base_env *env, const nadb_salvage *to,
                   uint64_t *first_log, nadb_err *err);
nadb_rc fs_check(nadb_base_version *v, nadb_report_fn *report, void *ctx,
                 nadb_err *err);
/* stats.c */
void fs_stats(nadb_base_version *v, nadb_stat_fn *tell, void *ctx);

#endif
