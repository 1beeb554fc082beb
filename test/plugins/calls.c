/* calls.c - for plugin.test: a backend that calls the functions of plugin.h
 * when it opens a store, and fails with what they have returned. */
#include <inttypes.h>
#include <nadb/plugin.h>

/* Appends the beginning of the error's message, or "no error". All of them must
 * fit into one message. */
static bool add_error(nadb_buf *out, nadb_rc rc, const nadb_err *e) {
    const char *text = rc == NADB_OK ? "no error" : e->msg;

    return nadb_buf_append(out, text, strnlen(text, 75)) &&
           nadb_buf_byte(out, ';');
}

static bool add_slices(nadb_buf *out) {
    nadb_slice s = nadb_slice_str("ab/cd"), slash = nadb_slice_str("/");
    char text[100], shown[NADB_KEY_SHOWN];
    int n = snprintf(text, sizeof text, "%d %" PRIx64 " %zu %s %d;",
                     (int)(nadb_slice_find(s, slash) - s.p),
                     nadb_slice_prefix8(nadb_slice_str("ab")),
                     nadb_slice_common(s, nadb_slice_str("ab/ce")),
                     nadb_key_show(s, shown), nadb_hash64(s) == nadb_hash64(s));

    return nadb_buf_append(out, text, (size_t)n);
}

static bool add_errors(nadb_buf *out) {
    nadb_err e;
    bool allowed = false;
    bool ok =
        add_error(out, nadb_changes_gone(1, 4, true, &e), &e) &&
        add_error(out, nadb_changes_ahead(5, 3, &e), &e) &&
        add_error(out, nadb_fail(&e, NADB_NOMEM, "out of memory"), &e) &&
        nadb_buf_byte(out, nadb_err_is_shortage(&e) ? 'y' : 'n') &&
        add_error(out,
                  nadb_allow_host(NADB_ALLOW_HOSTS, "there", 1, &allowed, &e),
                  &e);

    return ok && nadb_buf_byte(out, allowed ? 'y' : 'n') &&
           nadb_buf_byte(out, ';');
}

/* Makes files in the directory and removes them. */
static nadb_rc use_home(nadb_home *home, nadb_buf *out, nadb_err *err) {
    static const uint8_t other[NADB_STORE_ID] = {1};
    char name[NADB_FILE_NAME];
    const char *kind = "";
    uint64_t number = 0;
    nadb_file *f = NULL;
    nadb_err e;
    nadb_rc rc;

    nadb_home_name(home);
    rc = nadb_home_check(home, home->id.bytes, "a file", err);
    if (rc == NADB_OK)
        rc = nadb_home_open(home, 7, "sst", NADB_OPEN_WRITE | NADB_OPEN_CREATE,
                            &f, err);
    home->os->close(f);
    if (rc == NADB_OK) rc = nadb_home_unlink(home, 7, "sst", err);
    if (rc == NADB_OK)
        rc = nadb_os_replace_file(home->dir, "hello", nadb_slice_str("hello;"),
                                  0600, err);
    if (rc == NADB_OK)
        rc = nadb_os_read_file(home->dir, "hello", 100, out, err);
    if (rc == NADB_OK) rc = home->os->unlink(home->dir, "hello", err);
    if (rc != NADB_OK) return rc;
    nadb_file_name(name, 7, "sst");
    if (!add_error(out, nadb_home_moved(home, &e), &e) ||
        !add_error(out, nadb_home_check(home, other, "a file", &e), &e) ||
        !nadb_buf_append(out, name, strlen(name)) ||
        !nadb_buf_byte(out, nadb_home_gone(home) ? 'y' : 'n') ||
        !nadb_buf_byte(out, nadb_file_parse(name, &number, &kind) ? 'y' : 'n'))
        return nadb_fail(err, NADB_NOMEM, "out of memory");
    return number == 7 ? NADB_OK : nadb_fail(err, NADB_CORRUPT, "%s", kind);
}

static nadb_rc opened(const nadb_options *options, nadb_engine **out,
                      nadb_err *err) {
    const nadb_os *os = nadb_os_get();
    char *path = nadb_path_join(nadb_option_text(options, "calls_in"), "calls");
    nadb_home home = {.os = os, .file_mode = 0600};
    nadb_buf said = NADB_BUF_INIT;
    nadb_rc rc = NADB_OK;

    (void)out;
    if (path == NULL) return nadb_fail(err, NADB_NOMEM, "out of memory");
    rc = os->dir_open(path, &home.dir, err);
    if (rc == NADB_OK) rc = use_home(&home, &said, err);
    if (rc == NADB_OK &&
        !(nadb_buf_byte(&said, ';') && add_slices(&said) && add_errors(&said)))
        rc = nadb_fail(err, NADB_NOMEM, "out of memory");
    if (rc == NADB_OK)
        rc = nadb_fail(err, NADB_CANTOPEN, "%.*s%" PRId64, (int)said.n,
                       (const char *)said.p, nadb_option_keep(options).ms);
    os->dir_close(home.dir);
    nadb_buf_clear(&said);
    nadb_free(path);
    return rc;
}

static nadb_rc identity(const nadb_options *options, nadb_buf *out,
                        nadb_err *err) {
    (void)options;
    if (nadb_identity_add_number(out, "number", 7)) return NADB_OK;
    return nadb_fail(err, NADB_NOMEM, "out of memory");
}

static const nadb_option options[] = {
    {.name = "calls_in", .kind = NADB_OPTION_TEXT, .scale = 1},
    {.name = NULL},
};

static const nadb_backend calls = {
    .name = "calls",
    .caps = NADB_CAP_ENGINE,
    .summary = "calls functions",
    .options = options,
    .identity = identity,
    .engine_open = opened,
};
NADB_PLUGIN(calls)
