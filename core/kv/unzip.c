/* unzip.c - decompresses data of other programs: zlib (RFC 1950) or gzip (RFC
 * 1952), recognised by the first bytes. */
#include "../nadb.h"

#include <zlib.h>

#define STEP ((size_t)1 << 18)
#define WINDOW_OF_EITHER (15 + 32) /* makes zlib accept both formats */

static nadb_rc unzip_error(nadb_err *err, int zrc) {
    if (zrc == Z_MEM_ERROR)
        return nadb_fail(err, NADB_NOMEM, "out of memory for decompressing");
    return nadb_corrupt(err,
                        "the data is not compressed by zlib or gzip, or is "
                        "damaged");
}

/* True if another member of a gzip file follows. */
static bool goes_on(z_stream *z, nadb_slice in, size_t fed) {
    return (z->avail_in > 0 || fed < in.n) && in.p[0] == 0x1f &&
           inflateReset(z) == Z_OK;
}

static nadb_rc unzip_all(z_stream *z, nadb_slice in, size_t max, nadb_buf *out,
                         nadb_err *err) {
    size_t start = out->n, fed = 0;

    for (;;) {
        int zrc;

        if (out->n - start > max)
            return nadb_fail(err, NADB_TOOBIG,
                             "the data has more than %zu bytes when it is "
                             "decompressed",
                             max);
        if (!nadb_buf_reserve(out, STEP))
            return nadb_fail(err, NADB_NOMEM,
                             "out of memory for decompressing");
        if (z->avail_in == 0 && fed < in.n) {
            size_t n = in.n - fed < STEP ? in.n - fed : STEP;

            z->next_in = (z_const Bytef *)(uintptr_t)(in.p + fed);
            z->avail_in = (uInt)n;
            fed += n;
        }
        z->next_out = out->p + out->n;
        z->avail_out = (uInt)STEP;
        zrc = inflate(z, Z_NO_FLUSH);
        out->n += STEP - z->avail_out;
        if (zrc == Z_STREAM_END && !goes_on(z, in, fed))
            return z->avail_in == 0 && fed == in.n ? NADB_OK
                                                   : unzip_error(err, zrc);
        if (zrc != Z_OK && zrc != Z_STREAM_END) return unzip_error(err, zrc);
    }
}

nadb_rc nadb_unzip(nadb_slice in, size_t max, nadb_buf *out, nadb_err *err) {
    z_stream z;
    int zrc;
    nadb_rc rc;

    memset(&z, 0, sizeof z);
    if (in.n == 0) return unzip_error(err, Z_DATA_ERROR);
    zrc = inflateInit2(&z, WINDOW_OF_EITHER);
    if (zrc != Z_OK) return unzip_error(err, zrc);
    rc = unzip_all(&z, in, max, out, err);
    inflateEnd(&z);
    return rc;
}
