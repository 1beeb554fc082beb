/* options_table.c - see options_table.h. To add an option: a field in
 * options.h, a line in `table`, a line in docs/options.md. */
#include "options_table.h"

typedef enum option_kind {
    KIND_TEXT,  /* char * */
    KIND_BOOL,  /* bool */
    KIND_INT,   /* int, or an enum */
    KIND_INT64, /* int64_t */
    KIND_UINT64 /* uint64_t */
} option_kind;

typedef struct option_word {
    const char *text;
    int value;
} option_word;

/* Judges a text; says what is wrong with it in *err. */
typedef nadb_rc text_check(const option *opt, const char *value, nadb_err *err);

struct option {
    const char *name;
    option_kind kind;
    size_t field;             /* offset in nadb_options */
    const option_word *words; /* or NULL */
    double least, most;       /* numbers, in the user's unit; 0, 0: none */
    double scale;             /* stored = given * scale; 1: whole numbers */
    const char *allowed;      /* completes "'x' is not .." */
    const char *backend;      /* only this one knows it; NULL: all */
    bool files;               /* see option_of_files() */
    text_check *check;        /* or NULL */
};

/* Words set int fields that may be enums: same size, or memcpy would tear. */
_Static_assert(sizeof(nadb_durability) == sizeof(int), "enum size");
_Static_assert(sizeof(nadb_write_mode) == sizeof(int), "enum size");
_Static_assert(sizeof(nadb_eviction) == sizeof(int), "enum size");

/* zlib's fastest level: up to three times as fast as level 6 (seen on C
 * sources: 4 KB values 112 and 79 MB/s, 1 MB values 174 and 57 MB/s), for
 * results that are a tenth to a third larger. */
#define COMPRESSION_ON 1

static const option_word on_off[] = {
    {"on", 1}, {"off", 0}, {"true", 1}, {"false", 0}, {"yes", 1},
    {"no", 0}, {"1", 1},   {"0", 0},    {NULL, 0},
};
static const option_word none_word[] = {{"none", 0}, {NULL, 0}};
static const option_word synchronous_words[] = {
    {"off", NADB_SYNC_OFF},
    {"normal", NADB_SYNC_NORMAL},
    {"full", NADB_SYNC_FULL},
    {NULL, 0},
};
static const option_word write_words[] = {
    {"buffered", NADB_WRITE_BUFFERED},
    {"immediate", NADB_WRITE_IMMEDIATE},
    {NULL, 0},
};
static const option_word compression_words[] = {
    {"on", COMPRESSION_ON},
    {"true", COMPRESSION_ON},
    {"yes", COMPRESSION_ON},
    {"off", 0},
    {"false", 0},
    {"no", 0},
    {"0", 0},
    {NULL, 0},
};
static const option_word eviction_words[] = {
    {"none", NADB_EVICT_NONE}, {"lru", NADB_EVICT_LRU}, {"lfu", NADB_EVICT_LFU},
    {"fifo", NADB_EVICT_FIFO}, {"ttl", NADB_EVICT_TTL}, {NULL, 0},
};
static const option_word mode_words[] = {{"rw", 0}, {"ro", 1}, {NULL, 0}};
static const option_word level_words[] = {
    {"debug", 0}, {"info", 1}, {"warning", 2}, {"error", 3}, {NULL, 0},
};

static text_check check_log, check_url, check_password_env, check_id;

#define MB 1048576.0
#define SECONDS 1000.0 /* stored as ms */

#define FIELD(f) offsetof(nadb_options, f)
#define BOOL_OPTION(name, f, be)                                               \
    { name, KIND_BOOL, FIELD(f), on_off, 0, 0, 1, "on or off", be, false, NULL }
#define WORD_OPTION(name, kind, f, words, allowed)                             \
    { name, kind, FIELD(f), words, 0, 0, 1, allowed, NULL, false, NULL }
#define TEXT_OPTION(name, f, be, files, check)                                 \
    { name, KIND_TEXT, FIELD(f), NULL, 0, 0, 1, NULL, be, files, check }
#define NUMBER_OPTION(name, kind, f, words, least, most, scale, allowed, be)   \
    {                                                                          \
        name, kind, FIELD(f), words, least, most, scale, allowed, be, false,   \
            NULL                                                               \
    }

static const option table[] = {
    TEXT_OPTION("backend", backend, NULL, false, NULL),
    TEXT_OPTION("path", path, NULL, true, NULL),
    TEXT_OPTION("db", db, NULL, false, NULL),
    TEXT_OPTION("namespace", ns, NULL, false, NULL),
    NUMBER_OPTION("buffer_size_mb", KIND_UINT64, buffer_bytes, NULL, 0.01, 1024,
                  MB, "a number of megabytes from 0.01 to 1024", NULL),
    NUMBER_OPTION("flush_interval", KIND_INT64, flush_interval_ms, NULL, 0.01,
                  86400, SECONDS, "a number of seconds from 0.01 to 86400",
                  NULL),
    WORD_OPTION("synchronous", KIND_INT, synchronous, synchronous_words,
                "off, normal or full"),
    WORD_OPTION("write", KIND_INT, write, write_words, "buffered or immediate"),
    NUMBER_OPTION("compression", KIND_INT, compression, compression_words, 1, 9,
                  1, "on, off or a level from 1 to 9", NULL),
    NUMBER_OPTION("cache_size_mb", KIND_UINT64, cache_bytes, NULL, 0, 1048576,
                  MB, "a number of megabytes from 0 to 1048576", NULL),
    BOOL_OPTION("mmap", mmap, NULL),
    NUMBER_OPTION("default_ttl", KIND_INT64, default_ttl_ms, none_word, 0.001,
                  1e11, SECONDS,
                  "none or a number of seconds from 0.001 to 100000000000",
                  NULL),
    NUMBER_OPTION("max_size_mb", KIND_UINT64, size_max, none_word, 0.01, 1e9,
                  MB, "none or a number of megabytes from 0.01 to 1000000000",
                  NULL),
    WORD_OPTION("eviction", KIND_INT, eviction, eviction_words,
                "none, lru, lfu, fifo or ttl"),
    BOOL_OPTION("track_access", track_access, NULL),
    NUMBER_OPTION("busy_timeout", KIND_INT64, busy_timeout_ms, NULL, 0,
                  2147483647, 1,
                  "a whole number of milliseconds from 0 to 2147483647", NULL),
    WORD_OPTION("mode", KIND_BOOL, read_only, mode_words, "rw or ro"),
    TEXT_OPTION("log", log, NULL, true, check_log),
    WORD_OPTION("log_level", KIND_INT, log_level, level_words,
                "debug, info, warning or error"),
    NUMBER_OPTION(
        "log_slow_ms", KIND_INT64, log_slow_ms, none_word, 1, 2147483647, 1,
        "none or a whole number of milliseconds from 1 to 2147483647", NULL),

    TEXT_OPTION("url", url, "redis", false, check_url),
    TEXT_OPTION("host", host, "redis", false, NULL),
    NUMBER_OPTION("port", KIND_INT, port, NULL, 1, 65535, 1,
                  "a port number from 1 to 65535", "redis"),
    TEXT_OPTION("socket", socket, "redis", false, NULL),
    NUMBER_OPTION("redis_db", KIND_INT, redis_db, NULL, 0, 65535, 1,
                  "a database number from 0 to 65535", "redis"),
    TEXT_OPTION("user", user, "redis", false, NULL),
    TEXT_OPTION("password_env", password_env, "redis", false,
                check_password_env),
    NUMBER_OPTION("connect_timeout", KIND_INT64, connect_timeout_ms, NULL, 0.01,
                  3600, SECONDS, "a number of seconds from 0.01 to 3600",
                  "redis"),
    NUMBER_OPTION("timeout", KIND_INT64, timeout_ms, NULL, 0.01, 3600, SECONDS,
                  "a number of seconds from 0.01 to 3600", "redis"),
    NUMBER_OPTION("pool_size", KIND_INT, pool_size, NULL, 1, 1000, 1,
                  "a number of connections from 1 to 1000", "redis"),
    BOOL_OPTION("cluster", cluster, "redis"),
    NUMBER_OPTION("shards", KIND_INT, shards, NULL, 1, 1024, 1,
                  "a number of shards from 1 to 1024", "redis"),
    TEXT_OPTION("sentinel", sentinel, "redis", false, NULL),
    TEXT_OPTION("sentinel_password_env", sentinel_password_env, "redis", false,
                check_password_env),
    NUMBER_OPTION("wait", KIND_INT, wait, NULL, 0, 1000, 1,
                  "a number of replicas from 0 to 1000", "redis"),
    BOOL_OPTION("tls", tls, "redis"),

    TEXT_OPTION("dir", dir, "backup", false, NULL),
    TEXT_OPTION("id", id, "backup", false, check_id),
};

#define COUNT (sizeof table / sizeof table[0])
_Static_assert(COUNT <= OPTION_COUNT_MAX, "one bit for each option");

/* --- names --- */

const option *option_at(unsigned i) { return i < COUNT ? &table[i] : NULL; }

const char *option_name(const option *opt) { return opt->name; }

unsigned option_index(const option *opt) { return (unsigned)(opt - table); }

const char *option_backend(const option *opt) { return opt->backend; }

bool option_of_files(const option *opt) { return opt->files; }

/* Not tolower(): the host program's locale has no say here. */
static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool same_word(nadb_slice s, const char *word) {
    if (s.n != strlen(word)) return false;
    for (size_t i = 0; i < s.n; i++)
        if (lower((char)s.p[i]) != word[i]) return false;
    return true;
}

const option *option_find(nadb_slice name) {
    for (size_t i = 0; i < COUNT; i++)
        if (same_word(name, table[i].name)) return &table[i];
    return NULL;
}

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

/* Whether `name` is a whole word of `full`: ttl is one of default_ttl. */
static bool is_word_of(nadb_slice name, const char *full) {
    const char *p = full;

    while (*p != '\0') {
        size_t n = strcspn(p, "_");
        char word[NAME_MAX_BYTES];

        if (n < sizeof word) {
            memcpy(word, p, n);
            word[n] = '\0';
            if (same_word(name, word)) return true;
        }
        p += n + (p[n] == '_');
    }
    return false;
}

const option *option_nearest(nadb_slice name) {
    const option *best = NULL;
    unsigned best_distance = 0;

    if (name.n == 0 || name.n > NAME_MAX_BYTES) return NULL;
    for (size_t i = 0; i < COUNT; i++) {
        unsigned d =
            is_word_of(name, table[i].name) ? 1 : distance(name, table[i].name);

        if (best == NULL || d < best_distance) {
            best = &table[i];
            best_distance = d;
        }
    }
    /* A suggestion that shares little with what was written only confuses. */
    return best_distance <= 1 + name.n / 3 ? best : NULL;
}

/* --- values --- */

/* Digits, a fraction and an exponent; strtod() would follow the locale, and
 * take "inf", "nan" and hexadecimal. */
static bool parse_number(const char *s, double *out) {
    double v = 0, unit = 1;
    bool digits = false;

    if (*s == '+') s++;
    for (; *s >= '0' && *s <= '9'; s++, digits = true) v = v * 10 + (*s - '0');
    if (*s == '.')
        for (s++; *s >= '0' && *s <= '9'; s++, digits = true)
            v += (*s - '0') * (unit /= 10);
    if (digits && (*s == 'e' || *s == 'E')) {
        bool negative = s[1] == '-';
        int exponent = 0;

        s += 1 + (s[1] == '-' || s[1] == '+');
        if (*s < '0' || *s > '9') return false;
        for (; *s >= '0' && *s <= '9'; s++)
            if (exponent < 1000) exponent = exponent * 10 + (*s - '0');
        for (; exponent > 0; exponent--) v = negative ? v / 10 : v * 10;
    }
    *out = v;
    return digits && *s == '\0';
}

/* The value of a word or a number, in stored units. */
static bool parse_value(const option *opt, const char *value, double *out) {
    double v;

    if (opt->words != NULL)
        for (const option_word *w = opt->words; w->text != NULL; w++)
            if (same_word(nadb_slice_str(value), w->text)) {
                *out = w->value;
                return true;
            }
    if (opt->least == opt->most || !parse_number(value, &v)) return false;
    /* Written so that it is false for a NaN as well. */
    if (!(v >= opt->least && v <= opt->most)) return false;
    if (opt->scale == 1 && v != (double)(int64_t)v) return false;
    *out = v * opt->scale + 0.5;
    return true;
}

/* Long values are cut in messages. */
static nadb_rc wrong_value(const option *opt, const char *value,
                           const char *allowed, nadb_err *err) {
    return nadb_fail(err, NADB_INVALID, "option %s: '%.80s%s' is not %s",
                     opt->name, value, strlen(value) > 80 ? ".." : "", allowed);
}

static bool is_one_of(char c, const char *more) {
    return (lower(c) >= 'a' && lower(c) <= 'z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr(more, c) != NULL);
}

/* A letter first keeps it apart from all the store's own files: numbers,
 * control, MANIFEST and MANIFEST.tmp. */
static nadb_rc check_log(const option *opt, const char *value, nadb_err *err) {
    static const char allowed[] =
        "a plain file name (at most 200 letters, digits, and . _ -, the first "
        "one a letter; not control, MANIFEST, a directory, or a .tmp file)";
    nadb_slice s = nadb_slice_str(value);
    bool ok = s.n <= 200 && lower(value[0]) >= 'a' && lower(value[0]) <= 'z';

    for (size_t i = 0; ok && i < s.n; i++) ok = is_one_of(value[i], "._-");
    if (same_word(s, "control") || same_word(s, "manifest")) ok = false;
    if (s.n >= 4 && same_word(nadb_slice_of(s.p + s.n - 4, 4), ".tmp"))
        ok = false;
    return ok ? NADB_OK : wrong_value(opt, value, allowed, err);
}

/* A password in a URL would stand in the schema for everybody to read, and
 * must not go into an error message either. */
static nadb_rc check_url(const option *opt, const char *value, nadb_err *err) {
    static const char *const schemes[] = {"redis://", "rediss://", "unix://"};
    const char *rest = NULL;
    size_t n;

    if (strchr(value, '@') != NULL) {
        const char *p = strstr(value, "://");
        const char *colon = strchr(p == NULL ? value : p + 3, ':');

        if (colon != NULL && colon < strrchr(value, '@'))
            return nadb_fail(err, NADB_INVALID,
                             "option url: a password does not belong in the "
                             "schema: leave it out and name an environment "
                             "variable with password_env='NADB_PASSWORD'");
    }
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        n = strlen(schemes[i]);
        if (nadb_slice_starts(nadb_slice_str(value),
                              nadb_slice_str(schemes[i])))
            rest = value + n;
    }
    if (rest == NULL || *rest == '\0')
        return wrong_value(
            opt, value,
            "a URL like redis://host:6379/0, rediss://host or unix:///socket",
            err);
    return NADB_OK;
}

static nadb_rc check_password_env(const option *opt, const char *value,
                                  nadb_err *err) {
    nadb_slice s = nadb_slice_str(value);
    bool ok = nadb_slice_starts(s, nadb_slice_str("NADB_")) ||
              nadb_slice_starts(s, nadb_slice_str("REDIS_"));

    for (size_t i = 0; ok && i < s.n; i++) ok = is_one_of(value[i], "_");
    /* What stands here may be the password itself: it is not repeated. */
    if (!ok)
        return nadb_fail(err, NADB_INVALID,
                         "option %s must name an environment variable that "
                         "starts with NADB_ or REDIS_ and holds the password",
                         opt->name);
    return NADB_OK;
}

static nadb_rc check_id(const option *opt, const char *value, nadb_err *err) {
    for (const char *p = value; *p != '\0'; p++)
        if (!is_one_of(*p, "_-"))
            return wrong_value(opt, value,
                               "a backup id (letters, digits, _ and -)", err);
    return NADB_OK;
}

/* --- setting --- */

static nadb_rc set_text(const option *opt, nadb_options *o, const char *value,
                        nadb_err *err) {
    char **field = (char **)(void *)((char *)o + opt->field);
    char *copy;

    if (*value == '\0')
        return nadb_fail(err, NADB_INVALID, "option %s must not be empty",
                         opt->name);
    if (opt->check != NULL) {
        nadb_rc rc = opt->check(opt, value, err);

        if (rc != NADB_OK) return rc;
    }
    copy = nadb_strdup(value);
    if (copy == NULL)
        return nadb_fail(err, NADB_NOMEM, "out of memory for option %s",
                         opt->name);
    nadb_free(*field);
    *field = copy;
    return NADB_OK;
}

nadb_rc option_set(const option *opt, nadb_options *o, const char *value,
                   nadb_err *err) {
    char *field = (char *)o + opt->field;
    double v;

    if (opt->kind == KIND_TEXT) return set_text(opt, o, value, err);
    if (!parse_value(opt, value, &v))
        return wrong_value(opt, value, opt->allowed, err);
    switch (opt->kind) {
    case KIND_BOOL:
        memcpy(field, &(bool){v >= 1}, sizeof(bool));
        break;
    case KIND_INT:
        memcpy(field, &(int){(int)v}, sizeof(int));
        break;
    case KIND_INT64:
        memcpy(field, &(int64_t){(int64_t)v}, sizeof(int64_t));
        break;
    case KIND_UINT64:
        memcpy(field, &(uint64_t){(uint64_t)v}, sizeof(uint64_t));
        break;
    case KIND_TEXT:
        break;
    }
    return NADB_OK;
}

const char *option_get_text(const option *opt, const nadb_options *o) {
    const char *text = NULL;

    if (opt->kind == KIND_TEXT)
        memcpy(&text, (const char *)o + opt->field, sizeof text);
    return text;
}

int64_t option_get_number(const option *opt, const nadb_options *o) {
    const char *field = (const char *)o + opt->field;
    int64_t wide = 0;
    bool truth = false;
    int number = 0;

    switch (opt->kind) {
    case KIND_BOOL:
        memcpy(&truth, field, sizeof truth);
        return truth;
    case KIND_INT:
        memcpy(&number, field, sizeof number);
        return number;
    case KIND_INT64:
    case KIND_UINT64:
        memcpy(&wide, field, sizeof wide);
        return wide;
    case KIND_TEXT:
        break;
    }
    return 0;
}

void option_free_texts(nadb_options *o) {
    for (size_t i = 0; i < COUNT; i++)
        if (table[i].kind == KIND_TEXT) {
            char **field = (char **)(void *)((char *)o + table[i].field);

            nadb_free(*field);
            *field = NULL;
        }
}
