/* clock.c - see clock.h. A slot of 0 is free. */
#include "clock.h"

#define WAYS 4u
#define STEP_MS 8
#define TIME_BITS 28
#define TIME_MASK (((uint64_t)1 << TIME_BITS) - 1)
#define USES_FIRST 5u   /* uses of a row that was just written */
#define USES_SLOWER 10u /* a larger number makes `uses` grow more slowly */
#define MINUTE (60000 / STEP_MS)

nadb_rc nadb_clock_init(nadb_clock *c, uint64_t rows, int64_t now_ms,
                        nadb_err *err) {
    size_t most = NADB_CLOCK_BYTES_MOST / sizeof *c->slots;

    c->n = 4096;
    while (c->n < most && c->n < rows * 2) c->n *= 2;
    c->start_ms = now_ms;
    c->slots = nadb_calloc(c->n, sizeof *c->slots);
    if (c->slots != NULL) return NADB_OK;
    return nadb_fail(err, NADB_NOMEM, "out of memory for the clocks of rows");
}

void nadb_clock_clear(nadb_clock *c) {
    nadb_free((void *)c->slots);
    c->slots = NULL;
}

static uint64_t time_of(const nadb_clock *c, int64_t now_ms) {
    int64_t ms = now_ms - c->start_ms;

    return ms < 0 ? 0 : (uint64_t)(ms / STEP_MS) & TIME_MASK;
}

/* Steps since the time in a slot, modulo the number of times. */
static uint64_t since(uint64_t slot, uint64_t now) {
    return (now + TIME_MASK + 1 - (slot & TIME_MASK)) & TIME_MASK;
}

static uint64_t tag_of(uint64_t hash) {
    uint64_t tag = hash >> 36;

    return tag == 0 ? 1 : tag;
}

/* The number of uses after its decay up to `now`. */
static unsigned uses_left(uint64_t slot, uint64_t now) {
    unsigned uses = (unsigned)(slot >> TIME_BITS) & 0xff;
    uint64_t passed = since(slot, now) / MINUTE;

    return passed >= uses ? 0 : uses - (unsigned)passed;
}

/* Adds one use, with a probability that falls with the number of uses. */
static unsigned count_use(unsigned uses, uint64_t chance) {
    unsigned above = uses < USES_FIRST ? 0 : uses - USES_FIRST;

    return uses < 255 && chance % (above * USES_SLOWER + 1) == 0 ? uses + 1
                                                                 : uses;
}

void nadb_clock_note(nadb_clock *c, nadb_slice key, int64_t now_ms) {
    uint64_t hash = nadb_hash64(key), now = time_of(c, now_ms);
    _Atomic uint64_t *set =
        c->slots + (hash & (c->n - 1) & ~(size_t)(WAYS - 1));
    unsigned at = 0, uses = USES_FIRST;
    uint64_t oldest = 0;

    for (unsigned i = 0; i < WAYS; i++) {
        uint64_t slot = atomic_load_explicit(&set[i], memory_order_relaxed);
        uint64_t age = slot == 0 ? UINT64_MAX : since(slot, now);

        if (slot >> (TIME_BITS + 8) == tag_of(hash)) {
            at = i;
            uses = count_use(uses_left(slot, now), hash ^ now * 0x9e3779b9u);
            break;
        }
        if (i == 0 || age > oldest) {
            oldest = age;
            at = i;
        }
    }
    atomic_store_explicit(&set[at],
                          tag_of(hash) << (TIME_BITS + 8) |
                              (uint64_t)uses << TIME_BITS | now,
                          memory_order_relaxed);
}

bool nadb_clock_find(const nadb_clock *c, nadb_slice key, int64_t *ms,
                     unsigned *uses) {
    uint64_t hash = nadb_hash64(key);
    const _Atomic uint64_t *set =
        c->slots + (hash & (c->n - 1) & ~(size_t)(WAYS - 1));

    for (unsigned i = 0; i < WAYS; i++) {
        uint64_t slot = atomic_load_explicit(&set[i], memory_order_relaxed);

        if (slot >> (TIME_BITS + 8) != tag_of(hash)) continue;
        *ms = c->start_ms + (int64_t)(slot & TIME_MASK) * STEP_MS;
        *uses = (unsigned)(slot >> TIME_BITS) & 0xff;
        return true;
    }
    return false;
}
