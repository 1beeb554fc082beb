/* unit.h - a C unit test is a program of functions run by RUN().
 *
 *   static void test_x(void) { CHECK(1 + 1 == 2); }
 *   int main(void) {
 *       RUN(test_x);
 *       return unit_done();
 *   }
 *
 * A test passes if none of its checks failed. CHECK goes on after a failure
 * and gives its truth; REQUIRE leaves the test function. Checks belong to the
 * main thread. Lines begin with the place of the failure; the last one is
 * "N passed, N failed". */
#ifndef NADB_UNIT_H
#define NADB_UNIT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../core/util/status.h"

static struct {
    int passed;
    int failed;
    int bad_checks; /* of the running test */
    char dir[64];
} unit;

static inline bool unit_check(bool ok, const char *file, int line,
                              const char *what) {
    if (ok) return true;
    unit.bad_checks++;
    printf("%s:%d: failed: %s\n", file, line, what);
    return false;
}

static inline bool unit_check_ok(nadb_rc rc, const nadb_err *err,
                                 const char *file, int line, const char *what) {
    if (rc == NADB_OK) return true;
    unit.bad_checks++;
    printf("%s:%d: %s: %s (%s)\n", file, line, what, nadb_rc_name(rc),
           err->msg);
    return false;
}

static inline bool unit_check_u64(uint64_t got, uint64_t want, const char *file,
                                  int line, const char *what) {
    if (got == want) return true;
    unit.bad_checks++;
    printf("%s:%d: %s is %llu, not %llu\n", file, line, what,
           (unsigned long long)got, (unsigned long long)want);
    return false;
}

static inline bool unit_check_str(const char *got, const char *want,
                                  const char *file, int line,
                                  const char *what) {
    if (strcmp(got, want) == 0) return true;
    unit.bad_checks++;
    printf("%s:%d: %s is \"%s\", not \"%s\"\n", file, line, what, got, want);
    return false;
}

#define CHECK(cond) unit_check((cond), __FILE__, __LINE__, #cond)
#define CHECK_U64(got, want)                                                   \
    unit_check_u64((uint64_t)(got), (uint64_t)(want), __FILE__, __LINE__, #got)
#define CHECK_STR(got, want)                                                   \
    unit_check_str((got), (want), __FILE__, __LINE__, #got)
/* `err` is a nadb_err that the call was given. */
#define CHECK_OK(call, err)                                                    \
    unit_check_ok((call), &(err), __FILE__, __LINE__, #call)
#define REQUIRE(cond)                                                          \
    do {                                                                       \
        if (!CHECK(cond)) return;                                              \
    } while (0)
#define REQUIRE_OK(call, err)                                                  \
    do {                                                                       \
        if (!CHECK_OK(call, err)) return;                                      \
    } while (0)

static inline void unit_run(const char *name, void (*test)(void)) {
    unit.bad_checks = 0;
    test();
    if (unit.bad_checks == 0) {
        unit.passed++;
    } else {
        unit.failed++;
        printf("%s failed\n", name);
    }
}

#define RUN(test) unit_run(#test, test)

/* A fresh directory for the whole program, removed by unit_done(). */
static inline const char *unit_dir(void) {
    const char *tmp = getenv("TMPDIR");

    if (unit.dir[0] != '\0') return unit.dir;
    if (tmp == NULL || strlen(tmp) > 40) tmp = "/tmp";
    snprintf(unit.dir, sizeof unit.dir, "%s/nadb-unit-XXXXXX", tmp);
    if (mkdtemp(unit.dir) == NULL) perror(unit.dir);
    return unit.dir;
}

/* dir/name in a static buffer; four of them take turns. */
static inline const char *unit_path(const char *name) {
    static char paths[4][512];
    static int turn;
    char *path = paths[turn++ % 4];

    snprintf(path, sizeof paths[0], "%s/%s", unit_dir(), name);
    return path;
}

static inline int unit_done(void) {
    char command[128];

    if (unit.dir[0] != '\0') {
        snprintf(command, sizeof command, "rm -rf '%s'", unit.dir);
        if (system(command) != 0) printf("cannot remove %s\n", unit.dir);
    }
    printf("%d passed, %d failed\n", unit.passed, unit.failed);
    return unit.failed > 0;
}

#endif
