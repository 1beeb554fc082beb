/* places.c - remembers where the tables of a connection have their stores.
 *
 * SQLite connects a table again whenever it reloads the schema, as after ALTER
 * of another table. Meanwhile the working directory may have changed, or a
 * symbolic link. A table keeps the place that the connection found first, as an
 * attached database does. */
#include "ext.h"

struct table_place {
    char *schema, *table;
    char *base_dir; /* directory of relative paths; NULL: not determined yet */
    char *given;    /* path in the options when it was found */
    char *real;     /* the place it led to; NULL: not found yet */
    table_place *next;
};

static void forget(table_place *p) {
    nadb_free(p->base_dir);
    nadb_free(p->given);
    nadb_free(p->real);
    p->base_dir = p->given = p->real = NULL;
}

static void place_free(table_place *p) {
    if (p == NULL) return;
    forget(p);
    nadb_free(p->schema);
    nadb_free(p->table);
    nadb_free(p);
}

static table_place *find(conn *c, const char *schema, const char *table) {
    table_place *p = c->places;

    while (p != NULL && (sqlite3_stricmp(p->schema, schema) != 0 ||
                         sqlite3_stricmp(p->table, table) != 0))
        p = p->next;
    return p;
}

table_place *place_of(conn *c, const char *schema, const char *table,
                      bool fresh) {
    table_place *p = find(c, schema, table);

    if (p != NULL) {
        if (fresh) forget(p);
        return p;
    }
    p = nadb_calloc(1, sizeof *p);
    if (p == NULL) return NULL;
    p->schema = nadb_strdup(schema);
    p->table = nadb_strdup(table);
    if (p->schema == NULL || p->table == NULL) {
        place_free(p);
        return NULL;
    }
    p->next = c->places;
    c->places = p;
    return p;
}

char **place_base_dir(table_place *p) { return &p->base_dir; }

void place_rename(conn *c, table_place *p, const char *table) {
    table_place *to = place_of(c, p->schema, table, true);

    if (to == NULL) return;
    if (p->base_dir != NULL) to->base_dir = nadb_strdup(p->base_dir);
    if (p->real != NULL) {
        to->given = nadb_strdup(p->given);
        to->real = nadb_strdup(p->real);
    }
}

nadb_rc place_use(const table_place *p, nadb_options *o, nadb_err *err) {
    char *real;

    if (o->path == NULL || p->given == NULL || p->real == NULL ||
        strcmp(o->path, p->given) != 0)
        return NADB_OK;
    real = nadb_strdup(p->real);
    if (real == NULL) return nadb_fail(err, NADB_NOMEM, "opening a store");
    nadb_free(o->path);
    o->path = real;
    return NADB_OK;
}

void place_found(table_place *p, const nadb_options *o, const char *real) {
    if (p->real != NULL || o->path == NULL || real == NULL) return;
    nadb_free(p->given);
    p->given = nadb_strdup(o->path);
    p->real = nadb_strdup(real);
}

void places_free(conn *c) {
    while (c->places != NULL) {
        table_place *p = c->places;

        c->places = p->next;
        place_free(p);
    }
}
