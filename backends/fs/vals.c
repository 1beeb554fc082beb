/* vals.c - files of large values (see vals.h).
 *
 *     magic 8 | format u32 | number u64 | store 16 | zeros 8 | crc u32 of
 *     these | values
 */
#include "vals.h"

#include <stdatomic.h>

#include "sst_write.h"

static void make_head(uint8_t p[FS_VAL_HEAD], uint64_t number,
                      const uint8_t store_id[NADB_STORE_ID]) {
    memset(p, 0, FS_VAL_HEAD);
    memcpy(p, FS_VAL_MAGIC, 8);
    nadb_put_u32(p + 8, FS_FORMAT);
    nadb_put_u64(p + 12, number);
    memcpy(p + 20, store_id, NADB_STORE_ID);
    nadb_put_u32(p + 44, nadb_crc32c(0, p, 44));
}

static nadb_rc check_head(const fs_val *v, nadb_home *home, nadb_err *err) {
    uint8_t want[FS_VAL_HEAD], copy[FS_VAL_HEAD];
    const uint8_t *got = v->map;

    if (v->size < FS_VAL_HEAD)
        return nadb_corrupt(err, "%s is too short", v->path);
    if (got == NULL) {
        nadb_rc rc = v->os->pread(v->file, copy, FS_VAL_HEAD, 0, err);

        if (rc != NADB_OK) return rc;
        got = copy;
    }
    make_head(want, v->number, got + 20);
    if (memcmp(got, want, FS_VAL_HEAD) == 0)
        return nadb_home_check(home, got + 20, v->path, err);
    if (memcmp(got, want, 8) == 0 &&
        nadb_get_u32(got + 44) == nadb_crc32c(0, got, 44) &&
        nadb_get_u32(got + 8) != FS_FORMAT)
        return fs_file_format(v->path, nadb_get_u32(got + 8), err);
    return nadb_corrupt(err, "%s: bad head", v->path);
}

static nadb_rc open_bytes(fs_val *v, nadb_home *home, bool mmap,
                          nadb_err *err) {
    void *map;
    nadb_rc rc =
        fs_file_open(home, v->number, "val", v->path, v->size, &v->file, err);

    if (rc != NADB_OK) return rc;
    if (mmap && v->size > 0) {
        rc = v->os->map(v->file, v->size, false, &map, err);
        if (rc != NADB_OK) return rc;
        v->map = map;
        v->os->close(v->file);
        v->file = NULL;
        v->known = nadb_calloc((size_t)(v->size / FS_PAGE / 8 + 1), 1);
        if (v->known == NULL)
            return nadb_fail(err, NADB_NOMEM, "opening %s", v->path);
    }
    return check_head(v, home, err);
}

nadb_rc fs_val_open(nadb_home *home, uint64_t number, uint64_t size, bool mmap,
                    fs_val **out, nadb_err *err) {
    fs_val *v = nadb_calloc(1, sizeof *v);
    nadb_rc rc;

    *out = NULL;
    if (v != NULL) {
        v->os = home->os;
        v->number = number;
        v->size = size;
        v->path = fs_file_path(home, number, "val");
    }
    if (v == NULL || v->path == NULL) {
        rc = nadb_fail(err, NADB_NOMEM, "opening values in %s",
                       home->os->dir_path(home->dir));
        goto done;
    }
    rc = open_bytes(v, home, mmap, err);
    if (rc != NADB_OK) goto done;
    *out = v;
    v = NULL;
done:
    fs_val_close(v);
    return rc;
}

void fs_val_close(fs_val *v) {
    if (v == NULL) return;
    if (v->map != NULL) v->os->unmap((void *)(uintptr_t)v->map, v->size);
    if (v->file != NULL) v->os->close(v->file);
    nadb_free((void *)v->known);
    nadb_free(v->path);
    nadb_free(v);
}

nadb_rc fs_val_read(const fs_val *v, const fs_ref *ref, nadb_buf *scratch,
                    nadb_slice *out, nadb_err *err) {
    uint64_t page;
    const uint8_t *p;

    if (ref->off < FS_VAL_HEAD || ref->off > v->size ||
        ref->n > v->size - ref->off || ref->n < FS_VAL_MIN)
        return nadb_corrupt(err, "%s: no value of %llu bytes at byte %llu",
                            v->path, (unsigned long long)ref->n,
                            (unsigned long long)ref->off);
    if (v->map == NULL) {
        nadb_rc rc;

        nadb_buf_reset(scratch);
        if (!nadb_buf_reserve(scratch, (size_t)ref->n))
            return nadb_fail(err, NADB_NOMEM, "reading %s", v->path);
        rc = v->os->pread(v->file, scratch->p, (size_t)ref->n, ref->off, err);
        if (rc != NADB_OK) return rc;
        scratch->n = (size_t)ref->n;
        *out = nadb_buf_slice(scratch);
        p = scratch->p;
        page = 0;
    } else {
        p = v->map + ref->off;
        *out = nadb_slice_of(p, (size_t)ref->n);
        page = (ref->off + FS_PAGE - 1) / FS_PAGE;
        if (atomic_load_explicit(&v->known[page / 8], memory_order_relaxed) >>
                (page % 8) &
            1)
            return NADB_OK;
    }
    if (nadb_crc32c(0, p, (size_t)ref->n) != ref->crc)
        return nadb_corrupt(err, "%s: wrong checksum of the value at byte %llu",
                            v->path, (unsigned long long)ref->off);
    if (v->map != NULL)
        atomic_fetch_or_explicit(&v->known[page / 8],
                                 (uint8_t)(1u << (page % 8)),
                                 memory_order_relaxed);
    return NADB_OK;
}

/* --- writing --- */

nadb_rc fs_val_create(fs_val_writer *w, const nadb_home *home, uint64_t number,
                      nadb_err *err) {
    uint8_t head[FS_VAL_HEAD];
    nadb_rc rc;

    w->os = home->os;
    w->number = number;
    rc =
        nadb_home_open(home, number, "val",
                       NADB_OPEN_WRITE | NADB_OPEN_CREATE | NADB_OPEN_EXCLUSIVE,
                       &w->file, err);
    if (rc != NADB_OK) return rc;
    make_head(head, number, home->id.bytes);
    w->size = FS_VAL_HEAD;
    return w->os->pwrite(w->file, head, FS_VAL_HEAD, 0, err);
}

nadb_rc fs_val_append(fs_val_writer *w, nadb_slice value, fs_ref *out,
                      nadb_err *err) {
    nadb_rc rc = w->os->pwrite(w->file, value.p, value.n, w->size, err);

    if (rc != NADB_OK) return rc;
    out->file = w->number;
    out->off = w->size;
    out->n = value.n;
    out->crc = nadb_crc32c(0, value.p, value.n);
    w->size += value.n;
    return NADB_OK;
}

nadb_rc fs_val_finish(fs_val_writer *w, nadb_err *err) {
    nadb_rc rc = w->os->sync(w->file, err);

    fs_val_abandon(w);
    return rc;
}

void fs_val_abandon(fs_val_writer *w) {
    if (w->file != NULL) w->os->close(w->file);
    w->file = NULL;
}
