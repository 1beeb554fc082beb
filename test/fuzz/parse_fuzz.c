/* parse_fuzz.c - integers and times out of text: what is taken is written again
 * and taken for the same. */
#include "../../core/util/parse.h"

#include <stdio.h>
#include <string.h>

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    nadb_slice text = nadb_slice_of(data, n);
    char again[64];
    int64_t v, w;

    if (nadb_parse_integer(text, &v)) {
        snprintf(again, sizeof again, "%lld", (long long)v);
        MUST(nadb_parse_integer(nadb_slice_str(again), &w) && w == v);
    }
    if (nadb_parse_time(text, &v)) {
        MUST(n >= 10 && v >= INT64_C(-62167305600000) &&
             v <= INT64_C(253402387200000));
        /* The date alone is no later than a day from it. */
        MUST(nadb_parse_time(nadb_slice_of(data, 10), &w));
        MUST(v - w > INT64_C(-86400000) && v - w < INT64_C(172800000));
    }
    return 0;
}
