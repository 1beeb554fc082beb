/* encode.h - compresses the chunks of a file of rows in threads, while the next
 * ones are collected.
 *
 * Chunks are in a ring: the writer fills one, gives it, and takes encoded ones
 * out in the same order. Giving the second chunk starts the threads, so a small
 * file needs none. If no thread has begun the chunk that the writer wants to
 * take, the writer's thread encodes it; so the file is written even if no
 * thread can be started. */
#ifndef NADB_BACKUP_ENCODE_H
#define NADB_BACKUP_ENCODE_H

#include "../util/bytes.h"
#include "rows_format.h"

/* Number of chunks of a writer; each has some 400 KB of memory. */
#define ENCODER_CHUNKS 6u

typedef struct backup_encoder backup_encoder;

typedef struct backup_chunk {
    /* The writer's part: */
    nadb_buf keys, values;
    nadb_slice large; /* one borrowed value, instead of `values` */
    nadb_buf first;   /* its first key */
    uint32_t records;
    /* The encoder's part: */
    nadb_buf compressed;
    nadb_slice coded; /* the values as they are stored */
    uint8_t codec;
    uint32_t keys_crc, values_crc;
} backup_chunk;

/* `level`: of zlib; 0: values are not changed. The caller owns *out. */
nadb_rc backup_encoder_new(int level, const uint8_t id[ID_BYTES],
                           backup_encoder **out, nadb_err *err) NADB_MUST_USE;
/* Ends the threads, even if chunks are in the ring. NULL is fine. */
void backup_encoder_free(backup_encoder *e);

/* The chunk for the writer to fill; empty after a give. */
backup_chunk *backup_encoder_chunk(backup_encoder *e);
/* Gives it to be encoded. REQUIRES: fewer than ENCODER_CHUNKS - 1 are given. */
void backup_encoder_give(backup_encoder *e);
/* Number of chunks that are given and not dropped. */
unsigned backup_encoder_given(const backup_encoder *e);
/* The oldest given chunk, once it is encoded. It belongs to the writer until
 * backup_encoder_drop(). */
nadb_rc backup_encoder_take(backup_encoder *e, const backup_chunk **out,
                            nadb_err *err) NADB_MUST_USE;
void backup_encoder_drop(backup_encoder *e);

/* Bytes of the values before they are compressed. */
static inline nadb_slice backup_chunk_raw(const backup_chunk *c) {
    return c->large.n > 0 ? c->large : nadb_buf_slice(&c->values);
}

#endif
