/* compare.h - finds the differences between the rows of a store and a chain. */
#ifndef NADB_BACKUP_COMPARE_H
#define NADB_BACKUP_COMPARE_H

#include "chain.h"

typedef struct backup_compare_req {
    nadb_engine *engine;
    nadb_view *view;
    /* several threads may walk over the view (NADB_CAP_THREADS) */
    bool threads;
    const backup_chain *chain;
    int64_t now_ms; /* rows that had expired by then do not count */
    const nadb_stop *stop;
    /* Both are called in the order of keys by the calling thread, and borrow
     * for the call. put(): the row is new or different; `hash` is
     * backup_print.hash. gone(): only the chain has the key. */
    nadb_rc (*put)(void *ctx, nadb_slice key, nadb_slice value, uint64_t hash,
                   nadb_err *err);
    nadb_rc (*gone)(void *ctx, nadb_slice key, nadb_err *err);
    void *ctx;
} backup_compare_req;

/* *total: number of rows of the store that have not expired. */
nadb_rc backup_compare(const backup_compare_req *req, uint64_t *total,
                       nadb_err *err) NADB_MUST_USE;

#endif
