/* tag_queries.h - how often this process has queried each tag, and when last;
 * for nadb_tags. Kept in memory. With TAG_QUERIES_MAX tags in the table,
 * further tags are not noted. */
#ifndef NADB_TAG_QUERIES_H
#define NADB_TAG_QUERIES_H

#include "../nadb.h"
#include "../util/sync.h"
#include "key_map.h"

typedef struct nadb_tag_queries {
    bool started;
    nadb_mutex lock; /* guards the fields below */
    key_map counts, last_ms;
} nadb_tag_queries;

nadb_rc nadb_tag_queries_start(nadb_tag_queries *q,
                               nadb_err *err) NADB_MUST_USE;
/* may be called if it was never started */
void nadb_tag_queries_stop(nadb_tag_queries *q);
/* Notes a query of each tag in the expression; prefixes are not noted. */
void nadb_tag_queries_note(nadb_tag_queries *q, const nadb_match *m,
                           int64_t now_ms);
/* *queries: 0 for a tag that was never queried. */
void nadb_tag_queries_find(nadb_tag_queries *q, nadb_slice tag,
                           int64_t *queries, int64_t *last_ms);

#endif
