/* options.c - parses and checks the options of CREATE VIRTUAL TABLE.
 *
 * Each argument is split into name and value and given to the table of options
 * (options_table.c); then come the checks that need more than one option, and
 * the defaults that depend on where the table stands. Nothing here asks which
 * backend it is: what matters is in the backend's capabilities and in the
 * table. Relative paths become absolute, which is the only question to the
 * system; whether anything is there is not looked at. */
#include "options.h"

#include <strings.h>

#include "options_table.h"
#include "util/os.h"

typedef struct parser {
    nadb_options *o;
    uint64_t given; /* bit option_index() of each option seen */
    nadb_buf value; /* of the present argument, unquoted */
    const nadb_place *place;
    nadb_err *err;
} parser;

static nadb_rc no_memory(nadb_err *err) {
    return nadb_fail(err, NADB_NOMEM, "out of memory for the options");
}

static bool was_given(const parser *p, const char *name) {
    const option *opt = option_find(nadb_slice_str(name));

    return opt != NULL && (p->given >> option_index(opt) & 1) != 0;
}

/* --- one argument --- */

static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static bool is_name_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || c == '_';
}

static const char *skip_space(const char *s) {
    while (is_space(*s)) s++;
    return s;
}

/* Takes the quoted text at `s`, in which the quote stands doubled. */
static nadb_rc take_quoted(parser *p, const option *opt, const char *s) {
    char quote = *s++;

    for (;; s++) {
        if (*s == '\0')
            return nadb_fail(p->err, NADB_INVALID,
                             "option %s: the closing %c is missing",
                             option_name(opt), quote);
        if (*s == quote && *++s != quote) break;
        if (!nadb_buf_byte(&p->value, (uint8_t)*s)) return no_memory(p->err);
    }
    if (*skip_space(s) != '\0')
        return nadb_fail(p->err, NADB_INVALID,
                         "option %s: nothing may follow the closing %c",
                         option_name(opt), quote);
    return NADB_OK;
}

static nadb_rc take_bare(parser *p, const option *opt, const char *s) {
    size_t n = strlen(s);

    while (n > 0 && is_space(s[n - 1])) n--;
    if (n == 0)
        return nadb_fail(p->err, NADB_INVALID, "option %s has no value",
                         option_name(opt));
    if (strchr("?:@$", *s) != NULL)
        return nadb_fail(p->err, NADB_INVALID,
                         "option %s: parameters cannot be bound here (write "
                         "the value itself, in quotes)",
                         option_name(opt));
    for (size_t i = 0; i < n; i++)
        if (is_space(s[i]) || s[i] == '\'' || s[i] == '"')
            return nadb_fail(p->err, NADB_INVALID,
                             "option %s: put the value in quotes",
                             option_name(opt));
    if (!nadb_buf_append(&p->value, s, n)) return no_memory(p->err);
    return NADB_OK;
}

static nadb_rc unknown_option(parser *p, nadb_slice name) {
    const option *near = option_nearest(name);
    int shown = name.n > 60 ? 60 : (int)name.n;

    /* Not "did you mean password_env": the value must not be tried there. */
    if (name.n >= 8 &&
        strncasecmp((const char *)name.p + name.n - 8, "password", 8) == 0)
        return nadb_fail(p->err, NADB_INVALID,
                         "a password does not belong in the schema: put it "
                         "into an environment variable and name that one, as "
                         "in password_env='NADB_PASSWORD'");
    if (near == NULL)
        return nadb_fail(p->err, NADB_INVALID, "unknown option '%.*s'", shown,
                         (const char *)name.p);
    return nadb_fail(p->err, NADB_INVALID,
                     "unknown option '%.*s': did you mean '%s'?", shown,
                     (const char *)name.p, option_name(near));
}

static nadb_rc parse_arg(parser *p, const char *arg) {
    const char *s = skip_space(arg);
    nadb_slice name = nadb_slice_of(s, 0);
    const option *opt;
    uint64_t bit;
    nadb_rc rc;

    if (*s == '\0') return NADB_OK;
    while (is_name_char(s[name.n])) name.n++;
    s = skip_space(s + name.n);
    /* Of what follows the name nothing is shown: it may be a secret. */
    if (name.n == 0 || *s != '=')
        return nadb_fail(p->err, NADB_INVALID,
                         "expected option='value'%s%.*s%s (the columns of a "
                         "store are fixed)",
                         name.n == 0 ? "" : " at '",
                         name.n > 60 ? 60 : (int)name.n, (const char *)name.p,
                         name.n == 0 ? "" : "'");
    opt = option_find(name);
    if (opt == NULL) return unknown_option(p, name);
    bit = UINT64_C(1) << option_index(opt);
    if ((p->given & bit) != 0)
        return nadb_fail(p->err, NADB_INVALID, "option %s is given twice",
                         option_name(opt));
    p->given |= bit;

    nadb_buf_reset(&p->value);
    s = skip_space(s + 1);
    rc =
        *s == '\'' || *s == '"' ? take_quoted(p, opt, s) : take_bare(p, opt, s);
    if (rc != NADB_OK) return rc;
    if (!nadb_buf_byte(&p->value, '\0')) return no_memory(p->err);
    return option_set(opt, p->o, (const char *)p->value.p, p->err);
}

/* --- the backend --- */

static nadb_rc unknown_backend(parser *p) {
    char list[256] = "";
    const nadb_backend *b;

    for (size_t i = 0; (b = nadb_backend_at(i)) != NULL; i++) {
        const char *comma = i == 0 ? "" : ", ";

        if (strlen(list) + strlen(b->name) + 3 > sizeof list) break;
        strncat(list, comma, sizeof list - strlen(list) - 1);
        strncat(list, b->name, sizeof list - strlen(list) - 1);
    }
    return nadb_fail(p->err, NADB_INVALID,
                     "unknown backend '%.60s': there are %s", p->o->backend,
                     list);
}

/* Whether the backend keeps something in a directory of this machine: its
 * data, or the log of what it has not yet sent. */
static bool has_directory(const nadb_backend *b) {
    return (b->caps & (NADB_CAP_NEEDS_PATH | NADB_CAP_REMOTE)) != 0;
}

/* An option that has no effect would deceive whoever wrote it. */
static nadb_rc check_backend_options(const parser *p, const nadb_backend *b) {
    const option *opt;

    for (unsigned i = 0; (opt = option_at(i)) != NULL; i++) {
        const char *only = option_backend(opt);

        if ((p->given >> i & 1) == 0) continue;
        if (only != NULL && strcmp(only, b->name) != 0)
            return nadb_fail(p->err, NADB_INVALID,
                             "option %s is for backend='%s', and this store "
                             "has backend='%s'",
                             option_name(opt), only, b->name);
        if (option_of_files(opt) && !has_directory(b))
            return nadb_fail(p->err, NADB_INVALID,
                             "option %s is not for backend='%s', which keeps "
                             "no files",
                             option_name(opt), b->name);
    }
    return NADB_OK;
}

static nadb_rc check_pair(const parser *p, const char *a, const char *b) {
    if (was_given(p, a) && was_given(p, b))
        return nadb_fail(p->err, NADB_INVALID,
                         "options %s and %s exclude each other: both say where "
                         "the server is",
                         a, b);
    return NADB_OK;
}

static nadb_rc check_combinations(const parser *p) {
    static const char *const pairs[][2] = {
        {"url", "host"},    {"url", "port"},    {"url", "socket"},
        {"socket", "host"}, {"socket", "port"},
    };

    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        nadb_rc rc = check_pair(p, pairs[i][0], pairs[i][1]);

        if (rc != NADB_OK) return rc;
    }
    if (p->o->eviction != NADB_EVICT_NONE && p->o->size_max == 0)
        return nadb_fail(p->err, NADB_INVALID,
                         "option eviction needs max_size_mb: the size at which "
                         "to evict");
    return NADB_OK;
}

/* --- paths --- */

static bool in_memory(const nadb_place *place) {
    return place->db_file == NULL || place->db_file[0] == '\0';
}

static char *take_string(nadb_buf *b) {
    char *s = (char *)b->p;

    *b = (nadb_buf)NADB_BUF_INIT;
    return s;
}

/* Appends the directory to which relative paths belong, with a slash. */
static nadb_rc put_base_dir(const nadb_place *place, nadb_buf *out,
                            nadb_err *err) {
    const char *file = in_memory(place) ? "" : place->db_file;
    const char *slash = strrchr(file, '/');

    if (file[0] != '/') {
        nadb_rc rc = nadb_os_get()->realpath(".", out, err);

        if (rc != NADB_OK) return rc;
        if (!nadb_buf_byte(out, '/')) return no_memory(err);
    }
    if (slash != NULL &&
        !nadb_buf_append(out, file, (size_t)(slash + 1 - file)))
        return no_memory(err);
    return NADB_OK;
}

/* Replaces *path by its absolute form. */
static nadb_rc make_absolute(const parser *p, char **path) {
    nadb_buf b = NADB_BUF_INIT;
    nadb_rc rc = NADB_OK;

    if (*path == NULL || **path == '/') return NADB_OK;
    rc = put_base_dir(p->place, &b, p->err);
    if (rc != NADB_OK) goto done;
    if (!nadb_buf_append(&b, *path, strlen(*path) + 1)) {
        rc = no_memory(p->err);
        goto done;
    }
    nadb_free(*path);
    *path = take_string(&b);
done:
    nadb_buf_clear(&b);
    return rc;
}

/* path defaults to "<database file>-nadb", where the file is known. */
static nadb_rc default_path(const parser *p, const nadb_backend *b) {
    static const char suffix[] = "-nadb";
    nadb_buf path = NADB_BUF_INIT;
    const char *name;

    if (p->o->path != NULL || !has_directory(b)) return NADB_OK;
    if (in_memory(p->place)) {
        if ((b->caps & NADB_CAP_NEEDS_PATH) == 0) return NADB_OK;
        return nadb_fail(p->err, NADB_INVALID,
                         "this database is in memory: give nadb(path='data') "
                         "or backend='memory'");
    }
    /* The name alone: make_absolute() puts the file's folder before it. */
    name = strrchr(p->place->db_file, '/');
    name = name == NULL ? p->place->db_file : name + 1;
    if (!nadb_buf_append(&path, name, strlen(name)) ||
        !nadb_buf_append(&path, suffix, sizeof suffix)) {
        nadb_buf_clear(&path);
        return no_memory(p->err);
    }
    p->o->path = take_string(&path);
    return NADB_OK;
}

/* --- all of them --- */

static nadb_rc default_text(char **field, const char *value, nadb_err *err) {
    if (*field != NULL) return NADB_OK;
    *field = nadb_strdup(value);
    return *field == NULL ? no_memory(err) : NADB_OK;
}

static nadb_rc finish(parser *p) {
    nadb_options *o = p->o;
    const nadb_backend *b;
    nadb_rc rc;

    o->ns_given = o->ns != NULL;
    rc = default_text(&o->backend, "fs", p->err);
    if (rc == NADB_OK) rc = default_text(&o->db, "main", p->err);
    if (rc == NADB_OK) rc = default_text(&o->ns, p->place->table, p->err);
    if (rc != NADB_OK) return rc;

    for (char *c = o->backend; *c != '\0'; c++)
        if (*c >= 'A' && *c <= 'Z') *c = (char)(*c - 'A' + 'a');
    b = nadb_backend_for(o);
    if (b == NULL) return unknown_backend(p);
    rc = check_backend_options(p, b);
    if (rc == NADB_OK) rc = check_combinations(p);
    /* Other programs read what is on a server: no codec unless asked for. */
    if ((b->caps & NADB_CAP_REMOTE) != 0 && !was_given(p, "compression"))
        p->o->compression = 0;
    if (rc == NADB_OK) rc = default_path(p, b);
    if (rc == NADB_OK) rc = make_absolute(p, &o->path);
    if (rc == NADB_OK) rc = make_absolute(p, &o->dir);
    if (rc == NADB_OK && !in_memory(p->place))
        rc = default_text(&o->db_file, p->place->db_file, p->err);
    return rc;
}

/* Numbers have their defaults from the same texts that a user would write. */
static nadb_rc set_defaults(nadb_options *o, nadb_err *err) {
    static const char *const defaults[][2] = {
        {"buffer_size_mb", "4"},   {"flush_interval", "1"},
        {"synchronous", "normal"}, {"compression", "on"},
        {"cache_size_mb", "16"},   {"mmap", "on"},
        {"busy_timeout", "5000"},  {"log_level", "info"},
        {"port", "6379"},          {"connect_timeout", "5"},
        {"timeout", "5"},          {"pool_size", "4"},
        {"shards", "1"},
    };

    for (size_t i = 0; i < sizeof defaults / sizeof defaults[0]; i++) {
        const option *opt = option_find(nadb_slice_str(defaults[i][0]));
        nadb_rc rc = option_set(opt, o, defaults[i][1], err);

        if (rc != NADB_OK) return rc;
    }
    return NADB_OK;
}

nadb_rc nadb_options_parse(const char *const *args, int n,
                           const nadb_place *place, nadb_options **out,
                           nadb_err *err) {
    parser p = {NULL, 0, NADB_BUF_INIT, place, err};
    nadb_rc rc = NADB_OK;

    *out = NULL;
    p.o = nadb_calloc(1, sizeof *p.o);
    if (p.o == NULL) return no_memory(err);
    rc = set_defaults(p.o, err);
    for (int i = 0; rc == NADB_OK && i < n; i++) rc = parse_arg(&p, args[i]);
    if (rc == NADB_OK) rc = finish(&p);
    if (rc != NADB_OK) goto done;
    *out = p.o;
    p.o = NULL;
done:
    nadb_buf_clear(&p.value);
    nadb_options_free(p.o);
    return rc;
}

const char *nadb_option_text(const nadb_options *o, const char *name) {
    const option *opt = option_find(nadb_slice_str(name));

    return opt == NULL ? NULL : option_get_text(opt, o);
}

int64_t nadb_option_number(const nadb_options *o, const char *name) {
    const option *opt = option_find(nadb_slice_str(name));

    return opt == NULL ? 0 : option_get_number(opt, o);
}

void nadb_options_free(nadb_options *o) {
    if (o == NULL) return;
    option_free_texts(o);
    nadb_free(o->db_file);
    nadb_free(o);
}
