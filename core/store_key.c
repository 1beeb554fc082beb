/* store_key.c - see store_key.h. */
#include "store_key.h"

#include "backend.h"
#include "names.h"
#include "util/allow.h"
#include "util/os.h"

/* Checks the place, after resolving links, against NADB_ALLOW_PATHS. */
static nadb_rc check_place(const nadb_options *o, const nadb_buf *real,
                           nadb_err *err) {
    nadb_buf dir = NADB_BUF_INIT;
    nadb_rc rc;

    if (nadb_buf_append(&dir, real->p, real->n - 1) &&
        nadb_buf_byte(&dir, '/') && nadb_options_put_db(o, &dir) &&
        nadb_buf_byte(&dir, '/') && nadb_options_put_ns(o, &dir) &&
        nadb_buf_byte(&dir, '\0'))
        rc = nadb_allow_path((const char *)dir.p, err);
    else
        rc = nadb_fail(err, NADB_NOMEM, "opening a store");
    nadb_buf_clear(&dir);
    return rc;
}

/* The name consists of the directory, or of the backend with its identity, then
 * db and namespace. */
nadb_rc store_key_init(store_key *out, const nadb_options *o, nadb_err *err) {
    const nadb_backend *b = nadb_backend_for(o);
    nadb_rc rc = NADB_OK;
    bool ok;

    memset(out, 0, sizeof *out);
    if (b == NULL)
        return nadb_fail(err, NADB_INVALID, "there is no backend '%s'",
                         o->backend);
    out->in_files = (b->caps & NADB_CAP_BASE) != 0;
    ok = nadb_identity_add(&out->identity, "backend", o->backend);
    if (ok && b->identity != NULL) rc = b->identity(o, &out->identity, err);
    if (rc == NADB_OK && o->path != NULL) {
        rc = nadb_os_get()->realpath(o->path, &out->real, err);
        if (rc == NADB_OK) ok = ok && nadb_buf_byte(&out->real, 0);
    }
    if (rc == NADB_OK && out->in_files) rc = check_place(o, &out->real, err);
    if (rc != NADB_OK) return rc;
    if (ok && out->real.n > 0)
        ok = nadb_buf_append(&out->name, out->real.p, out->real.n);
    if (ok && !out->in_files)
        ok = nadb_buf_append(&out->name, out->identity.p, out->identity.n);
    ok = ok && nadb_buf_byte(&out->name, 0) &&
         nadb_buf_append(&out->name, o->db, strlen(o->db) + 1) &&
         nadb_buf_append(&out->name, o->ns, strlen(o->ns) + 1);
    if (ok && o->store_id != NULL)
        ok = nadb_buf_append(&out->name, o->store_id, strlen(o->store_id) + 1);
    return ok ? NADB_OK : nadb_fail(err, NADB_NOMEM, "opening a store");
}

void store_key_clear(store_key *k) {
    nadb_buf_clear(&k->real);
    nadb_buf_clear(&k->name);
    nadb_buf_clear(&k->identity);
}

/* Takes the next text off an identity. */
static const char *take_text(nadb_slice *s) {
    const char *text = (const char *)s->p;
    size_t n = strlen(text) + 1;

    *s = nadb_slice_of(s->p + n, s->n - n);
    return text;
}

nadb_rc store_key_agree(const store_key *have, const store_key *want,
                        const char *path, nadb_err *err) {
    nadb_slice a = nadb_buf_slice(&have->identity);
    nadb_slice b = nadb_buf_slice(&want->identity);

    while (a.n > 0 && b.n > 0) {
        const char *a_name = take_text(&a), *a_text = take_text(&a);
        const char *b_name = take_text(&b), *b_text = take_text(&b);

        if (strcmp(a_name, b_name) != 0 || strcmp(a_text, b_text) != 0)
            return nadb_fail(err, NADB_CANTOPEN,
                             "the store in %s is open in this process with "
                             "%s='%s', and this table has %s='%s': give both "
                             "tables the same options, or another path",
                             path, a_name, a_text, b_name, b_text);
    }
    return NADB_OK;
}
