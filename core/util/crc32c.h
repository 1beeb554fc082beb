/* crc32c.h - CRC-32C (Castagnoli, polynomial 0x1EDC6F41, RFC 3720 B.4).
 *
 * Uses the CPU's instruction if it has one (chosen once, at run time),
 * otherwise a table of 8 slices, with equal results. A CRC detects damage, not
 * forgery. */
#ifndef NADB_CRC32C_H
#define NADB_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* The CRC of `n` bytes, continuing from `crc` (0 to begin):
 * crc(crc(0, a), b) is the CRC of a followed by b. */
uint32_t nadb_crc32c(uint32_t crc, const void *p, size_t n);

/* As over `n` zero bytes, in a time that does not depend on n. */
uint32_t nadb_crc32c_zeros(uint32_t crc, uint64_t n);

/* The table version alone, so that a test can compare the two. */
uint32_t nadb_crc32c_table(uint32_t crc, const void *p, size_t n);

#endif
