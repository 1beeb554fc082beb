/* codec.c - compresses and decompresses with zlib states that are kept per
 * thread (codec.h).
 *
 * A deflate state has 264 KB and takes longer to make than a small value takes
 * to compress. So each thread has one state of either kind, made at first use
 * and freed at the thread's end. Each call begins with a reset, so a state
 * carries nothing from one call to the next. */
#include "codec.h"

#include <pthread.h>
#include <zlib.h>

/* A value must become at least 1/16 smaller to be worth decompressing, and
 * copying, at each read. */
#define SAVING 16

/* Large values are sampled first, in SAMPLE_PARTS evenly spread pieces. Data
 * that repeats only over a distance larger than a piece is not compressed,
 * which costs space and nothing else. */
#define SAMPLE_MIN 16384u
#define SAMPLE_PARTS 4u
#define SAMPLE_PART 1024u

/* zlib counts in unsigned int, so larger values are passed in steps. */
#define STEP_MAX ((size_t)1 << 30)

/* deflate cannot exceed about 1032:1 (RFC 1951: 258 bytes in 2 bits). A larger
 * declared size is damage, and nothing is allocated for it. */
#define RATIO_MAX 1040u

typedef struct codec_state {
    z_stream deflate, inflate;
    bool can_deflate, can_inflate; /* initialised */
    int level;                     /* of the deflate state */
} codec_state;

static pthread_key_t state_key;
static pthread_once_t state_once = PTHREAD_ONCE_INIT;
static bool state_key_made;

static void state_free(void *p) {
    codec_state *s = p;

    if (s->can_deflate) deflateEnd(&s->deflate);
    if (s->can_inflate) inflateEnd(&s->inflate);
    nadb_free(s);
}

/* The library is never unloaded, so the key's destructor exists whenever a
 * thread ends. */
static void make_key(void) {
    state_key_made = pthread_key_create(&state_key, state_free) == 0;
}

static nadb_rc no_memory(nadb_err *err) {
    return nadb_fail(err, NADB_NOMEM, "out of memory for compression");
}

static codec_state *thread_state(void) {
    codec_state *s;

    pthread_once(&state_once, make_key);
    if (!state_key_made) return NULL;
    s = pthread_getspecific(state_key);
    if (s != NULL) return s;
    s = nadb_calloc(1, sizeof *s);
    if (s == NULL) return NULL;
    if (pthread_setspecific(state_key, s) != 0) {
        nadb_free(s);
        return NULL;
    }
    return s;
}

static voidpf z_alloc(voidpf opaque, uInt n, uInt size) {
    (void)opaque;
    return nadb_calloc(n, size);
}

static void z_free(voidpf opaque, voidpf p) {
    (void)opaque;
    nadb_free(p);
}

/* Clears what the last call did not consume; zlib's reset functions do not. */
static z_stream *fresh(z_stream *z) {
    z->next_in = NULL;
    z->avail_in = 0;
    return z;
}

/* A reset deflate state of this level; NULL if out of memory. */
static z_stream *begin_deflate(int level) {
    codec_state *s = thread_state();

    if (s == NULL) return NULL;
    if (s->can_deflate && s->level == level &&
        deflateReset(&s->deflate) == Z_OK)
        return fresh(&s->deflate);
    /* deflateParams() would be cheaper, but it may write output first. */
    if (s->can_deflate) deflateEnd(&s->deflate);
    memset(&s->deflate, 0, sizeof s->deflate);
    s->deflate.zalloc = z_alloc;
    s->deflate.zfree = z_free;
    s->level = level;
    s->can_deflate = deflateInit(&s->deflate, level) == Z_OK;
    return s->can_deflate ? &s->deflate : NULL;
}

static z_stream *begin_inflate(void) {
    codec_state *s = thread_state();

    if (s == NULL) return NULL;
    if (s->can_inflate && inflateReset(&s->inflate) == Z_OK)
        return fresh(&s->inflate);
    if (s->can_inflate) inflateEnd(&s->inflate);
    memset(&s->inflate, 0, sizeof s->inflate);
    s->inflate.zalloc = z_alloc;
    s->inflate.zfree = z_free;
    s->can_inflate = inflateInit(&s->inflate) == Z_OK;
    return s->can_inflate ? &s->inflate : NULL;
}

static size_t step(size_t left) { return left < STEP_MAX ? left : STEP_MAX; }

/* Gives the stream its next part of `in`, of which it got *fed bytes. */
static void feed(z_stream *z, nadb_slice in, size_t *fed) {
    if (z->avail_in > 0) return;
    z->next_in = (z_const Bytef *)(uintptr_t)(in.p + *fed);
    z->avail_in = (uInt)step(in.n - *fed);
    *fed += z->avail_in;
}

static nadb_rc codec_error(nadb_err *err, const char *what, int zrc) {
    if (zrc == Z_MEM_ERROR) return no_memory(err);
    return nadb_corrupt(err, "%s a value: %s", what, zError(zrc));
}

/* --- compressing --- */

/* True if a sample of `in` shrinks by 1/SAVING. */
static bool sample_shrinks(nadb_slice in, int level) {
    uint8_t sample[SAMPLE_PARTS * SAMPLE_PART];
    uint8_t out[sizeof sample - sizeof sample / SAVING];
    size_t stride = (in.n - SAMPLE_PART) / (SAMPLE_PARTS - 1);
    z_stream *z = begin_deflate(level);

    if (z == NULL) return true; /* compressing the whole value will report it */
    for (size_t i = 0; i < SAMPLE_PARTS; i++)
        memcpy(sample + i * SAMPLE_PART, in.p + i * stride, SAMPLE_PART);
    z->next_in = sample;
    z->avail_in = sizeof sample;
    z->next_out = out;
    z->avail_out = sizeof out;
    return deflate(z, Z_FINISH) == Z_STREAM_END;
}

/* Deflates `in` behind out->n, to at most `limit` bytes. *fits: that was
 * enough, and out->n includes the result. */
static nadb_rc deflate_all(z_stream *z, nadb_slice in, size_t limit,
                           nadb_buf *out, bool *fits, nadb_err *err) {
    size_t start = out->n, fed = 0;
    int zrc = Z_OK;

    *fits = false;
    while (zrc == Z_OK) {
        size_t done = out->n - start;
        size_t room = limit - done;

        if (room == 0) return NADB_OK;
        /* Allocates step by step, because most results are far below the
         * limit. */
        if (room > in.n / 4 + 4096) room = in.n / 4 + 4096;
        room = step(room);
        if (!nadb_buf_reserve(out, room)) return no_memory(err);
        feed(z, in, &fed);
        z->next_out = out->p + out->n;
        z->avail_out = (uInt)room;
        zrc = deflate(z, fed == in.n ? Z_FINISH : Z_NO_FLUSH);
        if (zrc == Z_BUF_ERROR) zrc = Z_OK; /* it needs space or input */
        out->n += room - z->avail_out;
    }
    if (zrc != Z_STREAM_END) return codec_error(err, "compressing", zrc);
    *fits = true;
    return NADB_OK;
}

nadb_rc nadb_codec_encode(nadb_slice in, int level, nadb_buf *out,
                          uint8_t *codec, nadb_err *err) {
    size_t start = out->n;
    bool fits = false;
    z_stream *z;
    nadb_rc rc;

    *codec = NADB_CODEC_RAW;
    if (level < 1 || in.n < NADB_CODEC_MIN) return NADB_OK;
    if (in.n >= SAMPLE_MIN && !sample_shrinks(in, level)) return NADB_OK;
    z = begin_deflate(level);
    if (z == NULL) return no_memory(err);
    rc = deflate_all(z, in, in.n - in.n / SAVING, out, &fits, err);
    if (rc == NADB_OK && fits)
        *codec = NADB_CODEC_ZLIB;
    else
        out->n = start;
    return rc;
}

/* --- decompressing --- */

static nadb_rc inflate_all(z_stream *z, nadb_slice in, size_t size,
                           nadb_buf *out, nadb_err *err) {
    size_t fed = 0;
    int zrc = Z_OK;

    while (zrc == Z_OK) {
        size_t room = step(size - out->n);

        feed(z, in, &fed);
        z->next_out = out->p + out->n;
        z->avail_out = (uInt)room;
        /* With Z_FINISH, if everything fits into one call, zlib does not copy
         * its window. */
        zrc = inflate(z, fed == in.n && room == size ? Z_FINISH : Z_NO_FLUSH);
        out->n += room - z->avail_out;
    }
    if (zrc != Z_STREAM_END) return codec_error(err, "decompressing", zrc);
    if (out->n != size || z->avail_in > 0 || fed < in.n)
        return nadb_corrupt(err, "decompressing a value: its size is wrong");
    return NADB_OK;
}

nadb_rc nadb_codec_decode(nadb_slice in, uint8_t codec, uint64_t size,
                          nadb_buf *out, nadb_err *err) {
    z_stream *z;
    nadb_rc rc;

    nadb_buf_reset(out);
    if (codec == NADB_CODEC_RAW && in.n == size)
        return nadb_buf_append(out, in.p, in.n) ? NADB_OK : no_memory(err);
    if (codec != NADB_CODEC_ZLIB)
        return nadb_corrupt(err, "decompressing a value: unknown codec %u",
                            codec);
    if (in.n == 0 || size / RATIO_MAX > in.n || size > SIZE_MAX / 2)
        return nadb_corrupt(err, "decompressing a value: its size is wrong");
    z = begin_inflate();
    /* One extra byte, so that there is a buffer even for size 0. */
    if (z == NULL || !nadb_buf_reserve(out, (size_t)size + 1))
        return no_memory(err);
    rc = inflate_all(z, in, (size_t)size, out, err);
    if (rc != NADB_OK) nadb_buf_reset(out);
    return rc;
}
