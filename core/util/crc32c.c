/* crc32c.c - CRC-32C by instruction or by table (crc32c.h).
 *
 * Functions named raw_* work on the bare register, without inversion before or
 * after. Zero bytes change a register linearly, so the register after L zero
 * bytes is an XOR of table entries. That allows three independent runs of the
 * instruction (latency 3, one per cycle) to be joined:
 *
 *     | stream A, L bytes | stream B, L bytes | stream C, L bytes |
 *     crc = shift(shift(A) ^ B) ^ C       shift: through L zero bytes */
#include "crc32c.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "coding.h"
#include "os_system.h"

#define POLY 0x82F63B78u /* 0x1EDC6F41, bits reversed */
#define STREAM ((size_t)512)

typedef uint32_t raw_fn(uint32_t r, const uint8_t *p, size_t n);

/* Filled once, by slices_init() and init(); read-only afterwards. */
static pthread_once_t slices_once = PTHREAD_ONCE_INIT;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static uint32_t slices[8][256];
static uint32_t shift_table[4][256];

/* The first call chooses the function; later calls need no test. */
static raw_fn raw_first;
static _Atomic(raw_fn *) raw_best = raw_first;

static void slices_init(void) {
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t r = i;

        for (int bit = 0; bit < 8; bit++) r = r >> 1 ^ (r & 1 ? POLY : 0);
        slices[0][i] = r;
    }
    for (int k = 1; k < 8; k++) {
        for (int i = 0; i < 256; i++) {
            uint32_t r = slices[k - 1][i];

            slices[k][i] = r >> 8 ^ slices[0][r & 0xFF];
        }
    }
}

static uint32_t raw_table(uint32_t r, const uint8_t *p, size_t n) {
    for (; n >= 8; p += 8, n -= 8) {
        uint32_t lo = r ^ nadb_get_u32(p);
        uint32_t hi = nadb_get_u32(p + 4);

        r = slices[7][lo & 0xFF] ^ slices[6][lo >> 8 & 0xFF] ^
            slices[5][lo >> 16 & 0xFF] ^ slices[4][lo >> 24] ^
            slices[3][hi & 0xFF] ^ slices[2][hi >> 8 & 0xFF] ^
            slices[1][hi >> 16 & 0xFF] ^ slices[0][hi >> 24];
    }
    for (; n > 0; n--) r = r >> 8 ^ slices[0][(r ^ *p++) & 0xFF];
    return r;
}

#if defined(__x86_64__) || defined(__aarch64__)

#if defined(__x86_64__)
#include <cpuid.h>
#define USES_CRC __attribute__((target("sse4.2")))
#define CRC_U64(r, v) __builtin_ia32_crc32di(r, v)
#define CRC_U32(r, v) __builtin_ia32_crc32si(r, v)
#define CRC_U8(r, v) __builtin_ia32_crc32qi(r, v)

/* gcc's builtin executes cpuid about twenty times before main(), each of which
 * takes microseconds in a virtual machine. */
static bool have_instruction(void) {
    uint32_t a, b, c, d;

    __cpuid(1, a, b, c, d);
    return (c & bit_SSE4_2) != 0;
}
#else
#if defined(__clang__)
#define USES_CRC __attribute__((target("crc")))
#define CRC_U64(r, v) __builtin_arm_crc32cd(r, v)
#define CRC_U32(r, v) __builtin_arm_crc32cw(r, v)
#define CRC_U8(r, v) __builtin_arm_crc32cb(r, v)
#else
#define USES_CRC __attribute__((target("+crc")))
#define CRC_U64(r, v) __builtin_aarch64_crc32cx(r, v)
#define CRC_U32(r, v) __builtin_aarch64_crc32cw(r, v)
#define CRC_U8(r, v) __builtin_aarch64_crc32cb(r, v)
#endif

static bool have_instruction(void) { return system_crc_instruction(); }
#endif

static uint32_t shift(uint32_t r) {
    return shift_table[0][r & 0xFF] ^ shift_table[1][r >> 8 & 0xFF] ^
           shift_table[2][r >> 16 & 0xFF] ^ shift_table[3][r >> 24];
}

USES_CRC static uint32_t raw_hardware(uint32_t r, const uint8_t *p, size_t n) {
    for (; n >= 3 * STREAM; p += 3 * STREAM, n -= 3 * STREAM) {
        uint32_t b = 0;
        uint32_t c = 0;

        for (size_t i = 0; i < STREAM; i += 8) {
            r = (uint32_t)CRC_U64(r, nadb_get_u64(p + i));
            b = (uint32_t)CRC_U64(b, nadb_get_u64(p + STREAM + i));
            c = (uint32_t)CRC_U64(c, nadb_get_u64(p + 2 * STREAM + i));
        }
        r = shift(shift(r) ^ b) ^ c;
    }
    for (; n >= 32; p += 32, n -= 32) {
        r = (uint32_t)CRC_U64(r, nadb_get_u64(p));
        r = (uint32_t)CRC_U64(r, nadb_get_u64(p + 8));
        r = (uint32_t)CRC_U64(r, nadb_get_u64(p + 16));
        r = (uint32_t)CRC_U64(r, nadb_get_u64(p + 24));
    }
    for (; n >= 8; p += 8, n -= 8) r = (uint32_t)CRC_U64(r, nadb_get_u64(p));
    if (n & 4) {
        r = CRC_U32(r, nadb_get_u32(p));
        p += 4;
    }
    for (n &= 3; n > 0; n--) r = CRC_U8(r, *p++);
    return r;
}

/* Fills the table from shift(1 << bit) of each bit. */
static void shift_init(void) {
    static const uint8_t zeros[STREAM];

    for (int bit = 0; bit < 32; bit++) {
        uint32_t r = raw_hardware((uint32_t)1 << bit, zeros, STREAM);

        for (int i = 1 << bit % 8; i < 2 << bit % 8; i++)
            shift_table[bit / 8][i] =
                shift_table[bit / 8][i - (1 << bit % 8)] ^ r;
    }
}

static void init(void) {
    bool hardware = have_instruction();

    if (hardware)
        shift_init();
    else
        pthread_once(&slices_once, slices_init);
    atomic_store_explicit(&raw_best, hardware ? raw_hardware : raw_table,
                          memory_order_release);
}

#else

static void init(void) {
    pthread_once(&slices_once, slices_init);
    atomic_store_explicit(&raw_best, raw_table, memory_order_release);
}

#endif

static uint32_t raw_first(uint32_t r, const uint8_t *p, size_t n) {
    pthread_once(&once, init);
    return atomic_load_explicit(&raw_best, memory_order_acquire)(r, p, n);
}

uint32_t nadb_crc32c(uint32_t crc, const void *p, size_t n) {
    return ~atomic_load_explicit(&raw_best, memory_order_acquire)(~crc, p, n);
}

uint32_t nadb_crc32c_table(uint32_t crc, const void *p, size_t n) {
    pthread_once(&slices_once, slices_init);
    return ~raw_table(~crc, p, n);
}

/* The product of two polynomials modulo ours; the highest bit is x^0. */
static uint32_t product(uint32_t a, uint32_t b) {
    uint32_t sum = 0;

    for (uint32_t bit = (uint32_t)1 << 31; bit != 0; bit >>= 1) {
        if (a & bit) sum ^= b;
        b = b >> 1 ^ (b & 1 ? POLY : 0);
    }
    return sum;
}

/* A zero byte multiplies the register by x^8. */
uint32_t nadb_crc32c_zeros(uint32_t crc, uint64_t n) {
    uint32_t power = (uint32_t)1 << 23; /* x^8, x^16, x^32, .. */
    uint32_t r = ~crc;

    for (; n > 0; n >>= 1) {
        if (n & 1) r = product(r, power);
        power = product(power, power);
    }
    return ~r;
}
