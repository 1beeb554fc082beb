/* test_functions.c - os_test.h as SQL functions, in the test library only.
 *
 *   test_advance_clock(seconds)     the clock is set; the seconds given
 *   test_pass_time(seconds)         time passes, also for deadlines
 *   test_new_boot()                 the machine seems to have restarted
 *   test_fault(class, nth, errno [, persistent [, path_part]])
 *   test_fault_clear()              '{"calls":C,"fired":F}'
 *   test_disk(folder, bytes)        NULL: no limit
 *   test_network(on)                all directories are on NFS
 *   test_power_start(root)          records the tree; returns root
 *   test_power_events()             events so far
 *   test_power_stop()               events in all
 *   test_power_cut(event, seed, target)  builds the tree; target
 */
#include "test_functions.h"

#include <sqlite3ext.h>
#include <stdio.h>

#include "os_test.h"

SQLITE_EXTENSION_INIT3

static void fail_with(sqlite3_context *ctx, const char *msg) {
    sqlite3_result_error(ctx, msg, -1);
}

static const char *text_arg(sqlite3_value *v) {
    const char *s = (const char *)sqlite3_value_text(v);

    return s == NULL ? "" : s;
}

static void advance_clock(sqlite3_context *ctx, int argc,
                          sqlite3_value **argv) {
    (void)argc;
    test_os_advance_clock((int64_t)(sqlite3_value_double(argv[0]) * 1000));
    sqlite3_result_value(ctx, argv[0]);
}

static void pass_time(sqlite3_context *ctx, int argc, sqlite3_value **argv) {
    (void)argc;
    test_os_pass_time((int64_t)(sqlite3_value_double(argv[0]) * 1000));
    sqlite3_result_value(ctx, argv[0]);
}

static void new_boot(sqlite3_context *ctx, int argc, sqlite3_value **argv) {
    (void)argc;
    (void)argv;
    test_os_new_boot();
    sqlite3_result_int(ctx, 1);
}

static void set_fault(sqlite3_context *ctx, int argc, sqlite3_value **argv) {
    int64_t nth;
    bool persistent;
    const char *path_part;

    if (argc < 3 || argc > 5) {
        fail_with(ctx, "test_fault() takes 3 to 5 arguments");
        return;
    }
    nth = sqlite3_value_int64(argv[1]);
    persistent = argc > 3 && sqlite3_value_int(argv[3]) != 0;
    path_part = argc > 4 ? text_arg(argv[4]) : NULL;
    if (nth < 0 || !test_fault_set(text_arg(argv[0]), (uint64_t)nth,
                                   text_arg(argv[2]), persistent, path_part)) {
        fail_with(ctx, "test_fault(): unknown class or error");
        return;
    }
    sqlite3_result_int(ctx, 1);
}

static void clear_fault(sqlite3_context *ctx, int argc, sqlite3_value **argv) {
    uint64_t calls, fired;
    char text[80];

    (void)argc;
    (void)argv;
    test_fault_clear(&calls, &fired);
    snprintf(text, sizeof text, "{\"calls\":%llu,\"fired\":%llu}",
             (unsigned long long)calls, (unsigned long long)fired);
    sqlite3_result_text(ctx, text, -1, SQLITE_TRANSIENT);
}

static void set_disk(sqlite3_context *ctx, int argc, sqlite3_value **argv) {
    (void)argc;
    if (!test_disk_set((const char *)sqlite3_value_text(argv[0]),
                       (uint64_t)sqlite3_value_int64(argv[1])))
        fail_with(ctx, "test_disk(): the name is too long");
    else
        sqlite3_result_value(ctx, argv[1]);
}

static void set_network(sqlite3_context *ctx, int argc, sqlite3_value **argv) {
    (void)argc;
    test_os_network(sqlite3_value_int(argv[0]) ? "nfs" : NULL);
    sqlite3_result_value(ctx, argv[0]);
}

static void power_start(sqlite3_context *ctx, int argc, sqlite3_value **argv) {
    nadb_err err;

    (void)argc;
    if (test_power_start(text_arg(argv[0]), &err) != NADB_OK)
        fail_with(ctx, err.msg);
    else
        sqlite3_result_value(ctx, argv[0]);
}

static void power_events(sqlite3_context *ctx, int argc, sqlite3_value **argv) {
    (void)argc;
    (void)argv;
    sqlite3_result_int64(ctx, (sqlite3_int64)test_power_events());
}

static void power_stop(sqlite3_context *ctx, int argc, sqlite3_value **argv) {
    test_power_stop();
    power_events(ctx, argc, argv);
}

static void power_cut(sqlite3_context *ctx, int argc, sqlite3_value **argv) {
    nadb_err err;
    nadb_rc rc = test_power_cut((uint64_t)sqlite3_value_int64(argv[0]),
                                (uint64_t)sqlite3_value_int64(argv[1]),
                                text_arg(argv[2]), &err);

    (void)argc;
    if (rc != NADB_OK)
        fail_with(ctx, err.msg);
    else
        sqlite3_result_value(ctx, argv[2]);
}

int nadb_test_register(sqlite3 *db) {
    static const struct {
        const char *name;
        int args;
        void (*body)(sqlite3_context *, int, sqlite3_value **);
    } functions[] = {
        {"test_advance_clock", 1, advance_clock},
        {"test_pass_time", 1, pass_time},
        {"test_new_boot", 0, new_boot},
        {"test_fault", -1, set_fault},
        {"test_fault_clear", 0, clear_fault},
        {"test_disk", 2, set_disk},
        {"test_network", 1, set_network},
        {"test_power_start", 1, power_start},
        {"test_power_events", 0, power_events},
        {"test_power_stop", 0, power_stop},
        {"test_power_cut", 3, power_cut},
    };

    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        int rc = sqlite3_create_function_v2(
            db, functions[i].name, functions[i].args, SQLITE_UTF8, NULL,
            functions[i].body, NULL, NULL, NULL);

        if (rc != SQLITE_OK) return rc;
    }
    if (sqlite3_create_module_v2(db, "test_gate", &test_gate_module, NULL,
                                 NULL) != SQLITE_OK)
        return SQLITE_ERROR;
    return test_terms_register(db);
}
