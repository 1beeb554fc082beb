/* array.c - a backend in a file of its own: rows in a sorted array.
 *
 * It is a map (nadb/backend.h, "maps"): it shows states that never change, and
 * derives the next one. The library makes the rest of an engine of that: the
 * snapshots, commits and savepoints of all connections, conflict checks, tags
 * and expiry. Everything is in memory and each commit copies all of it, so this
 * backend is for small stores.
 *
 *     cc -shared -fPIC -O2 -o array.so array.c
 *     SELECT nadb_backend_load('/home/me/array.so');
 *     CREATE VIRTUAL TABLE t USING nadb(backend='array');
 *
 * A state is one block of memory: the entries in the order of their keys, and
 * then the bytes of their keys and values, to which the entries point.
 *
 *     n  bytes | at[0]  at[1]  .. | key 0, value 0, key 1, value 1, ..
 *
 * An entry is found by its index, which is all that a place has to be. */
#include <nadb/plugin.h>

struct nadb_map_state {
    size_t n;        /* number of entries */
    size_t bytes;    /* of their keys and values */
    nadb_entry at[]; /* [n] */
};

/* There is nothing that all states of a store share, so there is no nadb_map.
 * A table would pass its options here (nadb_option_text()). */
static nadb_rc map_open(const nadb_options *options, nadb_map **out,
                        nadb_map_state **first, nadb_err *err) {
    nadb_map_state *empty = nadb_calloc(1, sizeof *empty);

    (void)options, (void)out;
    if (empty == NULL) return nadb_fail(err, NADB_NOMEM, "opening a store");
    *first = empty;
    return NADB_OK;
}

static void state_free(nadb_map *m, nadb_map_state *s) {
    (void)m;
    nadb_free(s);
}

/* --- reading --- */

/* Number of keys that are below `key`. */
static size_t rank(const nadb_map_state *s, nadb_slice key) {
    size_t lo = 0, hi = s->n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (nadb_slice_cmp(s->at[mid].key, key) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static void show(const nadb_map_state *s, size_t i, nadb_map_place *at,
                 nadb_entry *out) {
    at->i = i;
    *out = s->at[i];
}

static nadb_rc seek(nadb_map *m, const nadb_map_state *s, nadb_slice key,
                    bool before, nadb_map_place *at, nadb_entry *out,
                    bool *found, nadb_err *err) {
    size_t i = key.p == NULL ? s->n : rank(s, key);

    (void)m, (void)err;
    *found = before ? i > 0 : i < s->n;
    if (*found) show(s, before ? i - 1 : i, at, out);
    return NADB_OK;
}

static nadb_rc step(nadb_map *m, const nadb_map_state *s, bool back,
                    nadb_map_place *at, nadb_entry *out, bool *found,
                    nadb_err *err) {
    (void)m, (void)err;
    *found = back ? at->i > 0 : at->i + 1 < s->n;
    if (*found) show(s, back ? at->i - 1 : at->i + 1, at, out);
    return NADB_OK;
}

/* --- the next state --- */

/* Appends a copy of an entry. The bytes of the state begin at `bytes`, and the
 * block has room for what is appended. */
static void append(nadb_map_state *s, uint8_t *bytes, const nadb_entry *from) {
    nadb_entry *to = &s->at[s->n++];
    uint8_t *key = bytes + s->bytes, *value = key + from->key.n;

    nadb_copy(key, from->key.p, from->key.n);
    nadb_copy(value, from->value.p, from->value.n);
    *to = *from;
    to->key.p = key;
    to->value.p = value;
    s->bytes += from->key.n + from->value.n;
}

/* Merges the old entries with the changes. A change replaces the entry with its
 * key, and a tombstone only removes it. */
static nadb_rc merge(const nadb_map_state *old, nadb_iter *changes,
                     nadb_map_state *s, uint8_t *bytes, nadb_err *err) {
    size_t i = 0;
    nadb_rc rc = nadb_iter_next(changes, err);

    while (rc == NADB_OK && changes->valid) {
        const nadb_entry *change = &changes->entry;

        while (i < old->n && nadb_slice_cmp(old->at[i].key, change->key) < 0)
            append(s, bytes, &old->at[i++]);
        if (i < old->n && nadb_slice_eq(old->at[i].key, change->key)) i++;
        if ((change->flags & NADB_ENTRY_TOMBSTONE) == 0)
            append(s, bytes, change);
        rc = nadb_iter_next(changes, err);
    }
    while (rc == NADB_OK && i < old->n) append(s, bytes, &old->at[i++]);
    return rc;
}

static nadb_rc apply(nadb_map *m, const nadb_map_state *old,
                     const nadb_map_changes *changes, nadb_map_state **out,
                     nadb_err *err) {
    static const nadb_map_state none = {0, 0};
    const nadb_map_state *from = changes->clear ? &none : old;
    /* Enough even if no change replaces or removes an entry. */
    size_t entries = (from->n + changes->count) * sizeof from->at[0];
    size_t bytes = from->bytes + changes->bytes;
    nadb_map_state *s = nadb_malloc(sizeof *s + entries + bytes);
    nadb_rc rc;

    if (s == NULL) return nadb_fail(err, NADB_NOMEM, "committing");
    s->n = s->bytes = 0;
    rc = merge(from, changes->entries, s, (uint8_t *)s->at + entries, err);
    if (rc == NADB_OK)
        *out = s;
    else
        state_free(m, s);
    return rc;
}

/* --- the backend --- */

static const nadb_map_ops ops = {
    .open = map_open,
    .seek = seek,
    .step = step,
    .apply = apply,
    .state_free = state_free,
};

static const nadb_backend array = {
    .name = "array",
    .caps = NADB_CAP_MAP | NADB_CAP_SNAPSHOTS | NADB_CAP_INNOCUOUS |
            NADB_CAP_THREADS,
    .summary = "an example: a sorted array in memory",
    .map = &ops,
};
NADB_PLUGIN(array)
