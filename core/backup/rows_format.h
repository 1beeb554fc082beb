/* rows_format.h - bytes of a file of rows (docs/format.md, "Backups"), shared
 * by rows_write.c and rows_read.c. */
#ifndef NADB_BACKUP_ROWS_FORMAT_H
#define NADB_BACKUP_ROWS_FORMAT_H

#include "../util/coding.h"
#include "../util/crc32c.h"
#include "rows.h"

#define ROWS_VERSION 1u

/* --- head: of the file --- */
#define HEAD_BYTES 32u
#define HEAD_MAGIC "NADBrow1"
#define HEAD_VERSION 8u /* u32 */
#define HEAD_ID 16u     /* 8 random bytes, with which every other CRC begins */
#define HEAD_CRC 28u    /* of all before it */
#define ID_BYTES 8u

/* --- chunk head --- */
#define CHUNK_BYTES 48u
#define CHUNK_PLACE 0u       /* u64: its own offset in the file */
#define CHUNK_RECORDS 8u     /* u32 */
#define CHUNK_KEYS 12u       /* u32: bytes of the part with keys */
#define CHUNK_VALUES 16u     /* u64: bytes of the part with values */
#define CHUNK_VALUES_RAW 24u /* u64: the same, decompressed */
#define CHUNK_CODEC 32u      /* u32: core/kv/codec.h */
#define CHUNK_KEYS_CRC 36u
#define CHUNK_VALUES_CRC 40u
#define CHUNK_CRC 44u /* of all before it */

/* --- end: of the file --- */
#define END_BYTES 64u
#define END_MAGIC "NADBend1"
#define END_INDEX 8u        /* u64: offset of the index */
#define END_INDEX_BYTES 16u /* u64: bytes of the index */
#define END_CHUNKS 24u      /* u64 */
#define END_ROWS 32u        /* u64 */
#define END_DELETED 40u     /* u64 */
#define END_INDEX_CRC 48u   /* u32 */
#define END_VALUES 52u      /* u64: bytes of all values + 1; 0: unknown */
#define END_CRC 60u         /* of all before it */

/* A chunk is full when one of its parts is. A row with a larger value is alone
 * in its chunk. */
#define CHUNK_KEYS_FULL 65536u       /* as stored */
#define CHUNK_KEY_BYTES_FULL 262144u /* decoded */
#define CHUNK_VALUES_FULL 131072u
#define CHUNK_RECORDS_MAX 8192u

/* A reader accepts a full chunk and one more record. */
#define RECORD_KEYS_MAX (BACKUP_KEY_MAX + 40u)
#define CHUNK_KEYS_MAX (CHUNK_KEYS_FULL + RECORD_KEYS_MAX)
#define CHUNK_KEY_BYTES_MAX (CHUNK_KEY_BYTES_FULL + BACKUP_KEY_MAX)
/* Includes the keyspace byte, and room for longer keys of later versions. */
#define BACKUP_KEY_MAX 70000u
#define BACKUP_VALUE_MAX UINT64_C(0x80000000)

static inline uint32_t backup_crc(const uint8_t id[ID_BYTES], const void *p,
                                  size_t n) {
    return nadb_crc32c(nadb_crc32c(0, id, ID_BYTES), p, n);
}

#endif
