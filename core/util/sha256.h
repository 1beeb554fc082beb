/* sha256.h - SHA-256 (FIPS 180-4).
 *
 * Uses the CPU's instructions if it has them (chosen once, at run time),
 * otherwise plain C, with equal results. */
#ifndef NADB_SHA256_H
#define NADB_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define NADB_SHA256_BYTES 32
#define NADB_SHA256_HEX (2 * NADB_SHA256_BYTES + 1) /* with the terminator */

typedef struct nadb_sha256 {
    uint32_t h[8];
    uint64_t n;       /* bytes added */
    uint8_t tail[64]; /* the last n % 64 bytes */
} nadb_sha256;

void nadb_sha256_begin(nadb_sha256 *s);
void nadb_sha256_add(nadb_sha256 *s, const void *p, size_t n);
/* The sum of all bytes added; begin again before further use. */
void nadb_sha256_end(nadb_sha256 *s, uint8_t out[NADB_SHA256_BYTES]);
/* Lower case, terminated. */
void nadb_sha256_hex(const uint8_t sum[NADB_SHA256_BYTES],
                     char out[NADB_SHA256_HEX]);

/* The sum by plain C alone, so that a test can compare the two. */
void nadb_sha256_plain(const void *p, size_t n, uint8_t out[NADB_SHA256_BYTES]);

#endif
