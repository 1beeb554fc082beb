/* options_fuzz.c - options: each line of the input is an argument. What parses
 * keeps the promises of options.h; what does not has a message. */
#include "../../core/names.h"
#include "../../core/options.h"
#include "fuzz.h"

#define ARGS 16

static void check_options(const nadb_options *o) {
    nadb_buf dir = NADB_BUF_INIT;

    MUST(nadb_backend_find(o->backend) != NULL);
    MUST(o->path == NULL || o->path[0] == '/');
    MUST(o->db[0] != '\0' && o->ns[0] != '\0');
    MUST(o->buffer_bytes > 0 && o->flush_interval_ms > 0);
    MUST(o->compression >= 0 && o->compression <= 9);
    MUST(o->default_ttl_ms >= 0 && o->busy_timeout_ms >= 0);
    MUST(o->log == NULL || strchr(o->log, '/') == NULL);
    MUST(nadb_name_to_dir(nadb_slice_str(o->ns), &dir));
    MUST(dir.n > 0 && dir.n <= 200 && dir.p[0] != '.');
    MUST(memchr(dir.p, '/', dir.n) == NULL && memchr(dir.p, 0, dir.n) == NULL);
    nadb_buf_clear(&dir);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    static const nadb_place place = {"kv", "/home/me/app.db", NULL};
    const char *args[ARGS];
    int n_args = 0;
    nadb_options *o;
    nadb_err err;
    char *text = malloc(n + 1);

    MUST(text != NULL);
    memcpy(text, data, n);
    text[n] = '\0';
    args[n_args++] = text;
    for (size_t i = 0; i < n && n_args < ARGS; i++)
        if (text[i] == '\n') {
            text[i] = '\0';
            args[n_args++] = text + i + 1;
        }
    nadb_err_clear(&err);
    if (nadb_options_parse(args, n_args, &place, &o, &err) == NADB_OK) {
        check_options(o);
        nadb_options_free(o);
    } else {
        MUST(o == NULL && err.msg[0] != '\0');
    }
    free(text);
    return 0;
}
