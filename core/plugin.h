/* plugin.h - for the one C file of a backend that is loaded at run time.
 *
 *     #include <nadb/plugin.h>
 *     static const nadb_backend mine = {.name = "mine", ..};
 *     NADB_PLUGIN(mine)
 *
 *     cc -shared -fPIC -I/usr/local/include -o mine.so mine.c
 *
 * backend.h defines the operations of a backend. The library's functions
 * (nadb_fail(), nadb_calloc(), ..) can be called under their usual names. */
#ifndef NADB_PLUGIN_H
#define NADB_PLUGIN_H

#include <stdarg.h>
#include <stdio.h>

#include "host.h"
#include "util/allow.h"

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

#pragma GCC visibility pop

#endif
