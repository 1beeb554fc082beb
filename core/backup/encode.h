/* encode.h - threads that compress the chunks of a file of rows while the next
 * ones are collected.
 *
 * Chunks are in a ring: the writer fills one, gives it, and takes encoded ones
 * out in the same order. Giving the second chunk starts the threads, so that a
 * small file needs none. The writer's thread encodes the chunk that it wants to
 * take when no other thread has begun it, so that the file is written also
 * where no thread can be started. */
#ifndef NADB_BACKUP_ENCODE_H
#define NADB_BACKUP_ENCODE_H

#include "../util/bytes.h"
#include "rows_format.h"

/* Memory of a writer: each chunk has some 400 KB. */
#define ENCODER_CHUNKS 6u

typedef struct backup_encoder backup_encoder;

typedef struct backup_chunk {
    /* of the writer */
    nadb_buf keys, values;
    nadb_slice large; /* instead of `values`: one borrowed value */
    nadb_buf first;   /* its first key */
    uint32_t records;
    /* of the encoder */
    nadb_buf compressed;
    nadb_slice coded; /* the values as they are stored */
    uint8_t codec;
    uint32_t keys_crc, values_crc;
} backup_chunk;

/* `level`: of zlib, 0 to leave values as they are. The caller owns *out. */
nadb_rc backup_encoder_new(int level, const uint8_t id[ID_BYTES],
                           backup_encoder **out, nadb_err *err) NADB_MUST_USE;
/* Ends the threads, also while chunks are in the ring. NULL is fine. */
void backup_encoder_free(backup_encoder *e);

/* The chunk that the writer fills; it is empty after a give. */
backup_chunk *backup_encoder_chunk(backup_encoder *e);
/* Gives it to be encoded. At most ENCODER_CHUNKS - 1 may be given. */
void backup_encoder_give(backup_encoder *e);
/* How many chunks are given and not yet dropped. */
unsigned backup_encoder_given(const backup_encoder *e);
/* The oldest of them, once it is encoded. It is the writer's until
 * backup_encoder_drop(). */
nadb_rc backup_encoder_take(backup_encoder *e, const backup_chunk **out,
                            nadb_err *err) NADB_MUST_USE;
void backup_encoder_drop(backup_encoder *e);

/* Bytes of the values before they are compressed. */
static inline nadb_slice backup_chunk_raw(const backup_chunk *c) {
    return c->large.n > 0 ? c->large : nadb_buf_slice(&c->values);
}

#endif
