/* redis_patience_test.c - how long a statement waits for a server in all: what
 * its answers and connections have taken, at a clock that only we move. */
#include "unit.h"

#if NADB_REDIS

#include "../../backends/redis/patience.h"
#include "../support/os_test.h"

#define T 10000 /* of an answer; each has 1000 of it free */

static nadb_waits waits;

static bool never(void *ctx) {
    (void)ctx;
    return false;
}

static const nadb_caller caller = {.stopped = never, .waits = &waits};

/* The clock goes on meanwhile: by less than this. */
static bool about(int64_t ms, int64_t expected) {
    return ms <= expected && ms > expected - 900;
}

static void begin(patience *p) {
    memset(&waits, 0, sizeof waits);
    patience_begin(p, T, &caller);
}

/* Waits that long for an answer. */
static void answer(patience *p, int64_t ms) {
    (void)patience_left_ms(p);
    test_os_pass_time(ms);
    patience_renew(p);
}

static void test_answers_share(void) {
    patience p, other;

    begin(&p);
    CHECK(about(patience_left_ms(&p), T));
    test_os_pass_time(4000);
    CHECK(about(patience_left_ms(&p), T - 4000));
    patience_renew(&p);
    CHECK(about(patience_left_ms(&p), T - 3000));
    answer(&p, 5000);
    CHECK(about(patience_left_ms(&p), T - 7000));
    patience_renew(&p);
    /* on another connection, too */
    patience_begin(&other, T, &caller);
    answer(&other, 3900);
    CHECK(patience_left_ms(&p) < 900);
    CHECK(patience_check(&p, NULL) == NADB_OK || p.late);
    test_os_pass_time(1000);
    CHECK(patience_check(&p, NULL) == NADB_IOERR && p.late);
}

static void test_side_by_side(void) {
    patience p[4];

    begin(&p[0]);
    for (int i = 0; i < 4; i++) {
        patience_begin(&p[i], T, &caller);
        (void)patience_left_ms(&p[i]);
    }
    test_os_pass_time(5000);
    for (int i = 0; i < 4; i++) patience_renew(&p[i]);
    CHECK(about(patience_left_ms(&p[0]), T - 4000));
}

static void test_pace_is_free(void) {
    patience p;

    begin(&p);
    for (int i = 0; i < 1000; i++) answer(&p, 900);
    CHECK(about(patience_left_ms(&p), T));
}

static void test_rest_gives_back(void) {
    patience p;

    begin(&p);
    answer(&p, 9000);
    CHECK(about(patience_left_ms(&p), T - 8000));
    patience_renew(&p);
    test_os_pass_time(5000);
    CHECK(about(patience_left_ms(&p), T - 3000));
    patience_renew(&p);
    test_os_pass_time(500000);
    CHECK(about(patience_left_ms(&p), T));
}

/* A second for each MB is no delay. */
static void test_many_bytes(void) {
    patience p;

    begin(&p);
    (void)patience_left_ms(&p);
    p.extra_ms = 7000;
    answer(&p, 8000);
    CHECK(about(patience_left_ms(&p), T));
}

static void test_connecting_is_counted_apart(void) {
    patience p, c;

    begin(&p);
    patience_begin_connecting(&c, T, T, &p);
    (void)patience_left_ms(&c);
    test_os_pass_time(9000);
    patience_end(&c);
    CHECK(about(patience_left_ms(&p), T));
    patience_renew(&p);
    patience_begin_connecting(&c, T, T, &p);
    CHECK(about(patience_left_ms(&c), T - 8000));
    patience_begin_connecting(&c, 1000, T, &p); /* a short attempt */
    CHECK(about(patience_left_ms(&c), 1000));
}

/* What listens for the cache takes a part of the answer's time. */
static void test_parts(void) {
    patience p, part;

    begin(&p);
    patience_part_later(&p, 1000, &part);
    CHECK(about(patience_left_ms(&part), 1000));
    test_os_pass_time(1000);
    CHECK(patience_check(&part, NULL) == NADB_IOERR);
    patience_used(&p, &part);
    CHECK(about(patience_left_ms(&p), T - 1000));
    patience_part(&p, 2 * T, &part);
    CHECK(about(patience_left_ms(&part), T - 1000));
}

/* Without a caller: a COMMIT; one within another is the same. */
static void test_operations(void) {
    patience_operation outer, inner;
    patience p;

    patience_operation_begin(&outer);
    patience_begin(&p, T, NULL);
    answer(&p, 6000);
    patience_operation_begin(&inner);
    patience_begin(&p, T, NULL);
    CHECK(about(patience_left_ms(&p), T - 5000));
    patience_renew(&p);
    patience_operation_end(&inner);
    CHECK(about(patience_left_ms(&p), T - 5000));
    patience_renew(&p);
    patience_operation_end(&outer);
    patience_begin(&p, T, NULL);
    CHECK(p.waits == NULL && about(patience_left_ms(&p), T));
}

int main(void) {
    RUN(test_answers_share);
    RUN(test_side_by_side);
    RUN(test_pace_is_free);
    RUN(test_rest_gives_back);
    RUN(test_many_bytes);
    RUN(test_connecting_is_counted_apart);
    RUN(test_parts);
    RUN(test_operations);
    return unit_done();
}

#else

int main(void) { return unit_done(); }

#endif
