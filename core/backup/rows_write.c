/* rows_write.c - writes a file of rows (rows.h).
 *
 * A chunk is collected in memory, encoded by a thread (encode.h) and written as
 * a whole; memory is bounded by the chunks of the encoder, or by the largest
 * value. The file's sum is computed from what is written. */
#include "encode.h"

struct backup_writer {
    nadb_file *f;
    uint8_t id[ID_BYTES];
    uint64_t at; /* bytes written */
    nadb_sha256 sha;
    backup_encoder *encoder;
    backup_chunk *chunk; /* the one being collected */
    nadb_buf last;       /* its latest key */
    size_t key_bytes;
    nadb_buf index;
    uint64_t chunks, rows, deleted;
};

static nadb_rc no_memory(nadb_err *err) {
    return nadb_fail(err, NADB_NOMEM, "out of memory for a backup");
}

void backup_writer_free(backup_writer *w) {
    if (w == NULL) return;
    backup_encoder_free(w->encoder);
    nadb_buf_clear(&w->last);
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
    nadb_os_get()->random(w->id, sizeof w->id);
    nadb_sha256_begin(&w->sha);
    memcpy(head, HEAD_MAGIC, 8);
    nadb_put_u32(head + HEAD_VERSION, ROWS_VERSION);
    memcpy(head + HEAD_ID, w->id, sizeof w->id);
    nadb_put_u32(head + HEAD_CRC, nadb_crc32c(0, head, HEAD_CRC));
    rc = append(w, head, sizeof head, err);
    if (rc == NADB_OK) rc = backup_encoder_new(level, w->id, &w->encoder, err);
    if (rc == NADB_OK) {
        w->chunk = backup_encoder_chunk(w->encoder);
        *out = w;
    } else {
        backup_writer_free(w);
    }
    return rc;
}

/* --- chunks --- */

static nadb_rc note_in_index(backup_writer *w, const backup_chunk *c,
                             nadb_err *err) {
    if (!nadb_buf_varint(&w->index, CHUNK_BYTES + c->keys.n + c->coded.n) ||
        !nadb_buf_blob(&w->index, nadb_buf_slice(&c->first)))
        return no_memory(err);
    return NADB_OK;
}

static nadb_rc append_chunk(backup_writer *w, const backup_chunk *c,
                            nadb_err *err) {
    uint8_t head[CHUNK_BYTES] = {0};
    nadb_rc rc;

    nadb_put_u64(head + CHUNK_PLACE, w->at);
    nadb_put_u32(head + CHUNK_RECORDS, c->records);
    nadb_put_u32(head + CHUNK_KEYS, (uint32_t)c->keys.n);
    nadb_put_u64(head + CHUNK_VALUES, c->coded.n);
    nadb_put_u64(head + CHUNK_VALUES_RAW, backup_chunk_raw(c).n);
    nadb_put_u32(head + CHUNK_CODEC, c->codec);
    nadb_put_u32(head + CHUNK_KEYS_CRC, c->keys_crc);
    nadb_put_u32(head + CHUNK_VALUES_CRC, c->values_crc);
    nadb_put_u32(head + CHUNK_CRC, backup_crc(w->id, head, CHUNK_CRC));
    rc = note_in_index(w, c, err);
    if (rc == NADB_OK) rc = append(w, head, sizeof head, err);
    if (rc == NADB_OK) rc = append(w, c->keys.p, c->keys.n, err);
    if (rc == NADB_OK) rc = append(w, c->coded.p, c->coded.n, err);
    if (rc == NADB_OK) w->chunks++;
    return rc;
}

/* Writes the oldest given chunks until at most `left` remain. */
static nadb_rc write_given(backup_writer *w, unsigned left, nadb_err *err) {
    nadb_rc rc = NADB_OK;

    while (rc == NADB_OK && backup_encoder_given(w->encoder) > left) {
        const backup_chunk *c;

        rc = backup_encoder_take(w->encoder, &c, err);
        if (rc == NADB_OK) rc = append_chunk(w, c, err);
        if (rc == NADB_OK) backup_encoder_drop(w->encoder);
    }
    return rc;
}

/* Gives the chunk to the encoder and begins the next one. */
static nadb_rc chunk_end(backup_writer *w, nadb_err *err) {
    nadb_rc rc = NADB_OK;

    if (w->chunk->records == 0) return NADB_OK;
    rc = write_given(w, ENCODER_CHUNKS - 2, err);
    if (rc != NADB_OK) return rc;
    backup_encoder_give(w->encoder);
    w->chunk = backup_encoder_chunk(w->encoder);
    w->key_bytes = 0;
    return NADB_OK;
}

/* As chunk_end(), and writes all given chunks. */
static nadb_rc chunk_write(backup_writer *w, nadb_err *err) {
    nadb_rc rc = chunk_end(w, err);

    return rc == NADB_OK ? write_given(w, 0, err) : rc;
}

static bool chunk_is_full(const backup_writer *w) {
    const backup_chunk *c = w->chunk;

    return c->keys.n >= CHUNK_KEYS_FULL ||
           w->key_bytes >= CHUNK_KEY_BYTES_FULL ||
           c->values.n >= CHUNK_VALUES_FULL || c->records == CHUNK_RECORDS_MAX;
}

static nadb_rc add_key(backup_writer *w, nadb_slice key, nadb_err *err) {
    backup_chunk *c = w->chunk;
    size_t shared = 0;
    bool ok = true;

    if (c->records > 0)
        shared = nadb_slice_common(nadb_buf_slice(&w->last), key);
    else
        ok = nadb_buf_append(&c->first, key.p, key.n);
    nadb_buf_reset(&w->last);
    ok = ok && nadb_buf_append(&w->last, key.p, key.n) &&
         nadb_buf_varint(&c->keys, shared) &&
         nadb_buf_blob(&c->keys, nadb_slice_of(key.p + shared, key.n - shared));
    if (!ok) return no_memory(err);
    w->key_bytes += key.n;
    c->records++;
    return NADB_OK;
}

nadb_rc backup_writer_put(backup_writer *w, nadb_slice key, nadb_slice value,
                          uint64_t hash, nadb_err *err) {
    uint8_t print[8];
    nadb_rc rc = NADB_OK;

    if (chunk_is_full(w) || value.n > CHUNK_VALUES_FULL) rc = chunk_end(w, err);
    if (rc == NADB_OK) rc = add_key(w, key, err);
    if (rc != NADB_OK) return rc;
    nadb_put_u64(print, hash);
    if (!nadb_buf_varint(&w->chunk->keys, value.n) ||
        !nadb_buf_append(&w->chunk->keys, print, sizeof print))
        return no_memory(err);
    w->rows++;
    if (value.n <= CHUNK_VALUES_FULL)
        return nadb_buf_append(&w->chunk->values, value.p, value.n)
                   ? NADB_OK
                   : no_memory(err);
    /* The value is borrowed for this call only, so all threads must be done
     * with it. */
    w->chunk->large = value;
    rc = chunk_write(w, err);
    if (rc != NADB_OK) {
        backup_encoder_free(w->encoder);
        w->encoder = NULL;
    }
    return rc;
}

nadb_rc backup_writer_delete(backup_writer *w, nadb_slice key, nadb_err *err) {
    nadb_rc rc = NADB_OK;

    if (chunk_is_full(w)) rc = chunk_end(w, err);
    if (rc == NADB_OK) rc = add_key(w, key, err);
    if (rc == NADB_OK && !nadb_buf_varint(&w->chunk->keys, 0))
        rc = no_memory(err);
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
