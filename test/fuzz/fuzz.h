/* fuzz.h - what the libFuzzer targets share. Build and run: run.sh. */
#ifndef NADB_FUZZ_H
#define NADB_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* A condition without which the target has found something. */
#define MUST(cond)                                                             \
    do {                                                                       \
        if (!(cond)) abort();                                                  \
    } while (0)

#endif
