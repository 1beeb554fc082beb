/* options_table.c - see options_table.h. To add an option: a field in
 * options.h, a line in `table`, a line in docs/options.md. */
#include "options_table.h"

#include <inttypes.h>
#include <stdio.h>

#include "names.h"
#include "util/log.h"
#include "util/number.h"

/* How a value is kept in its field. */
typedef enum field_type {
    FIELD_TEXT, /* char * */
    FIELD_BOOL,
    FIELD_INT, /* int, or an enum */
    FIELD_INT64,
    FIELD_UINT64
} field_type;

typedef struct core_option {
    nadb_option spec;
    field_type type;
    size_t field;        /* offset in nadb_options */
    const char *backend; /* see struct option */
    bool files;
} core_option;

/* Words are stored into int fields that may be enums, so both need one size. */
_Static_assert(sizeof(nadb_durability) == sizeof(int), "enum size");
_Static_assert(sizeof(nadb_write_mode) == sizeof(int), "enum size");
_Static_assert(sizeof(nadb_eviction) == sizeof(int), "enum size");
_Static_assert(sizeof(nadb_mode) == sizeof(int), "enum size");

/* Level 1, the fastest of zlib: up to three times as fast as level 6 (measured
 * on C sources: 4 KB values at 112 instead of 79 MB/s, 1 MB values at 174
 * instead of 57 MB/s) for results that are 10 to 35 % larger. */
#define COMPRESSION_ON 1

static const nadb_option_word on_off[] = {
    {"on", 1}, {"off", 0}, {"true", 1}, {"false", 0}, {"yes", 1},
    {"no", 0}, {"1", 1},   {"0", 0},    {NULL, 0},
};
static const nadb_option_word none_word[] = {{"none", 0}, {NULL, 0}};
static const nadb_option_word synchronous_words[] = {
    {"off", NADB_SYNC_OFF},
    {"normal", NADB_SYNC_NORMAL},
    {"full", NADB_SYNC_FULL},
    {NULL, 0},
};
static const nadb_option_word write_words[] = {
    {"buffered", NADB_WRITE_BUFFERED},
    {"immediate", NADB_WRITE_IMMEDIATE},
    {NULL, 0},
};
static const nadb_option_word compression_words[] = {
    {"on", COMPRESSION_ON},
    {"true", COMPRESSION_ON},
    {"yes", COMPRESSION_ON},
    {"off", 0},
    {"false", 0},
    {"no", 0},
    {"0", 0},
    {NULL, 0},
};
static const nadb_option_word eviction_words[] = {
    {"none", NADB_EVICT_NONE}, {"lru", NADB_EVICT_LRU}, {"lfu", NADB_EVICT_LFU},
    {"fifo", NADB_EVICT_FIFO}, {"ttl", NADB_EVICT_TTL}, {NULL, 0},
};
static const nadb_option_word mode_words[] = {
    {"rwc", NADB_MODE_RWC},
    {"rw", NADB_MODE_RW},
    {"ro", NADB_MODE_RO},
    {NULL, 0},
};
static nadb_rc check_log(const nadb_option *opt, const char *value,
                         nadb_err *err);
static nadb_rc check_levels(const nadb_option *opt, const char *value,
                            nadb_err *err);
static nadb_rc check_id(const nadb_option *opt, const char *value,
                        nadb_err *err);
static nadb_rc check_keep(const nadb_option *opt, const char *value,
                          nadb_err *err);

#define MB 1048576.0
#define SECONDS 1000.0 /* stored as ms */

#define FIELD(f) offsetof(nadb_options, f)
#define TEXT_OPTION(name, f, be, files, check)                                 \
    {                                                                          \
        {name, NADB_OPTION_TEXT, NULL, NULL, 0, 0, 1, NULL, check},            \
            FIELD_TEXT, FIELD(f), be, files                                    \
    }
#define BOOL_OPTION(name, f, initial)                                          \
    {                                                                          \
        {name, NADB_OPTION_SWITCH, initial, NULL, 0, 0, 1, NULL, NULL},        \
            FIELD_BOOL, FIELD(f), NULL, false                                  \
    }
#define WORD_OPTION(name, type, f, initial, words, allowed)                    \
    {                                                                          \
        {name, NADB_OPTION_NUMBER, initial, words, 0, 0, 1, allowed, NULL},    \
            type, FIELD(f), NULL, false                                        \
    }
#define NUMBER_OPTION(name, type, f, initial, words, least, most, scale,       \
                      allowed)                                                 \
    {                                                                          \
        {                                                                      \
            name,    NADB_OPTION_NUMBER,                                       \
            initial, words,                                                    \
            least,   most,                                                     \
            scale,   allowed,                                                  \
            NULL},                                                             \
            type, FIELD(f), NULL, false                                        \
    }

static const core_option table[] = {
    TEXT_OPTION("backend", backend, NULL, false, NULL),
    TEXT_OPTION("path", path, NULL, true, nadb_option_check_path),
    TEXT_OPTION("db", db, NULL, false, NULL),
    TEXT_OPTION("namespace", ns, NULL, false, NULL),
    NUMBER_OPTION("buffer_size_mb", FIELD_UINT64, buffer_bytes, "4", NULL, 0.01,
                  1024, MB, "a number of megabytes from 0.01 to 1024"),
    NUMBER_OPTION("flush_interval", FIELD_INT64, flush_interval_ms, "1", NULL,
                  0.01, 86400, SECONDS,
                  "a number of seconds from 0.01 to 86400"),
    WORD_OPTION("synchronous", FIELD_INT, synchronous, "normal",
                synchronous_words, "off, normal or full"),
    WORD_OPTION("write", FIELD_INT, write, NULL, write_words,
                "buffered or immediate"),
    NUMBER_OPTION("compression", FIELD_INT, compression, "on",
                  compression_words, 1, 9, 1, "on, off or a level from 1 to 9"),
    NUMBER_OPTION("cache_size_mb", FIELD_UINT64, cache_bytes, "16", NULL, 0,
                  1048576, MB, "a number of megabytes from 0 to 1048576"),
    BOOL_OPTION("mmap", mmap, "on"),
    NUMBER_OPTION("default_ttl", FIELD_INT64, default_ttl_ms, NULL, none_word,
                  0.001, 1e11, SECONDS,
                  "none or a number of seconds from 0.001 to 100000000000"),
    NUMBER_OPTION("max_size_mb", FIELD_UINT64, size_max, NULL, none_word, 0.01,
                  1e9, MB,
                  "none or a number of megabytes from 0.01 to 1000000000"),
    WORD_OPTION("eviction", FIELD_INT, eviction, NULL, eviction_words,
                "none, lru, lfu, fifo or ttl"),
    BOOL_OPTION("track_access", track_access, NULL),
    NUMBER_OPTION("busy_timeout", FIELD_INT64, busy_timeout_ms, "5000", NULL, 0,
                  2147483647, 1,
                  "a whole number of milliseconds from 0 to 2147483647"),
    WORD_OPTION("mode", FIELD_INT, mode, NULL, mode_words, "rwc, rw or ro"),
    TEXT_OPTION("keep_changes", keep, NULL, false, check_keep),
    TEXT_OPTION("log", log, NULL, true, check_log),
    TEXT_OPTION("log_level", log_level, NULL, false, check_levels),
    NUMBER_OPTION("log_max_mb", FIELD_UINT64, log_bytes_max, "10", NULL, 0.001,
                  1e6, MB, "a number of megabytes from 0.001 to 1000000"),
    NUMBER_OPTION("log_files", FIELD_INT, log_files_max, "5", NULL, 2, 1000, 1,
                  "a whole number of files from 2 to 1000"),
    NUMBER_OPTION(
        "log_slow_ms", FIELD_INT64, log_slow_ms, NULL, none_word, 1, 2147483647,
        1, "none or a whole number of milliseconds from 1 to 2147483647"),
    NUMBER_OPTION("revision", FIELD_INT64, revision, "0", NULL, 0, 1e15, 1,
                  "a whole number: nadb_alter() counts its changes with it"),

    TEXT_OPTION("dir", dir, "backup", false, nadb_option_check_path),
    TEXT_OPTION("id", id, "backup", false, check_id),
};

#define COUNT (sizeof table / sizeof table[0])

/* --- names --- */

unsigned option_core_count(void) { return COUNT; }

bool option_at(const nadb_options *o, unsigned i, option *out) {
    const nadb_option_value *own;

    out->index = i;
    if (i < COUNT) {
        out->spec = &table[i].spec;
        out->backend = table[i].backend;
        out->files = table[i].files;
        return true;
    }
    if (o == NULL || i - COUNT >= o->n_own) return false;
    own = &o->own[i - COUNT];
    out->spec = own->spec;
    out->backend = own->backend;
    out->files = false;
    return true;
}

/* tolower() would depend on the host program's locale. */
static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool option_same_word(nadb_slice s, const char *word) {
    if (s.n != strlen(word)) return false;
    for (size_t i = 0; i < s.n; i++)
        if (lower((char)s.p[i]) != word[i]) return false;
    return true;
}

bool option_find(const nadb_options *o, nadb_slice name, option *out) {
    for (unsigned i = 0; option_at(o, i, out); i++)
        if (option_same_word(name, out->spec->name)) return true;
    return false;
}

uint64_t option_bit(const option *opt) { return UINT64_C(1) << opt->index; }

#define NAME_MAX_BYTES 32 /* longer names are not compared */

/* Edit distance (Levenshtein), one row of the matrix at a time. */
static unsigned distance(nadb_slice a, const char *b) {
    unsigned row[NAME_MAX_BYTES + 1];
    size_t nb = strlen(b);

    for (size_t j = 0; j <= nb; j++) row[j] = (unsigned)j;
    for (size_t i = 1; i <= a.n; i++) {
        unsigned diagonal = row[0];

        row[0] = (unsigned)i;
        for (size_t j = 1; j <= nb; j++) {
            unsigned cost = diagonal + (lower((char)a.p[i - 1]) != b[j - 1]);

            diagonal = row[j];
            if (row[j] + 1 < cost) cost = row[j] + 1;
            if (row[j - 1] + 1 < cost) cost = row[j - 1] + 1;
            row[j] = cost;
        }
    }
    return row[nb];
}

/* True if `name` is a word of `full`, or the first three or more letters of
 * one: ttl is a word of default_ttl, and sync begins synchronous. */
static bool is_word_of(nadb_slice name, const char *full) {
    const char *p = full;

    while (*p != '\0') {
        size_t n = strcspn(p, "_");
        char word[NAME_MAX_BYTES];

        if (n < sizeof word) {
            memcpy(word, p, n);
            word[n] = '\0';
            if (name.n >= 3 && name.n < n) word[name.n] = '\0';
            if (option_same_word(name, word)) return true;
        }
        p += n + (p[n] == '_');
    }
    return false;
}

const char *option_nearest(const nadb_options *o, nadb_slice name) {
    const char *best = NULL;
    unsigned best_distance = 0;
    option opt;

    if (name.n == 0 || name.n > NAME_MAX_BYTES) return NULL;
    for (unsigned i = 0; option_at(o, i, &opt); i++) {
        const char *full = opt.spec->name;
        unsigned d = is_word_of(name, full) ? 1 : distance(name, full);

        if (best == NULL || d < best_distance) {
            best = full;
            best_distance = d;
        }
    }
    /* A suggestion that has little in common with the given name would
     * confuse. */
    return best_distance <= (name.n + 2) / 3 ? best : NULL;
}

/* --- values --- */

static bool find_word(const nadb_option_word *words, const char *value,
                      double *out) {
    for (const nadb_option_word *w = words; w != NULL && w->text != NULL; w++)
        if (option_same_word(nadb_slice_str(value), w->text)) {
            *out = w->value;
            return true;
        }
    return false;
}

/* The value of a word or a number, in stored units. */
static bool parse_value(const nadb_option *opt, const char *value,
                        double *out) {
    double v;

    if (opt->kind == NADB_OPTION_SWITCH) return find_word(on_off, value, out);
    if (find_word(opt->words, value, out)) return true;
    if (opt->least == opt->most || !nadb_real_of(nadb_slice_str(value), &v))
        return false;
    /* Written this way so that it is also false for a NaN. */
    if (!(v >= opt->least && v <= opt->most)) return false;
    if (opt->scale == 1 && v != (double)(int64_t)v) return false;
    *out = v * opt->scale + 0.5;
    return true;
}

/* Long values are cut in messages. */
nadb_rc nadb_option_refuse(const nadb_option *opt, const char *value,
                           const char *allowed, nadb_err *err) {
    return nadb_fail(err, NADB_INVALID, "option %s: '%.80s%s' is not %s",
                     opt->name, value, strlen(value) > 80 ? ".." : "", allowed);
}

nadb_rc nadb_option_check_path(const nadb_option *opt, const char *value,
                               nadb_err *err) {
    if (*value != '~') return NADB_OK;
    return nadb_fail(err, NADB_INVALID,
                     "option %s: '%.80s%s' begins with ~, which only a shell "
                     "replaces by a home directory: write the whole path, or "
                     "./~.. for a file of that name",
                     opt->name, value, strlen(value) > 80 ? ".." : "");
}

static bool is_one_of(char c, const char *more) {
    return (lower(c) >= 'a' && lower(c) <= 'z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr(more, c) != NULL);
}

/* A log's name begins with a letter, which the store's own files never do: they
 * are numbers, control, MANIFEST and MANIFEST.tmp. */
static nadb_rc check_log(const nadb_option *opt, const char *value,
                         nadb_err *err) {
    static const char allowed[] =
        "stderr, or a plain file name (at most 200 letters, digits, and . _ -, "
        "the first "
        "one a letter; not control, MANIFEST, a directory, or a .tmp file)";
    nadb_slice s = nadb_slice_str(value);
    bool ok = s.n <= 200 && lower(value[0]) >= 'a' && lower(value[0]) <= 'z';

    for (size_t i = 0; ok && i < s.n; i++) ok = is_one_of(value[i], "._-");
    if (option_same_word(s, "control") || option_same_word(s, "manifest"))
        ok = false;
    if (s.n >= 4 && option_same_word(nadb_slice_of(s.p + s.n - 4, 4), ".tmp"))
        ok = false;
    return ok ? NADB_OK : nadb_option_refuse(opt, value, allowed, err);
}

static nadb_rc check_levels(const nadb_option *opt, const char *value,
                            nadb_err *err) {
    nadb_levels levels;
    nadb_slice bad;

    if (nadb_levels_parse(value, &levels, &bad)) return NADB_OK;
    return nadb_fail(err, NADB_INVALID,
                     "option %s: '%.*s' is not debug, info, warning, error or "
                     "off, or one of these for a component, as in "
                     "'info, flush=debug' (components: store, read, write, "
                     "transaction, flush, sweep, backup, application)",
                     opt->name, bad.n > 60 ? 60 : (int)bad.n,
                     (const char *)bad.p);
}

static nadb_rc check_id(const nadb_option *opt, const char *value,
                        nadb_err *err) {
    if (nadb_name_is_plain(nadb_slice_str(value))) return NADB_OK;
    return nadb_option_refuse(
        opt, value,
        "a backup id (letters, digits, _, - and dots, no dot first)", err);
}

/* A number of seconds, or of bytes with their unit. */
static bool keep_of(const char *text, nadb_keep *out) {
    static const struct {
        const char *name;
        double bytes;
    } units[] = {{"kb", 1024.0}, {"mb", MB}, {"gb", MB * 1024.0}};
    nadb_slice s = nadb_slice_str(text);
    double unit = 0, number = 0;

    memset(out, 0, sizeof *out);
    if (option_same_word(s, "none")) return true;
    for (size_t i = 0; i < sizeof units / sizeof *units && s.n > 2; i++)
        if (option_same_word(nadb_slice_of(s.p + s.n - 2, 2), units[i].name))
            unit = units[i].bytes;
    if (unit > 0) s.n -= 2;
    /* nadb_real_of() reads to the end of the slice and no further. */
    if (!nadb_real_of(s, &number) || !(number >= 0 && number <= 1e11))
        return false;
    if (unit > 0 && number * unit > 1e15) return false;
    if (unit > 0)
        out->bytes = (uint64_t)(number * unit);
    else
        out->ms = (int64_t)(number * SECONDS);
    return true;
}

static nadb_rc check_keep(const nadb_option *opt, const char *value,
                          nadb_err *err) {
    nadb_keep k;

    if (keep_of(value, &k)) return NADB_OK;
    return nadb_option_refuse(opt, value,
                              "none, a number of seconds up to 100000000000, "
                              "or a size such as 64mb (kb, mb or gb, up to "
                              "900000gb)",
                              err);
}

nadb_keep nadb_option_keep(const nadb_options *o) {
    nadb_keep k = {0, 0};

    if (o->keep != NULL) (void)keep_of(o->keep, &k);
    return k;
}

/* --- setting --- */

/* The field of a text option. */
static char **text_field(const option *opt, nadb_options *o) {
    if (opt->index >= COUNT) return &o->own[opt->index - COUNT].text;
    return (char **)(void *)((char *)o + table[opt->index].field);
}

static nadb_rc set_text(const option *opt, nadb_options *o, const char *value,
                        nadb_err *err) {
    char **field = text_field(opt, o);
    char *copy;

    if (*value == '\0')
        return nadb_fail(err, NADB_INVALID, "option %s must not be empty",
                         opt->spec->name);
    if (opt->spec->check != NULL) {
        nadb_rc rc = opt->spec->check(opt->spec, value, err);

        if (rc != NADB_OK) return rc;
    }
    copy = nadb_strdup(value);
    if (copy == NULL)
        return nadb_fail(err, NADB_NOMEM, "out of memory for option %s",
                         opt->spec->name);
    nadb_free(*field);
    *field = copy;
    return NADB_OK;
}

nadb_rc option_set(const option *opt, nadb_options *o, const char *value,
                   nadb_err *err) {
    const nadb_option *spec = opt->spec;
    char *field;
    double v;

    if (spec->kind == NADB_OPTION_TEXT) return set_text(opt, o, value, err);
    if (!parse_value(spec, value, &v))
        return nadb_option_refuse(
            spec, value,
            spec->kind == NADB_OPTION_SWITCH ? "on or off" : spec->allowed,
            err);
    if (opt->index >= COUNT) {
        o->own[opt->index - COUNT].number = (int64_t)v;
        return NADB_OK;
    }
    field = (char *)o + table[opt->index].field;
    switch (table[opt->index].type) {
    case FIELD_BOOL:
        memcpy(field, &(bool){v >= 1}, sizeof(bool));
        break;
    case FIELD_INT:
        memcpy(field, &(int){(int)v}, sizeof(int));
        break;
    case FIELD_INT64:
        memcpy(field, &(int64_t){(int64_t)v}, sizeof(int64_t));
        break;
    case FIELD_UINT64:
        memcpy(field, &(uint64_t){(uint64_t)v}, sizeof(uint64_t));
        break;
    case FIELD_TEXT:
        break;
    }
    return NADB_OK;
}

nadb_rc option_init_all(nadb_options *o, nadb_err *err) {
    nadb_rc rc = NADB_OK;
    option opt;

    for (unsigned i = 0; rc == NADB_OK && option_at(o, i, &opt); i++)
        if (opt.spec->initial != NULL)
            rc = option_set(&opt, o, opt.spec->initial, err);
    return rc;
}

/* --- getting --- */

static const char *get_text(const option *opt, const nadb_options *o) {
    const char *text = NULL;

    if (opt->spec->kind != NADB_OPTION_TEXT) return NULL;
    if (opt->index >= COUNT) return o->own[opt->index - COUNT].text;
    memcpy(&text, (const char *)o + table[opt->index].field, sizeof text);
    return text;
}

static int64_t get_number(const option *opt, const nadb_options *o) {
    const char *field;
    int64_t wide = 0;
    bool truth = false;
    int number = 0;

    if (opt->spec->kind == NADB_OPTION_TEXT) return 0;
    if (opt->index >= COUNT) return o->own[opt->index - COUNT].number;
    field = (const char *)o + table[opt->index].field;
    switch (table[opt->index].type) {
    case FIELD_BOOL:
        memcpy(&truth, field, sizeof truth);
        return truth;
    case FIELD_INT:
        memcpy(&number, field, sizeof number);
        return number;
    case FIELD_INT64:
    case FIELD_UINT64:
        memcpy(&wide, field, sizeof wide);
        return wide;
    case FIELD_TEXT:
        break;
    }
    return 0;
}

/* --- all options --- */

/* The field of the next text of *o; raises i. NULL after the last. */
static char **next_text(nadb_options *o, unsigned *i) {
    option opt;

    while (option_at(o, (*i)++, &opt))
        if (opt.spec->kind == NADB_OPTION_TEXT) return text_field(&opt, o);
    return NULL;
}

bool option_copy_all(nadb_options *o) {
    nadb_option_value *own = nadb_calloc(o->n_own + 1, sizeof own[0]);
    bool ok = own != NULL;
    unsigned i = 0;
    char **field;

    if (ok)
        memcpy(own, o->own, o->n_own * sizeof own[0]);
    else
        o->n_own = 0;
    o->own = own;
    while ((field = next_text(o, &i)) != NULL) {
        const char *text = *field;

        *field = ok && text != NULL ? nadb_strdup(text) : NULL;
        ok = ok && (text == NULL || *field != NULL);
    }
    return ok;
}

void option_free_all(nadb_options *o) {
    unsigned i = 0;
    char **field;

    while ((field = next_text(o, &i)) != NULL) {
        nadb_free(*field);
        *field = NULL;
    }
    nadb_free(o->own);
    o->own = NULL;
    o->n_own = 0;
}

/* --- for backends --- */

const char *nadb_option_text(const nadb_options *o, const char *name) {
    option opt;

    if (!option_find(o, nadb_slice_str(name), &opt)) return NULL;
    return get_text(&opt, o);
}

int64_t nadb_option_number(const nadb_options *o, const char *name) {
    option opt;

    if (!option_find(o, nadb_slice_str(name), &opt)) return 0;
    return get_number(&opt, o);
}

bool nadb_option_given(const nadb_options *o, const char *name) {
    option opt;

    return option_find(o, nadb_slice_str(name), &opt) &&
           (o->given & option_bit(&opt)) != 0;
}

/* An identity is a sequence of names and values, each ended by a NUL. */
bool nadb_identity_add(nadb_buf *identity, const char *name,
                       const char *value) {
    if (value == NULL) value = "";
    return nadb_buf_append(identity, name, strlen(name) + 1) &&
           nadb_buf_append(identity, value, strlen(value) + 1);
}

bool nadb_identity_add_number(nadb_buf *identity, const char *name,
                              int64_t value) {
    char text[24];

    snprintf(text, sizeof text, "%" PRId64, value);
    return nadb_identity_add(identity, name, text);
}
