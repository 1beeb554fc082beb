/* store_fuzz.h - what log_fuzz, control_fuzz, index_fuzz and val_fuzz share: a
 * small real store, one file of which gets hostile bytes, and a reader who
 * uses everything that the store offers. Seeds: store_corpus.py.
 *
 * The store is made once, closed, and its files are kept in memory; each run
 * writes them to a folder in $TMPDIR, /dev/shm or /tmp. Hostile bytes are
 * patches:
 *
 *   u8 mode, then patches: u32 offset, u8 length, that many bytes */
#ifndef NADB_STORE_FUZZ_H
#define NADB_STORE_FUZZ_H

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../backends/fs/manifest.h"
#include "../../core/engine/control.h"
#include "../../core/nadb.h"
#include "../../core/util/coding.h"
#include "../../core/util/crc32c.h"
#include "../support/paths.h"
#include "fuzz.h"

enum { FILES_MAX = 16, BIG = 40000 };

typedef struct store_file {
    char name[40];
    uint8_t *bytes;
    size_t n;
} store_file;

static char fuzz_dir[300]; /* path of the store, .. */
static char fuzz_in[330];  /* .. and the folder with its files */
static store_file files[FILES_MAX];
static size_t n_files;
static nadb_options *fuzz_options;

/* --- using a store --- */

static void fuzz_line(void *ctx, const char *line) {
    (void)ctx;
    MUST(line[0] != 0);
}

static void fuzz_stat(void *ctx, const char *name, double value) {
    *(double *)ctx += name[0] == 0 ? value : 0;
}

static nadb_slice fuzz_key(int i, char buf[32]) {
    int n = snprintf(buf, 32, i % 3 ? "k%d" : "longprefix/%d", i);

    return nadb_slice_of(buf, (size_t)n);
}

static nadb_rc fuzz_put(nadb_session *ss, int i, size_t size, nadb_err *err) {
    static uint8_t bytes[BIG];
    nadb_buf tags = NADB_BUF_INIT;
    nadb_put_req req;
    nadb_value v;
    char buf[32];
    uint32_t seed = (uint32_t)i;
    nadb_rc rc = NADB_OK;

    for (size_t at = 0; at < size; at++) { /* not to be compressed */
        seed = seed * 1664525 + 1013904223;
        bytes[at] = (uint8_t)(seed >> 24);
    }
    memset(&v, 0, sizeof v);
    v.type = size == 0 ? NADB_INTEGER : i % 2 ? NADB_TEXT : NADB_BLOB;
    v.i = i * 1000;
    v.bytes = nadb_slice_of(bytes, size);
    memset(&req, 0, sizeof req);
    if (i % 5 == 0)
        rc = nadb_tags_parse(nadb_slice_str("[\"a\",\"b\"]"), &tags, err);
    req.key = fuzz_key(i, buf);
    req.mode = NADB_PUT_BLIND;
    req.value = &v;
    req.tags = nadb_buf_slice(&tags);
    req.created_ms = req.updated_ms = 1700000000000;
    req.expires_ms = i % 7 ? NADB_NO_EXPIRY : 4102444800000;
    if (rc == NADB_OK) rc = nadb_put(ss, &req, err);
    nadb_buf_clear(&tags);
    return rc;
}

static nadb_rc fuzz_write(nadb_store *s, int from, int to, size_t size,
                          nadb_err *err) {
    nadb_session *ss = NULL;
    char buf[32];
    nadb_rc rc = nadb_session_new(s, &ss, err);

    if (rc == NADB_OK) rc = nadb_session_begin(ss, false, err);
    for (int i = from; i < to && rc == NADB_OK; i++)
        rc = fuzz_put(ss, i, size, err);
    if (rc == NADB_OK) rc = nadb_delete(ss, fuzz_key(from, buf), err);
    if (rc == NADB_OK) rc = nadb_session_prepare(ss, err);
    if (rc == NADB_OK) nadb_session_commit(ss);
    nadb_session_free(ss);
    return rc;
}

static void fuzz_row(nadb_cursor *c) {
    nadb_value v;
    bool pinned;

    if (nadb_cursor_value(c, &v, &pinned, NULL) == NADB_OK && v.bytes.n > 0)
        MUST(nadb_crc32c(0, v.bytes.p, v.bytes.n) != 1 || v.bytes.n > 1);
}

static nadb_rc fuzz_tag(void *ctx, nadb_slice tag, int64_t rows,
                        nadb_err *err) {
    (void)ctx, (void)tag, (void)err;
    MUST(rows > 0);
    return NADB_OK;
}

static void fuzz_read(nadb_store *s) {
    nadb_session *ss = NULL;
    nadb_cursor *c = NULL;
    nadb_match *match = NULL;
    nadb_scan scan;
    char buf[32];

    if (nadb_session_new(s, &ss, NULL) != NADB_OK) return;
    if (nadb_cursor_new(ss, &c, NULL) != NADB_OK) goto done;
    for (int i = 0; i < 45; i += 2) {
        if (nadb_cursor_key(c, fuzz_key(i, buf), i % 4 == 0, NULL) == NADB_OK &&
            nadb_cursor_row(c) != NULL)
            fuzz_row(c);
    }
    (void)!nadb_match_parse(nadb_slice_str("a OR b* NOT c"), &match, NULL);
    for (int way = 0; way < 10; way++) {
        memset(&scan, 0, sizeof scan);
        scan.reverse = way & 1;
        if (way & 2) {
            scan.lo = nadb_slice_str("k2");
            scan.hi = nadb_slice_str("k4");
        }
        if (way >= 8) {
            scan.by_expiry = true;
            scan.expires_from = way == 8 ? INT64_MIN : 0;
            scan.expires_to = way == 8 ? INT64_MAX : 4102444800001;
        } else if (way >= 4) {
            scan.match = match;
        }
        if (nadb_cursor_scan(c, &scan, NULL) != NADB_OK) continue;
        while (nadb_cursor_row(c) != NULL) {
            if (nadb_cursor_load(c, NULL) != NADB_OK) break;
            if (nadb_cursor_row(c) != NULL) fuzz_row(c);
            if (nadb_cursor_next(c, NULL) != NADB_OK) break;
        }
        nadb_cursor_close(c);
    }
    (void)!nadb_tags_count(ss, nadb_slice_of(NULL, 0), fuzz_tag, NULL, NULL);
done:
    nadb_match_free(match);
    nadb_cursor_free(c);
    nadb_session_free(ss);
}

static bool fuzz_open(nadb_store **s) {
    nadb_err err;

    nadb_err_clear(&err);
    if (nadb_store_open(fuzz_options, 0, s, NULL, &err) == NADB_OK) return true;
    MUST(err.msg[0] != 0);
    return false;
}

/* Everything that can be done with an open store. */
static void fuzz_use(nadb_store *s, bool flush) {
    double sum = 0;

    fuzz_read(s);
    (void)!nadb_store_check(s, fuzz_line, NULL, NULL);
    (void)!nadb_store_stats(s, fuzz_stat, &sum, NULL);
    if (fuzz_write(s, 40, 44, 100, NULL) == NADB_OK) fuzz_read(s);
    if (flush && nadb_store_flush(s, NULL) == NADB_OK) fuzz_read(s);
}

/* --- the store as it was made --- */

static void fuzz_each(void (*body)(const char *path, const char *name)) {
    DIR *d = opendir(fuzz_in);
    struct dirent *e;

    while (d != NULL && (e = readdir(d)) != NULL) {
        char path[700];

        if (e->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "%s/%s", fuzz_in, e->d_name);
        body(path, e->d_name);
    }
    if (d != NULL) closedir(d);
}

static void fuzz_remove(const char *path, const char *name) {
    (void)name;
    unlink(path);
}

static void fuzz_keep(const char *path, const char *name) {
    store_file *f = &files[n_files++];
    nadb_buf b = NADB_BUF_INIT;

    MUST(n_files <= FILES_MAX);
    MUST(path_read(path, 1 << 24, &b, NULL) == NADB_OK);
    snprintf(f->name, sizeof f->name, "%s", name);
    f->n = b.n;
    f->bytes = b.p;
}

static int fuzz_by_name(const void *a, const void *b) {
    return strcmp(((const store_file *)a)->name, ((const store_file *)b)->name);
}

static void fuzz_make_options(void) {
    const char *root = getenv("TMPDIR");
    char path[400];
    const char *args[] = {path, "namespace=kv", "buffer_size_mb=0.0625",
                          "busy_timeout=50", "flush_interval=3600"};
    nadb_place place = {"kv", "", NULL};
    nadb_err err;

    if (root == NULL) root = access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm";
    snprintf(fuzz_dir, sizeof fuzz_dir, "%s/nadb-fuzz-XXXXXX", root);
    MUST(mkdtemp(fuzz_dir) != NULL);
    snprintf(fuzz_in, sizeof fuzz_in, "%s/main/kv", fuzz_dir);
    snprintf(path, sizeof path, "path='%s'", fuzz_dir);
    nadb_err_clear(&err);
    if (nadb_options_parse(args, 5, &place, &fuzz_options, &err) != NADB_OK) {
        fprintf(stderr, "%s\n", err.msg);
        abort();
    }
}

static void fuzz_at_exit(void) {
    char path[400];

    fuzz_each(fuzz_remove);
    rmdir(fuzz_in);
    snprintf(path, sizeof path, "%s/main", fuzz_dir);
    rmdir(path);
    rmdir(fuzz_dir);
}

static void fuzz_make(void) {
    nadb_store *s = NULL;
    nadb_err err;

    nadb_err_clear(&err);
    fuzz_make_options();
    if (nadb_store_open(fuzz_options, NADB_STORE_CREATE, &s, NULL, &err) !=
            NADB_OK ||
        fuzz_write(s, 0, 30, 60, &err) != NADB_OK ||
        fuzz_write(s, 30, 32, BIG, &err) != NADB_OK ||
        nadb_store_flush(s, &err) != NADB_OK ||
        fuzz_write(s, 3, 9, 0, &err) != NADB_OK ||
        fuzz_write(s, 20, 40, 20, &err) != NADB_OK) {
        fprintf(stderr, "%s\n", err.msg);
        abort();
    }
    nadb_store_close(s);
    fuzz_each(fuzz_keep);
    qsort(files, n_files, sizeof files[0], fuzz_by_name);
    atexit(fuzz_at_exit);
}

static store_file *fuzz_file(const char *suffix) {
    for (size_t i = n_files; i-- > 0;) {
        size_t n = strlen(files[i].name);

        if (n >= strlen(suffix) &&
            strcmp(files[i].name + n - strlen(suffix), suffix) == 0)
            return &files[i];
    }
    abort();
}

/* control as it would be if the store had been made here. */
static void fuzz_adopt_control(int fd) {
    struct stat st;
    control_map *m;

    MUST(fstat(fd, &st) == 0);
    m = mmap(NULL, sizeof *m, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    MUST(m != MAP_FAILED);
    m->dev = st.st_dev;
    m->ino = st.st_ino;
    m->head_crc = nadb_crc32c(0, m, offsetof(control_map, head_crc));
    munmap(m, sizeof *m);
}

static void fuzz_write_file(const store_file *f, const uint8_t *p, size_t n) {
    size_t used = n;
    char path[400];
    int fd;

    snprintf(path, sizeof path, "%s/%s", fuzz_in, f->name);
    fd = open(path, O_RDWR | O_CREAT, 0600);
    MUST(fd >= 0);
    while (used > 0 && p[used - 1] == 0) used--;
    MUST(used == 0 || write(fd, p, used) == (ssize_t)used);
    MUST(posix_fallocate(fd, 0, n == 0 ? 1 : (off_t)n) == 0);
    if (strcmp(f->name, "control") == 0) fuzz_adopt_control(fd);
    close(fd);
}

/* The folder as the store left it, but `own` has these bytes. */
static void fuzz_restore(const store_file *own, const uint8_t *bytes,
                         size_t n) {
    fuzz_each(fuzz_remove);
    for (size_t i = 0; i < n_files; i++) {
        if (&files[i] == own)
            fuzz_write_file(own, bytes, n);
        else
            fuzz_write_file(&files[i], files[i].bytes, files[i].n);
    }
}

/* --- patches --- */

static void fuzz_patch(uint8_t *p, size_t n, const uint8_t *data, size_t size) {
    while (size >= 6) {
        uint32_t off = nadb_get_u32(data);
        size_t len = data[4];

        data += 5;
        size -= 5;
        if (len > size) len = size;
        if (off < n && len <= n - off) memcpy(p + off, data, len);
        data += len;
        size -= len;
    }
}

/* The same to a file that is in use. */
static void fuzz_patch_file(const store_file *f, const uint8_t *data,
                            size_t size) {
    char path[400];
    uint8_t *p;
    int fd;

    snprintf(path, sizeof path, "%s/%s", fuzz_in, f->name);
    fd = open(path, O_RDWR);
    if (fd < 0) return; /* it was flushed and is gone */
    p = mmap(NULL, f->n, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    MUST(p != MAP_FAILED);
    fuzz_patch(p, f->n, data, size);
    munmap(p, f->n);
    close(fd);
}

/* The file `f` is damaged before the store is opened, and if `live` while it
 * is open instead. */
static void fuzz_damaged(const store_file *f, bool live, const uint8_t *data,
                         size_t size) {
    uint8_t *copy = malloc(f->n);
    nadb_store *s = NULL;

    MUST(copy != NULL);
    memcpy(copy, f->bytes, f->n);
    if (!live) fuzz_patch(copy, f->n, data, size);
    fuzz_restore(f, copy, f->n);
    free(copy);
    if (!fuzz_open(&s)) return;
    if (live) {
        fuzz_read(s);
        fuzz_patch_file(f, data, size);
    }
    fuzz_use(s, size > 0 && data[size - 1] % 4 == 0);
    nadb_store_close(s);
    if (!live || !fuzz_open(&s)) return;
    fuzz_read(s);
    nadb_store_close(s);
}

#endif
