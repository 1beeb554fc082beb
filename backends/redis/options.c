/* options.c - options of stores on Redis; docs/redis.md explains them. To add
 * one: a line here and a line there. */
#include "options.h"

#define SECONDS 1000.0 /* stored as ms */

static bool is_one_of(char c, const char *more) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || (c != '\0' && strchr(more, c) != NULL);
}

/* A password in a URL could be read by anybody in the schema, and must not go
 * into an error message either. */
static nadb_rc check_url(const nadb_option *opt, const char *value,
                         nadb_err *err) {
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
        return nadb_option_refuse(
            opt, value,
            "a URL like redis://host:6379/0, rediss://host or unix:///socket",
            err);
    return NADB_OK;
}

static nadb_rc check_password_env(const nadb_option *opt, const char *value,
                                  nadb_err *err) {
    nadb_slice s = nadb_slice_str(value);
    bool ok = nadb_slice_starts(s, nadb_slice_str("NADB_")) ||
              nadb_slice_starts(s, nadb_slice_str("REDIS_"));

    for (size_t i = 0; ok && i < s.n; i++) ok = is_one_of(value[i], "_");
    /* The value may be the password itself, so the message does not repeat
     * it. */
    if (!ok)
        return nadb_fail(err, NADB_INVALID,
                         "option %s must name an environment variable that "
                         "starts with NADB_ or REDIS_ and holds the password",
                         opt->name);
    return NADB_OK;
}

#define TEXT(name, check)                                                      \
    { name, NADB_OPTION_TEXT, NULL, NULL, 0, 0, 1, NULL, check }
#define SWITCH(name)                                                           \
    { name, NADB_OPTION_SWITCH, NULL, NULL, 0, 0, 1, NULL, NULL }
#define NUMBER(name, initial, least, most, scale, allowed)                     \
    {                                                                          \
        name, NADB_OPTION_NUMBER, initial, NULL, least, most, scale, allowed,  \
            NULL                                                               \
    }

const nadb_option redis_options[] = {
    TEXT("url", check_url),
    TEXT("host", NULL),
    NUMBER("port", NULL, 1, 65535, 1, "a port number from 1 to 65535"),
    TEXT("socket", nadb_option_check_path),
    NUMBER("redis_db", NULL, 0, 65535, 1, "a database number from 0 to 65535"),
    TEXT("user", NULL),
    TEXT("password_env", check_password_env),
    NUMBER("connect_timeout", "5", 0.01, 3600, SECONDS,
           "a number of seconds from 0.01 to 3600"),
    NUMBER("timeout", "5", 0.01, 3600, SECONDS,
           "a number of seconds from 0.01 to 3600"),
    NUMBER("pool_size", "4", 1, 1000, 1,
           "a number of connections from 1 to 1000"),
    NUMBER("pool_timeout", NULL, 0.01, 3600, SECONDS,
           "a number of seconds from 0.01 to 3600"),
    SWITCH("cluster"),
    NUMBER("shards", "1", 1, 1024, 1, "a number of shards from 1 to 1024"),
    TEXT("sentinel", NULL),
    TEXT("sentinel_password_env", check_password_env),
    NUMBER("wait", NULL, 0, 1000, 1, "a number of replicas from 0 to 1000"),
    SWITCH("tls"),
    {.name = NULL},
};
