/* options.c - parses and checks the options of CREATE VIRTUAL TABLE.
 *
 * Each argument is split into name and value and given to the table of options
 * (options_table.c). Then come checks that need several options, and defaults
 * that depend on the table's place. Nothing here tests for a certain backend;
 * its capabilities and its option table decide. Relative paths are made
 * absolute, for which the working directory is the only thing read from the
 * system; no file is opened. */
#include "options.h"

#include <inttypes.h>
#include <stdio.h>

#include "backend.h"
#include "options_table.h"
#include "util/os.h"

typedef struct parser {
    nadb_options *o;
    nadb_buf value; /* value of the present argument, without quotes */
    const nadb_place *place;
    bool whole; /* arguments are values of SQL, and not its text */
    nadb_err *err;
} parser;

static nadb_rc no_memory(nadb_err *err) {
    return nadb_fail(err, NADB_NOMEM, "out of memory for the options");
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
                             opt->spec->name, quote);
        if (*s == quote && *++s != quote) break;
        if (!nadb_buf_byte(&p->value, (uint8_t)*s)) return no_memory(p->err);
    }
    if (*skip_space(s) != '\0')
        return nadb_fail(p->err, NADB_INVALID,
                         "option %s: nothing may follow the closing %c",
                         opt->spec->name, quote);
    return NADB_OK;
}

static nadb_rc take_bare(parser *p, const option *opt, const char *s) {
    size_t n = strlen(s);

    while (n > 0 && is_space(s[n - 1])) n--;
    if (n == 0)
        return nadb_fail(p->err, NADB_INVALID, "option %s has no value",
                         opt->spec->name);
    if (!p->whole && strchr("?:@$", *s) != NULL)
        return nadb_fail(p->err, NADB_INVALID,
                         "option %s: parameters cannot be bound here (write "
                         "the value itself, in quotes)",
                         opt->spec->name);
    for (size_t i = 0; !p->whole && i < n; i++)
        if (is_space(s[i]) || s[i] == '\'' || s[i] == '"')
            return nadb_fail(p->err, NADB_INVALID,
                             "option %s: put the value in quotes",
                             opt->spec->name);
    if (!nadb_buf_append(&p->value, s, n)) return no_memory(p->err);
    return NADB_OK;
}

/* Lists the options that a store with this backend accepts. */
static nadb_rc list_options(parser *p, nadb_slice name, int shown) {
    nadb_buf list = NADB_BUF_INIT;
    bool ok = true;
    option opt;
    nadb_rc rc;

    for (unsigned i = 0; ok && option_at(p->o, i, &opt); i++) {
        if (opt.backend != NULL && strcmp(opt.backend, p->o->backend) != 0)
            continue;
        ok = (list.n == 0 || nadb_buf_append(&list, ", ", 2)) &&
             nadb_buf_append(&list, opt.spec->name, strlen(opt.spec->name));
    }
    rc = ok ? nadb_fail(p->err, NADB_INVALID,
                        "unknown option '%.*s': there are %.*s", shown,
                        (const char *)name.p, (int)list.n, (char *)list.p)
            : no_memory(p->err);
    nadb_buf_clear(&list);
    return rc;
}

static nadb_rc unknown_option(parser *p, nadb_slice name) {
    const char *near = option_nearest(p->o, name);
    int shown = name.n > 60 ? 60 : (int)name.n;

    /* Without the suggestion password_env: users would try the password itself
     * there. */
    if (name.n >= 8 &&
        option_same_word(nadb_slice_of(name.p + name.n - 8, 8), "password"))
        return nadb_fail(p->err, NADB_INVALID,
                         "a password does not belong in the schema: put it "
                         "into an environment variable and name that one, as "
                         "in password_env='NADB_PASSWORD'");
    if (near == NULL) return list_options(p, name, shown);
    return nadb_fail(p->err, NADB_INVALID,
                     "unknown option '%.*s': did you mean '%s'?", shown,
                     (const char *)name.p, near);
}

/* The name at the beginning of an argument. */
static nadb_slice name_of(const char *arg) {
    nadb_slice name = nadb_slice_of(skip_space(arg), 0);

    while (is_name_char((char)name.p[name.n])) name.n++;
    return name;
}

/* Finds the option that an argument names, and leaves its value, with a NUL, in
 * p->value. */
static nadb_rc split_arg(parser *p, const char *arg, option *opt) {
    nadb_slice name = name_of(arg);
    const char *s = (const char *)name.p;
    nadb_rc rc;

    s = skip_space(s + name.n);
    /* The message shows nothing behind the name, which may be a secret. */
    if (name.n == 0 || *s != '=')
        return nadb_fail(p->err, NADB_INVALID,
                         "expected option='value'%s%.*s%s (the columns of a "
                         "store are fixed)",
                         name.n == 0 ? "" : " at '",
                         name.n > 60 ? 60 : (int)name.n, (const char *)name.p,
                         name.n == 0 ? "" : "'");
    if (!option_find(p->o, name, opt)) return unknown_option(p, name);
    nadb_buf_reset(&p->value);
    s = skip_space(s + 1);
    rc =
        *s == '\'' || *s == '"' ? take_quoted(p, opt, s) : take_bare(p, opt, s);
    if (rc == NADB_OK && !nadb_buf_byte(&p->value, '\0'))
        rc = no_memory(p->err);
    return rc;
}

static nadb_rc parse_arg(parser *p, const char *arg) {
    option opt;
    nadb_rc rc;

    if (*skip_space(arg) == '\0') return NADB_OK;
    rc = split_arg(p, arg, &opt);
    if (rc != NADB_OK) return rc;
    if ((p->o->given & option_bit(&opt)) != 0)
        return nadb_fail(p->err, NADB_INVALID, "option %s is given twice",
                         opt.spec->name);
    p->o->given |= option_bit(&opt);
    return option_set(&opt, p->o, (const char *)p->value.p, p->err);
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

/* True if the backend has a directory on this machine, for its data or for the
 * log of transactions that it has not sent yet. */
static bool has_directory(const nadb_backend *b) {
    return (b->caps & (NADB_CAP_NEEDS_PATH | NADB_CAP_REMOTE)) != 0;
}

/* True if the log goes to standard error instead of a file. */
static bool is_stderr(const parser *p, const option *opt) {
    return strcmp(opt->spec->name, "log") == 0 &&
           strcmp(p->o->log, "stderr") == 0;
}

/* An option without effect would mislead its user, so it is an error. */
static nadb_rc check_backend_options(const parser *p, const nadb_backend *b) {
    option opt;

    for (unsigned i = 0; option_at(p->o, i, &opt); i++) {
        const char *only = opt.backend;

        if ((p->o->given & option_bit(&opt)) == 0) continue;
        if (only != NULL && strcmp(only, b->name) != 0)
            return nadb_fail(p->err, NADB_INVALID,
                             "option %s is for backend='%s', and this store "
                             "has backend='%s'",
                             opt.spec->name, only, b->name);
        if (opt.files && !has_directory(b) && !is_stderr(p, &opt))
            return nadb_fail(p->err, NADB_INVALID,
                             "option %s is not for backend='%s', which keeps "
                             "no files",
                             opt.spec->name, b->name);
    }
    return NADB_OK;
}

static nadb_rc check_effect(const parser *p) {
    static const char *const of_log[] = {"log_level", "log_slow_ms",
                                         "log_max_mb", "log_files"};
    const nadb_backend *b = nadb_backend_find(p->o->backend);
    bool buffered = b->base != NULL;

    if (p->o->log == NULL)
        for (size_t i = 0; i < sizeof of_log / sizeof of_log[0]; i++)
            if (nadb_option_given(p->o, of_log[i]))
                return nadb_fail(p->err, NADB_INVALID,
                                 "option %s has no effect without log='..'",
                                 of_log[i]);
    if (p->o->log != NULL && strcmp(p->o->log, "stderr") != 0 &&
        (nadb_backend_for(p->o)->caps & NADB_CAP_BASE) == 0)
        return nadb_fail(p->err, NADB_INVALID,
                         "option log: a store with backend='%s' is in no "
                         "directory of this machine: write log='stderr'",
                         b->name);
    if (b->buffered != NULL || p->o->write == NADB_WRITE_DEFAULT ||
        buffered == (p->o->write == NADB_WRITE_BUFFERED))
        return NADB_OK;
    return nadb_fail(p->err, NADB_INVALID,
                     "option write: a store with backend='%s' is always %s",
                     b->name, buffered ? "buffered" : "immediate");
}

static nadb_rc check_combinations(const parser *p) {
    const nadb_backend *b = nadb_backend_for(p->o);
    bool on_server = (b->caps & NADB_CAP_REMOTE) != 0;
    bool buffered = on_server && (b->caps & NADB_CAP_BASE) != 0;

    if (p->o->size_max > 0 && buffered)
        return nadb_fail(p->err, NADB_INVALID,
                         "option max_size_mb is not for write=buffered with "
                         "backend='%s': only the server knows how large the "
                         "store is. Leave write=buffered out, or give rows a "
                         "ttl",
                         p->o->backend);
    if (p->o->eviction != NADB_EVICT_NONE && p->o->size_max == 0)
        return nadb_fail(p->err, NADB_INVALID,
                         "option eviction needs max_size_mb: the size at which "
                         "to evict");
    if (nadb_keeps(nadb_option_keep(p->o))) {
        if ((b->caps & NADB_CAP_READ_ONLY) != 0)
            return nadb_fail(p->err, NADB_INVALID,
                             "option keep_changes: nothing changes in a store "
                             "with backend='%s'",
                             b->name);
        if (buffered)
            return nadb_fail(p->err, NADB_INVALID,
                             "option keep_changes is not for write=buffered "
                             "with backend='%s': commits get their numbers on "
                             "the server. Give it to a table of the same store "
                             "without write=buffered, which lists what has "
                             "been sent (docs/changes.md)",
                             b->name);
        if (on_server && nadb_option_number(p->o, "shards") > 1)
            return nadb_fail(p->err, NADB_INVALID,
                             "option keep_changes is not for a store in "
                             "shards: each of them counts its own commits");
    }
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

/* Appends the working directory, or the one that was noted in
 * place->base_dir. */
static nadb_rc put_working_dir(const nadb_place *place, nadb_buf *out,
                               nadb_err *err) {
    char **kept = place->base_dir;
    nadb_rc rc;

    if (kept != NULL && *kept != NULL)
        return nadb_buf_append(out, *kept, strlen(*kept)) ? NADB_OK
                                                          : no_memory(err);
    rc = nadb_os_get()->realpath(".", out, err);
    if (rc != NADB_OK || kept == NULL) return rc;
    *kept = nadb_strdup((const char *)out->p);
    return *kept == NULL ? no_memory(err) : NADB_OK;
}

/* Appends the directory of relative paths, with a slash. */
static nadb_rc put_base_dir(const nadb_place *place, nadb_buf *out,
                            nadb_err *err) {
    const char *file = in_memory(place) ? "" : place->db_file;
    const char *slash = strrchr(file, '/');

    if (file[0] != '/') {
        nadb_rc rc = put_working_dir(place, out, err);

        if (rc != NADB_OK) return rc;
        if (out->p[out->n - 1] != '/' && !nadb_buf_byte(out, '/'))
            return no_memory(err);
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

/* The default path is "<database file>-nadb", if the database has a file. */
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
    /* The base name alone: make_absolute() adds the file's folder. */
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

/* --- all arguments --- */

static nadb_rc default_text(char **field, const char *value, nadb_err *err) {
    if (*field != NULL) return NADB_OK;
    *field = nadb_strdup(value);
    return *field == NULL ? no_memory(err) : NADB_OK;
}

/* Parses the backend first, because it decides which options exist. */
static nadb_rc parse_backend(parser *p, const char *const *args, int n) {
    nadb_rc rc = NADB_OK;
    option opt;

    for (int i = 0; rc == NADB_OK && i < n; i++)
        if (option_find(p->o, name_of(args[i]), &opt) &&
            strcmp(opt.spec->name, "backend") == 0)
            rc = parse_arg(p, args[i]);
    if (rc == NADB_OK) rc = default_text(&p->o->backend, "fs", p->err);
    if (rc != NADB_OK) return rc;
    for (char *c = p->o->backend; *c != '\0'; c++)
        if (*c >= 'A' && *c <= 'Z') *c = (char)(*c - 'A' + 'a');
    return nadb_backend_find(p->o->backend) == NULL ? unknown_backend(p)
                                                    : NADB_OK;
}

static nadb_rc parse_all(parser *p, const char *const *args, int n) {
    nadb_rc rc = parse_backend(p, args, n);
    option opt;

    for (int i = 0; rc == NADB_OK && i < n; i++)
        if (!option_find(p->o, name_of(args[i]), &opt) ||
            strcmp(opt.spec->name, "backend") != 0)
            rc = parse_arg(p, args[i]);
    return rc;
}

static nadb_rc finish(parser *p) {
    nadb_options *o = p->o;
    const nadb_backend *b = nadb_backend_for(o);
    nadb_rc rc = check_backend_options(p, b);

    o->ns_given = o->ns != NULL;
    o->path_given = o->path != NULL;
    if (rc == NADB_OK) rc = default_text(&o->db, "main", p->err);
    if (rc == NADB_OK) rc = default_text(&o->ns, p->place->table, p->err);
    if (rc == NADB_OK) rc = check_combinations(p);
    if (rc == NADB_OK) rc = check_effect(p);
    /* Other programs read the values on a server: they are compressed only if
     * compression was given. */
    if ((b->caps & NADB_CAP_REMOTE) != 0 &&
        !nadb_option_given(o, "compression"))
        p->o->compression = 0;
    o->read_only =
        o->mode == NADB_MODE_RO || (b->caps & NADB_CAP_READ_ONLY) != 0;
    if (rc == NADB_OK) rc = default_path(p, b);
    if (rc == NADB_OK) rc = make_absolute(p, &o->path);
    if (rc == NADB_OK) rc = make_absolute(p, &o->dir);
    if (rc == NADB_OK && !in_memory(p->place))
        rc = default_text(&o->db_file, p->place->db_file, p->err);
    return rc;
}

/* Gives *o the options of all registered backends, in the registry's order,
 * without values. */
static nadb_rc take_options(nadb_options *o, nadb_err *err) {
    unsigned room = OPTION_COUNT_MAX - option_core_count();
    const nadb_backend *b;

    o->own = nadb_calloc(room, sizeof o->own[0]);
    if (o->own == NULL) return no_memory(err);
    for (size_t i = 0; (b = nadb_backend_at(i)) != NULL; i++)
        for (const nadb_option *x = b->options; x != NULL && x->name != NULL;
             x++) {
            if (o->n_own == room)
                return nadb_fail(err, NADB_INVALID,
                                 "the backends of this build have more than %u "
                                 "options, which is the limit",
                                 room);
            o->own[o->n_own].spec = x;
            o->own[o->n_own++].backend = b->name;
        }
    return NADB_OK;
}

nadb_rc nadb_options_parse(const char *const *args, int n,
                           const nadb_place *place, nadb_options **out,
                           nadb_err *err) {
    parser p = {.place = place, .err = err};
    nadb_rc rc = NADB_OK;

    *out = NULL;
    p.o = nadb_calloc(1, sizeof *p.o);
    if (p.o == NULL) return no_memory(err);
    rc = take_options(p.o, err);
    if (rc == NADB_OK) rc = option_init_all(p.o, err);
    if (rc == NADB_OK) rc = parse_all(&p, args, n);
    if (rc == NADB_OK) rc = finish(&p);
    if (rc != NADB_OK) goto done;
    *out = p.o;
    p.o = NULL;
done:
    nadb_buf_clear(&p.value);
    nadb_options_free(p.o);
    return rc;
}

void nadb_options_free(nadb_options *o) {
    if (o == NULL) return;
    option_free_all(o);
    nadb_free(o->db_file);
    nadb_free(o->store_id);
    nadb_free(o);
}

bool nadb_options_set_id(nadb_options *o, const char *id) {
    char *copy = nadb_strdup(id);

    if (copy == NULL) return false;
    nadb_free(o->store_id);
    o->store_id = copy;
    return true;
}

nadb_options *nadb_options_copy(const nadb_options *o) {
    nadb_options *c = nadb_malloc(sizeof *c);
    bool ok;

    if (c == NULL) return NULL;
    *c = *o;
    if (o->db_file != NULL) c->db_file = nadb_strdup(o->db_file);
    if (o->store_id != NULL) c->store_id = nadb_strdup(o->store_id);
    ok = option_copy_all(c) && (o->db_file == NULL || c->db_file != NULL) &&
         (o->store_id == NULL || c->store_id != NULL);
    if (ok) return c;
    nadb_options_free(c);
    return NULL;
}

const nadb_backend *nadb_backend_for(const nadb_options *o) {
    const nadb_backend *b = nadb_backend_find(o->backend);

    if (b == NULL || b->buffered == NULL || o->write != NADB_WRITE_BUFFERED)
        return b;
    return b->buffered;
}

/* --- changing --- */

/* True if nadb_alter() may change the option, because tables and stores that
 * are open can adopt a new value (options_join(), store.c). A log can be added,
 * but not replaced. */
static bool may_change(const nadb_options *o, const char *name) {
    static const char *const names[] = {
        "buffer_size_mb", "flush_interval", "synchronous", "compression",
        "cache_size_mb",  "default_ttl",    "max_size_mb", "eviction",
        "busy_timeout",   "keep_changes",   "log_level",   "log_slow_ms",
        "log_max_mb",     "log_files"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0) return true;
    return strcmp(name, "log") == 0 && o->log == NULL;
}

static bool put_arg(nadb_buf *out, const char *arg) {
    return (out->n == 0 || nadb_buf_append(out, ", ", 2)) &&
           nadb_buf_append(out, arg, strlen(arg));
}

/* name='value', from p->value. */
static bool put_change(parser *p, const option *opt, nadb_buf *out) {
    bool ok = put_arg(out, opt->spec->name) && nadb_buf_append(out, "='", 2);

    for (const uint8_t *c = p->value.p; ok && *c != 0; c++)
        ok = (*c != '\'' || nadb_buf_byte(out, '\'')) && nadb_buf_byte(out, *c);
    return ok && nadb_buf_byte(out, '\'');
}

static nadb_rc change(parser *p, const char *text, uint64_t *changed,
                      nadb_buf *out) {
    option opt;
    nadb_rc rc = split_arg(p, text, &opt);

    if (rc != NADB_OK) return rc;
    if (!may_change(p->o, opt.spec->name))
        return nadb_fail(p->err, NADB_INVALID,
                         "option %s cannot be changed: it says which rows the "
                         "table has, or is settled when the store is opened. "
                         "Make another table, and copy the rows with INSERT "
                         ".. SELECT",
                         opt.spec->name);
    if ((*changed & option_bit(&opt)) != 0)
        return nadb_fail(p->err, NADB_INVALID, "option %s is given twice",
                         opt.spec->name);
    *changed |= option_bit(&opt);
    return put_change(p, &opt, out) ? NADB_OK : no_memory(p->err);
}

/* The arguments that stay as they are. */
static bool put_rest(parser *p, nadb_slice args, uint64_t changed,
                     nadb_buf *out) {
    bool ok = true;

    for (size_t at = 0; ok && at < args.n;) {
        const char *arg = (const char *)args.p + at;
        option opt;

        at += strlen(arg) + 1;
        if (*skip_space(arg) != '\0' && option_find(p->o, name_of(arg), &opt) &&
            (changed & option_bit(&opt)) == 0)
            ok = put_arg(out, arg);
    }
    return ok;
}

nadb_rc nadb_options_change(nadb_options *o, nadb_slice args,
                            const char *const *changes, int n, nadb_buf *out,
                            nadb_err *err) {
    parser p = {.o = o, .whole = true, .err = err};
    char count[40];
    uint64_t changed = 0;
    option opt;
    nadb_rc rc = NADB_OK;

    for (int i = 0; rc == NADB_OK && i < n; i++)
        rc = change(&p, changes[i], &changed, out);
    nadb_buf_clear(&p.value);
    if (rc != NADB_OK) return rc;
    (void)snprintf(count, sizeof count, "revision=%" PRId64, o->revision + 1);
    if (option_find(o, nadb_slice_str("revision"), &opt))
        changed |= option_bit(&opt);
    if (!put_rest(&p, args, changed, out) || !put_arg(out, count))
        return no_memory(err);
    return NADB_OK;
}
