/* tag_queries.h - how often each tag was asked for in this process, and when
 * last: for nadb_tags. In memory, as what access.h notes; of the tags that come
 * when there are TAG_QUERIES_MAX already nothing is kept. */
#ifndef NADB_TAG_QUERIES_H
#define NADB_TAG_QUERIES_H

#include "../nadb.h"
#include "../util/sync.h"
#include "key_map.h"

typedef struct nadb_tag_queries {
    bool started;
    nadb_mutex lock; /* guards what follows */
    key_map counts, last_ms;
} nadb_tag_queries;

nadb_rc nadb_tag_queries_start(nadb_tag_queries *q,
                               nadb_err *err) NADB_MUST_USE;
void nadb_tag_queries_stop(nadb_tag_queries *q); /* never started is fine */
/* A walk asks for each tag of the expression; prefixes are not tags. */
void nadb_tag_queries_note(nadb_tag_queries *q, const nadb_match *m,
                           int64_t now_ms);
/* *queries is 0 for a tag that was not asked for. */
void nadb_tag_queries_find(nadb_tag_queries *q, nadb_slice tag,
                           int64_t *queries, int64_t *last_ms);

#endif
