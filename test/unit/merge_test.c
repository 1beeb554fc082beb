/* merge_test.c - several sorted sources read as one: against a model, both
 * ways, with seeks, and with sources that fail. */
#include "../../core/util/least.h"
#include "../../core/util/merge.h"
#include "rig.h"

enum { KEYS = 40, SOURCES = 7 };

/* --- a source: what each key is in it --- */

typedef enum what { NOTHING, VALUE, TOMBSTONE } what;

typedef struct source {
    nadb_iter base;
    what keys[KEYS];
    int number;
    bool reverse;
    int at;      /* key it stands on */
    int fail_in; /* calls until one fails; negative: never */
    char key[8], value[16];
    unsigned *freed;
} source;

/* Those of every second ten share their first 8 bytes. */
static nadb_slice key_of(int key, char buf[24]) {
    int n = key / 10 % 2 == 0
                ? snprintf(buf, 24, "%d_______%02d", key / 10, key)
                : snprintf(buf, 24, "%02d", key);

    return nadb_slice_of(buf, (size_t)n);
}

static nadb_rc show(source *s, nadb_err *err) {
    int step = s->reverse ? -1 : 1;
    static char keys[SOURCES][24];

    s->base.valid = false;
    if (s->fail_in == 0)
        return nadb_fail(err, NADB_IOERR, "source %d", s->number);
    if (s->fail_in > 0) s->fail_in--;
    while (s->at >= 0 && s->at < KEYS && s->keys[s->at] == NOTHING)
        s->at += step;
    if (s->at < 0 || s->at >= KEYS) return NADB_OK;
    memset(&s->base.entry, 0, sizeof s->base.entry);
    s->base.entry.key = key_of(s->at, keys[s->number]);
    snprintf(s->value, sizeof s->value, "%d/%d", s->number, s->at);
    if (s->keys[s->at] == TOMBSTONE)
        s->base.entry.flags = NADB_ENTRY_TOMBSTONE;
    else
        s->base.entry.value = nadb_slice_str(s->value);
    s->base.valid = true;
    return NADB_OK;
}

static nadb_rc source_next(nadb_iter *base, nadb_err *err) {
    source *s = (source *)base;

    s->at += s->reverse ? -1 : 1;
    return show(s, err);
}

static nadb_rc source_seek(nadb_iter *base, nadb_slice key, nadb_err *err) {
    source *s = (source *)base;
    char digits[3] = {(char)key.p[key.n - 2], (char)key.p[key.n - 1], 0};

    s->at = atoi(digits);
    return show(s, err);
}

static void source_free(nadb_iter *base) {
    source *s = (source *)base;

    ++*s->freed;
    free(s);
}

static const nadb_iter_ops source_ops = {source_next, source_seek, source_free};

/* --- the model --- */

static what keys[SOURCES][KEYS];

static nadb_iter *make(int n, bool reverse, bool tombstones, int failing,
                       unsigned *freed, nadb_err *err) {
    const nadb_range range = {.reverse = reverse};
    nadb_iter *sources[SOURCES], *it = NULL;

    for (int i = 0; i < n; i++) {
        source *s = calloc(1, sizeof *s);

        if (s == NULL) exit(1);
        memcpy(s->keys, keys[i], sizeof s->keys);
        s->base.ops = &source_ops;
        s->number = i;
        s->reverse = reverse;
        s->at = reverse ? KEYS : -1;
        s->fail_in = i == failing ? (int)rig_rnd(30) : -1;
        s->freed = freed;
        sources[i] = &s->base;
    }
    (void)!nadb_merge(sources, (size_t)n, &range, tombstones, &it, err);
    return it;
}

/* The newest source that has the key; -1: the merge does not show it. */
static int who(int key, int n, bool tombstones) {
    for (int i = 0; i < n; i++) {
        if (keys[i][key] == NOTHING) continue;
        return keys[i][key] == VALUE || tombstones ? i : -1;
    }
    return -1;
}

static int expect_from(int key, int n, bool reverse, bool tombstones) {
    for (; key >= 0 && key < KEYS; key += reverse ? -1 : 1)
        if (who(key, n, tombstones) >= 0) return key;
    return -1;
}

static void check_entry(const nadb_entry *e, int key, int n) {
    int i = who(key, n, true);
    char buf[24], value[16];

    CHECK(nadb_slice_eq(e->key, key_of(key, buf)));
    if (keys[i][key] == TOMBSTONE) {
        CHECK((e->flags & NADB_ENTRY_TOMBSTONE) != 0);
        return;
    }
    snprintf(value, sizeof value, "%d/%d", i, key);
    CHECK(nadb_slice_eq(e->value, nadb_slice_str(value)));
}

static void draw(int n) {
    for (int i = 0; i < n; i++) {
        uint64_t density = 1 + rig_rnd(8);

        for (int k = 0; k < KEYS; k++)
            keys[i][k] = rig_rnd(density) > 0 ? NOTHING
                         : rig_rnd(3) == 0    ? TOMBSTONE
                                              : VALUE;
    }
}

static void test_model(void) {
    int rounds = rig_soak() ? 200000 : 4000;

    for (int round = 0; round < rounds && unit.bad_checks == 0; round++) {
        int n = (int)rig_rnd(SOURCES + 1), at;
        bool reverse = rig_rnd(2) == 0, tombstones = rig_rnd(2) == 0;
        unsigned freed = 0;
        nadb_iter *it;
        nadb_err err;

        draw(n);
        it = make(n, reverse, tombstones, -1, &freed, &err);
        REQUIRE(it != NULL);
        CHECK(!it->valid);
        at = reverse ? KEYS - 1 : 0;
        for (int moves = 0; moves < 60; moves++) {
            char buf[24];

            if (rig_rnd(8) == 0) {
                at = (int)rig_rnd(KEYS);
                CHECK_OK(nadb_iter_seek(it, key_of(at, buf), &err), err);
            } else {
                CHECK_OK(nadb_iter_next(it, &err), err);
            }
            at = expect_from(at, n, reverse, tombstones);
            if (!CHECK(it->valid == (at >= 0)) || at < 0) {
                CHECK_OK(nadb_iter_next(it, &err), err);
                CHECK(!it->valid); /* and it stays there */
                break;
            }
            check_entry(&it->entry, at, n);
            at += reverse ? -1 : 1;
        }
        nadb_iter_free(it);
        CHECK_U64(freed, n);
    }
}

/* A source fails at some call: the merge says so, shows nothing wrong before,
 * and can be freed. */
static void test_failing_source(void) {
    unsigned failures = 0;

    for (int round = 0; round < 3000 && unit.bad_checks == 0; round++) {
        int n = 1 + (int)rig_rnd(SOURCES), at;
        int failing = (int)rig_rnd((uint64_t)n);
        bool reverse = rig_rnd(2) == 0;
        unsigned freed = 0;
        nadb_rc rc = NADB_OK;
        nadb_iter *it;
        nadb_err err;

        draw(n);
        it = make(n, reverse, false, failing, &freed, &err);
        REQUIRE(it != NULL);
        at = reverse ? KEYS - 1 : 0;
        for (;;) {
            rc = nadb_iter_next(it, &err);
            if (rc != NADB_OK) break;
            at = expect_from(at, n, reverse, false);
            if (!CHECK(it->valid == (at >= 0)) || at < 0) break;
            check_entry(&it->entry, at, n);
            at += reverse ? -1 : 1;
        }
        if (rc != NADB_OK) {
            char text[20];

            failures++;
            snprintf(text, sizeof text, "source %d", failing);
            CHECK(rc == NADB_IOERR && !it->valid);
            CHECK_STR(err.msg, text);
        }
        nadb_iter_free(it);
        CHECK_U64(freed, n);
    }
    CHECK(failures > 100);
}

/* The sources are the merge's also when it cannot be made. */
static void test_no_memory(void) {
    for (uint64_t nth = 1;; nth++) {
        unsigned freed = 0;
        uint64_t fired;
        nadb_iter *it;
        nadb_err err;

        draw(3);
        test_fault_set("malloc", nth, "ENOMEM", false, NULL);
        it = make(3, false, false, -1, &freed, &err);
        test_fault_clear(NULL, &fired);
        if (fired == 0) {
            nadb_iter_free(it);
            return;
        }
        CHECK(it == NULL && err.rc == NADB_NOMEM);
        CHECK_U64(freed, 3);
    }
}

/* Words of least.h never contradict the order of keys, whatever the length of
 * the prefix that the keys share. */
static void test_words(void) {
    for (size_t skip = 0; skip <= 20; skip++) {
        for (int round = 0; round < 2000; round++) {
            uint8_t bytes[2][40];
            nadb_slice pair[2];
            uint64_t up[2], down[2];
            int order;

            for (int i = 0; i < 2; i++) {
                size_t n = skip + rig_rnd(14);

                memset(bytes[i], 'p', skip);
                for (size_t k = skip; k < n; k++)
                    bytes[i][k] = (uint8_t)(rig_rnd(3) * 127);
                pair[i] = nadb_slice_of(bytes[i], n);
                up[i] = nadb_least_word(pair[i], skip, false);
                down[i] = nadb_least_word(pair[i], skip, true);
            }
            order = nadb_slice_cmp(pair[0], pair[1]);
            CHECK(order < 0 ? up[0] <= up[1] : up[0] >= up[1]);
            CHECK(order < 0 ? down[0] >= down[1] : down[0] <= down[1]);
            if (skip > 0 || order == 0) continue;
            /* Without a prefix, words of different first bytes differ. */
            if (pair[0].n > 0 && pair[1].n > 0 && bytes[0][0] != bytes[1][0])
                CHECK(up[0] != up[1]);
        }
    }
}

int main(void) {
    rig_seed_init();
    RUN(test_words);
    RUN(test_model);
    RUN(test_failing_source);
    RUN(test_no_memory);
    return unit_done();
}
