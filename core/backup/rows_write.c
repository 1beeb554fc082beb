/* rows_write.c - writes a file of rows (rows.h).
 *
 * A chunk is collected in memory, compressed, and written whole; memory is
 * bounded by a chunk, or by the largest value. The sum of the file is made of
 * what is written, as it is written. */
#include "rows_format.h"

#include "../kv/codec.h"

struct backup_writer {
    nadb_file *f;
    int level;
    uint8_t id[ID_BYTES];
    uint64_t at; /* bytes written */
    nadb_sha256 sha;
    /* the chunk that is being collected */
    nadb_buf keys, values;
    nadb_slice large;     /* instead of `values`: one borrowed value */
    nadb_buf first, last; /* its first and its latest key */
    size_t key_bytes;
    uint32_t records;
    nadb_buf coded; /* compressed values */
    nadb_buf index;
    uint64_t chunks, rows, deleted;
};

static nadb_rc no_memory(nadb_err *err) {
    return nadb_fail(err, NADB_NOMEM, "out of memory for a backup");
}

void backup_writer_free(backup_writer *w) {
    if (w == NULL) return;
    nadb_buf_clear(&w->keys);
    nadb_buf_clear(&w->values);
    nadb_buf_clear(&w->first);
    nadb_buf_clear(&w->last);
    nadb_buf_clear(&w->coded);
    nadb_buf_clear(&w->index);
    nadb_free(w);
}

static nadb_rc append(backup_writer *w, const void *p, size_t n,
                      nadb_err *err) {
    nadb_rc rc;

    if (n == 0) return NADB_OK;
    rc = nadb_os_get()->pwrite(w->f, p, n, w->at, err);
    if (rc != NADB_OK) return rc;
    nadb_sha256_add(&w->sha, p, n);
    w->at += n;
    return NADB_OK;
}

nadb_rc backup_writer_new(nadb_file *f, int level, backup_writer **out,
                          nadb_err *err) {
    backup_writer *w = nadb_calloc(1, sizeof *w);
    uint8_t head[HEAD_BYTES] = {0};
    nadb_rc rc;

    *out = NULL;
    if (w == NULL) return no_memory(err);
    w->f = f;
    w->level = level;
    nadb_os_get()->random(w->id, sizeof w->id);
    nadb_sha256_begin(&w->sha);
    memcpy(head, HEAD_MAGIC, 8);
    nadb_put_u32(head + HEAD_VERSION, ROWS_VERSION);
    memcpy(head + HEAD_ID, w->id, sizeof w->id);
    nadb_put_u32(head + HEAD_CRC, nadb_crc32c(0, head, HEAD_CRC));
    rc = append(w, head, sizeof head, err);
    if (rc == NADB_OK)
        *out = w;
    else
        backup_writer_free(w);
    return rc;
}

/* --- chunks --- */

/* What is stored of the chunk's values, and how. */
static nadb_rc encode_values(backup_writer *w, nadb_slice raw, nadb_slice *out,
                             uint8_t *codec, nadb_err *err) {
    nadb_rc rc;

    nadb_buf_reset(&w->coded);
    rc = nadb_codec_encode(raw, w->level, &w->coded, codec, err);
    *out = *codec == NADB_CODEC_RAW ? raw : nadb_buf_slice(&w->coded);
    return rc;
}

static nadb_rc note_in_index(backup_writer *w, uint64_t bytes, nadb_err *err) {
    if (!nadb_buf_varint(&w->index, bytes) ||
        !nadb_buf_blob(&w->index, nadb_buf_slice(&w->first)))
        return no_memory(err);
    return NADB_OK;
}

static nadb_rc chunk_write(backup_writer *w, nadb_err *err) {
    nadb_slice raw = w->large.n > 0 ? w->large : nadb_buf_slice(&w->values);
    uint8_t head[CHUNK_BYTES] = {0};
    nadb_slice values;
    uint8_t codec;
    nadb_rc rc;

    if (w->records == 0) return NADB_OK;
    rc = encode_values(w, raw, &values, &codec, err);
    if (rc != NADB_OK) return rc;
    nadb_put_u64(head + CHUNK_PLACE, w->at);
    nadb_put_u32(head + CHUNK_RECORDS, w->records);
    nadb_put_u32(head + CHUNK_KEYS, (uint32_t)w->keys.n);
    nadb_put_u64(head + CHUNK_VALUES, values.n);
    nadb_put_u64(head + CHUNK_VALUES_RAW, raw.n);
    nadb_put_u32(head + CHUNK_CODEC, codec);
    nadb_put_u32(head + CHUNK_KEYS_CRC,
                 backup_crc(w->id, w->keys.p, w->keys.n));
    nadb_put_u32(head + CHUNK_VALUES_CRC,
                 backup_crc(w->id, values.p, values.n));
    nadb_put_u32(head + CHUNK_CRC, backup_crc(w->id, head, CHUNK_CRC));
    rc = note_in_index(w, CHUNK_BYTES + w->keys.n + values.n, err);
    if (rc == NADB_OK) rc = append(w, head, sizeof head, err);
    if (rc == NADB_OK) rc = append(w, w->keys.p, w->keys.n, err);
    if (rc == NADB_OK) rc = append(w, values.p, values.n, err);
    if (rc != NADB_OK) return rc;
    w->chunks++;
    w->records = 0;
    w->key_bytes = 0;
    w->large = nadb_slice_of(NULL, 0);
    nadb_buf_reset(&w->keys);
    nadb_buf_reset(&w->values);
    return NADB_OK;
}

static bool chunk_is_full(const backup_writer *w) {
    return w->keys.n >= CHUNK_KEYS_FULL ||
           w->key_bytes >= CHUNK_KEY_BYTES_FULL ||
           w->values.n >= CHUNK_VALUES_FULL || w->large.n > 0 ||
           w->records == CHUNK_RECORDS_MAX;
}

static nadb_rc add_key(backup_writer *w, nadb_slice key, nadb_err *err) {
    size_t shared = 0;
    bool ok = true;

    if (w->records > 0)
        shared = nadb_slice_common(nadb_buf_slice(&w->last), key);
    else
        nadb_buf_reset(&w->first);
    if (w->records == 0) ok = nadb_buf_append(&w->first, key.p, key.n);
    nadb_buf_reset(&w->last);
    ok = ok && nadb_buf_append(&w->last, key.p, key.n) &&
         nadb_buf_varint(&w->keys, shared) &&
         nadb_buf_blob(&w->keys, nadb_slice_of(key.p + shared, key.n - shared));
    if (!ok) return no_memory(err);
    w->key_bytes += key.n;
    w->records++;
    return NADB_OK;
}

nadb_rc backup_writer_put(backup_writer *w, nadb_slice key, nadb_slice value,
                          uint64_t hash, nadb_err *err) {
    uint8_t print[8];
    nadb_rc rc = NADB_OK;

    if (chunk_is_full(w) || (value.n > CHUNK_VALUES_FULL && w->records > 0))
        rc = chunk_write(w, err);
    if (rc == NADB_OK) rc = add_key(w, key, err);
    if (rc != NADB_OK) return rc;
    nadb_put_u64(print, hash);
    if (!nadb_buf_varint(&w->keys, value.n) ||
        !nadb_buf_append(&w->keys, print, sizeof print))
        return no_memory(err);
    w->rows++;
    if (value.n <= CHUNK_VALUES_FULL)
        return nadb_buf_append(&w->values, value.p, value.n) ? NADB_OK
                                                             : no_memory(err);
    w->large = value;
    return chunk_write(w, err); /* while the value is there */
}

nadb_rc backup_writer_delete(backup_writer *w, nadb_slice key, nadb_err *err) {
    nadb_rc rc = NADB_OK;

    if (chunk_is_full(w)) rc = chunk_write(w, err);
    if (rc == NADB_OK) rc = add_key(w, key, err);
    if (rc == NADB_OK && !nadb_buf_varint(&w->keys, 0)) rc = no_memory(err);
    w->deleted++;
    return rc;
}

/* --- the end --- */

nadb_rc backup_writer_end(backup_writer *w, uint64_t values, backup_sum *out,
                          nadb_err *err) {
    uint8_t end[END_BYTES] = {0};
    nadb_rc rc = chunk_write(w, err);

    if (rc != NADB_OK) return rc;
    memcpy(end, END_MAGIC, 8);
    nadb_put_u64(end + END_INDEX, w->at);
    nadb_put_u64(end + END_INDEX_BYTES, w->index.n);
    nadb_put_u64(end + END_CHUNKS, w->chunks);
    nadb_put_u64(end + END_ROWS, w->rows);
    nadb_put_u64(end + END_DELETED, w->deleted);
    nadb_put_u32(end + END_INDEX_CRC,
                 backup_crc(w->id, w->index.p, w->index.n));
    nadb_put_u64(end + END_VALUES, values + 1);
    nadb_put_u32(end + END_CRC, backup_crc(w->id, end, END_CRC));
    rc = append(w, w->index.p, w->index.n, err);
    if (rc == NADB_OK) rc = append(w, end, sizeof end, err);
    if (rc == NADB_OK) rc = nadb_os_get()->sync(w->f, err);
    if (rc != NADB_OK) return rc;
    out->bytes = w->at;
    out->rows = w->rows;
    out->deleted = w->deleted;
    nadb_sha256_end(&w->sha, out->sha256);
    return NADB_OK;
}
