/* key_list.h - a list of keys in one piece of memory. */
#ifndef NADB_KEY_LIST_H
#define NADB_KEY_LIST_H

#include "../util/bytes.h"

typedef struct key_list {
    size_t n;
    nadb_buf bytes; /* of the keys */
    nadb_buf ends;  /* array of size_t: where each key ends */
} key_list;

static inline void key_list_reset(key_list *l) {
    l->n = 0;
    nadb_buf_reset(&l->bytes);
    nadb_buf_reset(&l->ends);
}

static inline void key_list_clear(key_list *l) {
    l->n = 0;
    nadb_buf_clear(&l->bytes);
    nadb_buf_clear(&l->ends);
}

/* Copies the key. */
static inline nadb_rc key_list_add(key_list *l, nadb_slice key, nadb_err *err) {
    size_t end = l->bytes.n + key.n;

    if (!nadb_buf_append(&l->bytes, key.p, key.n) ||
        !nadb_buf_append(&l->ends, &end, sizeof end))
        return nadb_fail(err, NADB_NOMEM, "listing keys");
    l->n++;
    return NADB_OK;
}

/* Valid until a key is added. */
static inline nadb_slice key_list_at(const key_list *l, size_t i) {
    size_t from = 0, to;

    if (i > 0) memcpy(&from, l->ends.p + (i - 1) * sizeof from, sizeof from);
    memcpy(&to, l->ends.p + i * sizeof to, sizeof to);
    return nadb_slice_of(l->bytes.p + from, to - from);
}

#endif
