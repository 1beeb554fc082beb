/* tags_fuzz.c - the tags argument: what parses gives a valid list, whose JSON
 * is canonical: it parses to the same list, and comes out as it went in. */
#include "../../core/kv/tags.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    nadb_buf list = NADB_BUF_INIT, json = NADB_BUF_INIT;
    nadb_buf list2 = NADB_BUF_INIT, json2 = NADB_BUF_INIT;
    nadb_slice walk, tag;
    nadb_err err;

    (void)nadb_tags_valid(nadb_slice_of(data, n));
    walk = nadb_slice_of(data, n);
    while (nadb_tags_next(&walk, &tag)) MUST(tag.n <= n);

    nadb_err_clear(&err);
    if (nadb_tags_parse(nadb_slice_of(data, n), &list, &err) != NADB_OK) {
        MUST(list.n == 0 && err.msg[0] != '\0');
        goto done;
    }
    MUST(nadb_tags_valid(nadb_buf_slice(&list)));
    MUST(nadb_tags_json(nadb_buf_slice(&list), &json));
    MUST(nadb_tags_parse(nadb_buf_slice(&json), &list2, &err) == NADB_OK);
    MUST(nadb_slice_eq(nadb_buf_slice(&list), nadb_buf_slice(&list2)));
    MUST(nadb_tags_json(nadb_buf_slice(&list2), &json2));
    MUST(nadb_slice_eq(nadb_buf_slice(&json), nadb_buf_slice(&json2)));
done:
    nadb_buf_clear(&list);
    nadb_buf_clear(&json);
    nadb_buf_clear(&list2);
    nadb_buf_clear(&json2);
    return 0;
}
