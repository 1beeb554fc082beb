/* plugin.h - for the one C file of a backend that is loaded at run time.
 *
 *     #include <nadb/plugin.h>
 *     static const nadb_backend mine = {.name = "mine", ..};
 *     NADB_PLUGIN(mine)
 *
 *     cc -shared -fPIC -Wl,-z,defs -I/usr/local/include -o mine.so mine.c
 *
 * backend.h defines the operations of a backend. The library's functions
 * (nadb_fail(), nadb_calloc(), ..) can be called under their usual names; the
 * linker's option -z defs reports one that is not defined here. */
#ifndef NADB_PLUGIN_H
#define NADB_PLUGIN_H

#include <stdarg.h>
#include <stdio.h>

#include "host.h"

static const nadb_host *nadb_plugin_host;

#define NADB_PLUGIN(is)                                                        \
    __attribute__((visibility("default")))                                     \
    const nadb_plugin_info nadb_plugin = {NADB_ABI, &(is), &nadb_plugin_host};

/* Hidden from other libraries of the process. */
#pragma GCC visibility push(hidden)

nadb_rc nadb_fail(nadb_err *err, nadb_rc rc, const char *fmt, ...) {
    char msg[NADB_MSG_MAX];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(msg, sizeof msg, fmt, args);
    va_end(args);
    return nadb_plugin_host->fail(err, rc, "%s", msg);
}

nadb_rc nadb_fail_errno(nadb_err *err, int sys_errno, const char *fmt, ...) {
    char msg[NADB_MSG_MAX];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(msg, sizeof msg, fmt, args);
    va_end(args);
    return nadb_plugin_host->fail_errno(err, sys_errno, "%s", msg);
}

nadb_rc nadb_corrupt(nadb_err *err, const char *fmt, ...) {
    char msg[NADB_MSG_MAX];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(msg, sizeof msg, fmt, args);
    va_end(args);
    return nadb_plugin_host->fail(err, NADB_CORRUPT, "%s", msg);
}

void nadb_report(nadb_report_fn *report, void *ctx, const char *fmt, ...) {
    char msg[NADB_MSG_MAX];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(msg, sizeof msg, fmt, args);
    va_end(args);
    nadb_plugin_host->report(report, ctx, "%s", msg);
}

void nadb_err_clear(nadb_err *err) { nadb_plugin_host->err_clear(err); }

void *nadb_malloc(size_t n) { return nadb_plugin_host->malloc(n); }
void *nadb_calloc(size_t n, size_t size) {
    return nadb_plugin_host->calloc(n, size);
}
void nadb_free(void *p) { nadb_plugin_host->free(p); }

char *nadb_strdup(const char *s) {
    size_t n = strlen(s) + 1;
    char *copy = nadb_malloc(n);

    if (copy != NULL) memcpy(copy, s, n);
    return copy;
}

void nadb_buf_clear(nadb_buf *b) { nadb_plugin_host->buf_clear(b); }
bool nadb_buf_grow(nadb_buf *b, size_t more) {
    return nadb_plugin_host->buf_grow(b, more);
}

const char *nadb_option_text(const nadb_options *o, const char *name) {
    return nadb_plugin_host->option_text(o, name);
}
int64_t nadb_option_number(const nadb_options *o, const char *name) {
    return nadb_plugin_host->option_number(o, name);
}
bool nadb_option_given(const nadb_options *o, const char *name) {
    return nadb_plugin_host->option_given(o, name);
}
nadb_rc nadb_option_check_path(const nadb_option *opt, const char *value,
                               nadb_err *err) {
    return nadb_plugin_host->option_check_path(opt, value, err);
}
nadb_rc nadb_option_refuse(const nadb_option *opt, const char *value,
                           const char *allowed, nadb_err *err) {
    return nadb_plugin_host->option_refuse(opt, value, allowed, err);
}

bool nadb_identity_add(nadb_buf *identity, const char *name,
                       const char *value) {
    return nadb_plugin_host->identity_add(identity, name, value);
}

nadb_rc nadb_allow_path(const char *path, nadb_err *err) {
    return nadb_plugin_host->allow_path(path, err);
}

bool nadb_err_is_shortage(const nadb_err *e) {
    return nadb_plugin_host->err_is_shortage(e);
}
uint64_t nadb_hash64(nadb_slice s) { return nadb_plugin_host->hash64(s); }
const uint8_t *nadb_slice_find(nadb_slice s, nadb_slice what) {
    return nadb_plugin_host->slice_find(s, what);
}
uint64_t nadb_slice_prefix8(nadb_slice s) {
    return nadb_plugin_host->slice_prefix8(s);
}
size_t nadb_slice_common(nadb_slice lo, nadb_slice hi) {
    return nadb_plugin_host->slice_common(lo, hi);
}
const char *nadb_key_show(nadb_slice key, char out[NADB_KEY_SHOWN]) {
    return nadb_plugin_host->key_show(key, out);
}
const nadb_os *nadb_os_get(void) { return nadb_plugin_host->os_get(); }
nadb_rc nadb_os_replace_file(nadb_dir *dir, const char *name, nadb_slice data,
                             uint32_t mode, nadb_err *err) {
    return nadb_plugin_host->os_replace_file(dir, name, data, mode, err);
}
nadb_rc nadb_os_read_file(nadb_dir *dir, const char *name, size_t max,
                          nadb_buf *out, nadb_err *err) {
    return nadb_plugin_host->os_read_file(dir, name, max, out, err);
}
char *nadb_path_join(const char *dir, const char *name) {
    return nadb_plugin_host->path_join(dir, name);
}
void nadb_file_name(char out[NADB_FILE_NAME], uint64_t number,
                    const char *kind) {
    nadb_plugin_host->file_name(out, number, kind);
}
bool nadb_file_parse(const char *name, uint64_t *number, const char **kind) {
    return nadb_plugin_host->file_parse(name, number, kind);
}
nadb_rc nadb_home_open(const nadb_home *h, uint64_t number, const char *kind,
                       unsigned flags, nadb_file **out, nadb_err *err) {
    return nadb_plugin_host->home_open(h, number, kind, flags, out, err);
}
nadb_rc nadb_home_unlink(const nadb_home *h, uint64_t number, const char *kind,
                         nadb_err *err) {
    return nadb_plugin_host->home_unlink(h, number, kind, err);
}
nadb_rc nadb_home_moved(const nadb_home *h, nadb_err *err) {
    return nadb_plugin_host->home_moved(h, err);
}
bool nadb_home_gone(const nadb_home *h) {
    return nadb_plugin_host->home_gone(h);
}
void nadb_home_name(nadb_home *h) { nadb_plugin_host->home_name(h); }
nadb_rc nadb_home_check(nadb_home *h, const uint8_t found[NADB_STORE_ID],
                        const char *path, nadb_err *err) {
    return nadb_plugin_host->home_check(h, found, path, err);
}
nadb_keep nadb_option_keep(const nadb_options *o) {
    return nadb_plugin_host->option_keep(o);
}
bool nadb_identity_add_number(nadb_buf *identity, const char *name,
                              int64_t value) {
    return nadb_plugin_host->identity_add_number(identity, name, value);
}
nadb_rc nadb_changes_gone(uint64_t since, uint64_t floor, bool keeps,
                          nadb_err *err) {
    return nadb_plugin_host->changes_gone(since, floor, keeps, err);
}
nadb_rc nadb_changes_ahead(uint64_t since, uint64_t last, nadb_err *err) {
    return nadb_plugin_host->changes_ahead(since, last, err);
}
nadb_rc nadb_allow_host(const char *name, const char *host, int port,
                        bool *allowed, nadb_err *err) {
    return nadb_plugin_host->allow_host(name, host, port, allowed, err);
}

#pragma GCC visibility pop

#endif
