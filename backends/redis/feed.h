/* feed.h - what a store on Redis keeps of changes, and how large it may become:
 * wishes of the tables that are told with each commit. */
#ifndef NADB_REDIS_FEED_H
#define NADB_REDIS_FEED_H

#include "engine.h"

/* --- feed.c --- */

void redis_keep_changes(nadb_engine *engine, nadb_keep keep);
nadb_rc redis_changes(nadb_engine *engine, nadb_view *view, uint64_t since,
                      nadb_changes **out, nadb_err *err);
/* Adds `keep` and `limit` of lua/lib/request.lua; false: it has added nothing,
 * since there is no such wish, and need not `always`. */
bool redis_add_wishes(redis_engine *e, args *a, bool always);

/* --- evict.c --- */

extern const nadb_limit_ops redis_limit;
/* Beyond it nothing is added; 0: there is none. */
uint64_t redis_limit_of(redis_engine *e);
/* What a commit was answered that would make the store too large. */
nadb_rc redis_full(uint64_t limit, const redisReply *r, nadb_err *err);

/* --- totals.c --- */

nadb_rc redis_totals(nadb_engine *engine, nadb_view *v, nadb_totals *out,
                     nadb_err *err);
/* Adds up what there is, where that is not known. Where others do not stop
 * writing it stays so. */
nadb_rc redis_add_up(redis_engine *e, const nadb_stop *stop, nadb_err *err);
/* Reports where what is kept is not what there is. */
nadb_rc redis_check_sum(redis_engine *e, nadb_report_fn *report, void *ctx,
                        nadb_err *err);

#endif
