/* feed.h - kept changes and the size limit of a store on Redis: settings of the
 * tables that go along with each commit. */
#ifndef NADB_REDIS_FEED_H
#define NADB_REDIS_FEED_H

#include "engine.h"

/* --- feed.c --- */

void redis_keep_changes(nadb_engine *engine, nadb_keep keep);
nadb_rc redis_changes(nadb_engine *engine, nadb_view *view, uint64_t since,
                      nadb_changes **out, nadb_err *err);
/* Adds `keep` and `limit` of lua/lib/request.lua. False: nothing was added,
 * because neither is set and `always` is false. */
bool redis_add_wishes(redis_engine *e, args *a, bool always);

/* --- evict.c --- */

extern const nadb_limit_ops redis_limit;
/* The limit of the store's size; 0: none. */
uint64_t redis_limit_of(redis_engine *e);
/* The error for the answer that a commit would make the store too large. */
nadb_rc redis_full(uint64_t limit, const redisReply *r, nadb_err *err);

/* --- totals.c --- */

nadb_rc redis_totals(nadb_engine *engine, nadb_view *v, nadb_totals *out,
                     nadb_err *err);
/* Adds the totals of one store (a shard) to *out. If they are not known,
 * out->known becomes false. */
nadb_rc redis_totals_add(redis_engine *e, nadb_totals *out, nadb_err *err);
/* Counts the store if its totals are unknown. They stay unknown if other
 * clients keep writing. */
nadb_rc redis_add_up(redis_engine *e, const nadb_stop *stop, nadb_err *err);
/* Reports if the stored totals differ from a count. */
nadb_rc redis_check_sum(redis_engine *e, nadb_report_fn *report, void *ctx,
                        nadb_err *err);

#endif
