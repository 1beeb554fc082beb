/* host.h - what the library offers to a backend that is loaded at run time.
 *
 * nadb_backend_load(file) opens a shared library that was built against these
 * headers. The library exports one object, `nadb_plugin`, made by the macro of
 * plugin.h. The object's ABI number identifies the headers; if it differs from
 * NADB_ABI, the library is refused and nothing else in it is read. A loaded
 * library stays until the process ends. */
#ifndef NADB_HOST_H
#define NADB_HOST_H

#include "backend.h"
#include "util/allow.h"

/* Rises with every change of this header, of backend.h or of a header that
 * these include which moves a field or changes the contract of a function. */
#define NADB_ABI 5u

/* Functions of the library: all that the installed headers declare, but those
 * that only the core calls. They are not exported; plugin.h defines functions
 * of the usual names that call them. Memory that one side has allocated may be
 * freed by the other. */
typedef struct nadb_host {
    nadb_rc (*fail)(nadb_err *err, nadb_rc rc, const char *fmt, ...)
        NADB_PRINTF(3, 4);
    nadb_rc (*fail_errno)(nadb_err *err, int sys_errno, const char *fmt, ...)
        NADB_PRINTF(3, 4);
    void (*err_clear)(nadb_err *err);
    void (*report)(nadb_report_fn *report, void *ctx, const char *fmt, ...)
        NADB_PRINTF(3, 4);
    void *(*malloc)(size_t n);
    void *(*calloc)(size_t n, size_t size);
    void (*free)(void *p);
    void (*buf_clear)(nadb_buf *b);
    bool (*buf_grow)(nadb_buf *b, size_t more);
    const char *(*option_text)(const nadb_options *o, const char *name);
    int64_t (*option_number)(const nadb_options *o, const char *name);
    bool (*option_given)(const nadb_options *o, const char *name);
    nadb_rc (*option_check_path)(const nadb_option *opt, const char *value,
                                 nadb_err *err);
    nadb_rc (*option_refuse)(const nadb_option *opt, const char *value,
                             const char *allowed, nadb_err *err);
    bool (*identity_add)(nadb_buf *identity, const char *name,
                         const char *value);
    nadb_rc (*allow_path)(const char *path, nadb_err *err);
    bool (*err_is_shortage)(const nadb_err *e);
    uint64_t (*hash64)(nadb_slice s);
    const uint8_t *(*slice_find)(nadb_slice s, nadb_slice what);
    uint64_t (*slice_prefix8)(nadb_slice s);
    size_t (*slice_common)(nadb_slice lo, nadb_slice hi);
    const char *(*key_show)(nadb_slice key, char out[NADB_KEY_SHOWN]);
    const nadb_os *(*os_get)(void);
    nadb_rc (*os_replace_file)(nadb_dir *dir, const char *name, nadb_slice data,
                               uint32_t mode, nadb_err *err);
    nadb_rc (*os_read_file)(nadb_dir *dir, const char *name, size_t max,
                            nadb_buf *out, nadb_err *err);
    char *(*path_join)(const char *dir, const char *name);
    void (*file_name)(char out[NADB_FILE_NAME], uint64_t number,
                      const char *kind);
    bool (*file_parse)(const char *name, uint64_t *number, const char **kind);
    nadb_rc (*home_open)(const nadb_home *h, uint64_t number, const char *kind,
                         unsigned flags, nadb_file **out, nadb_err *err);
    nadb_rc (*home_unlink)(const nadb_home *h, uint64_t number,
                           const char *kind, nadb_err *err);
    nadb_rc (*home_moved)(const nadb_home *h, nadb_err *err);
    bool (*home_gone)(const nadb_home *h);
    void (*home_name)(nadb_home *h);
    nadb_rc (*home_check)(nadb_home *h, const uint8_t found[NADB_STORE_ID],
                          const char *path, nadb_err *err);
    nadb_keep (*option_keep)(const nadb_options *o);
    bool (*identity_add_number)(nadb_buf *identity, const char *name,
                                int64_t value);
    nadb_rc (*changes_gone)(uint64_t since, uint64_t floor, bool keeps,
                            nadb_err *err);
    nadb_rc (*changes_ahead)(uint64_t since, uint64_t last, nadb_err *err);
    nadb_rc (*allow_host)(const char *name, const char *host, int port,
                          bool *allowed, nadb_err *err);
} nadb_host;

typedef struct nadb_plugin_info {
    uint32_t abi; /* NADB_ABI of its headers */
    const nadb_backend *backend;
    /* where the library stores the address of its functions */
    const nadb_host **host;
} nadb_plugin_info;

#endif
