/* tls.c - see tls.h. */
#include "tls.h"

#if NADB_REDIS_TLS

#include <dlfcn.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>

#include "../../core/util/bytes.h"

/* --- the library --- */

#if OPENSSL_VERSION_MAJOR >= 3
#define LIBRARY "libssl.so." NADB_TEXT(OPENSSL_SHLIB_VERSION)
#else
#define LIBRARY "libssl.so.1.1"
#endif

#define EACH_FUNCTION(X)                                                       \
    X(TLS_client_method)                                                       \
    X(SSL_CTX_new)                                                             \
    X(SSL_CTX_free)                                                            \
    X(SSL_CTX_ctrl)                                                            \
    X(SSL_CTX_set_verify)                                                      \
    X(SSL_CTX_set_default_verify_paths)                                        \
    X(SSL_new)                                                                 \
    X(SSL_free)                                                                \
    X(SSL_ctrl)                                                                \
    X(SSL_set_fd)                                                              \
    X(SSL_set1_host)                                                           \
    X(SSL_get0_param)                                                          \
    X(SSL_connect)                                                             \
    X(SSL_read)                                                                \
    X(SSL_write)                                                               \
    X(SSL_shutdown)                                                            \
    X(SSL_get_error)                                                           \
    X(SSL_get_verify_result)                                                   \
    X(X509_VERIFY_PARAM_set1_ip_asc)                                           \
    X(X509_verify_cert_error_string)                                           \
    X(ERR_clear_error)                                                         \
    X(ERR_peek_error)                                                          \
    X(ERR_reason_error_string)

#define MEMBER(f) __typeof__(&f) f;
static struct {
    pthread_once_t once;
    bool loaded;
    EACH_FUNCTION(MEMBER)
} ssl = {.once = PTHREAD_ONCE_INIT};

/* It is never unloaded, because other threads may be using it. */
static void load(void) {
    void *lib = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    bool ok = lib != NULL;

#define FIND(f)                                                                \
    if (ok) {                                                                  \
        void *p = dlsym(lib, #f);                                              \
                                                                               \
        memcpy(&ssl.f, &p, sizeof p);                                          \
        ok = p != NULL;                                                        \
    }
    EACH_FUNCTION(FIND)
    ssl.loaded = ok;
}

bool tls_is_known(void) { return true; }

/* --- a connection --- */

struct tls {
    SSL_CTX *context;
    SSL *ssl;
};

/* SSL_CERT_FILE and SSL_CERT_DIR replace the system's authorities. */
static bool set_up(tls *t, int fd, const char *host) {
    t->context = ssl.SSL_CTX_new(ssl.TLS_client_method());
    if (t->context == NULL) return false;
    ssl.SSL_CTX_set_verify(t->context, SSL_VERIFY_PEER, NULL);
    if (ssl.SSL_CTX_set_default_verify_paths(t->context) != 1 ||
        ssl.SSL_CTX_ctrl(t->context, SSL_CTRL_SET_MIN_PROTO_VERSION,
                         TLS1_2_VERSION, NULL) != 1)
        return false;
    /* SSL_read() must return when it has read something that is not data. */
    (void)ssl.SSL_CTX_ctrl(t->context, SSL_CTRL_CLEAR_MODE, SSL_MODE_AUTO_RETRY,
                           NULL);
    (void)ssl.SSL_CTX_ctrl(t->context, SSL_CTRL_MODE,
                           SSL_MODE_ENABLE_PARTIAL_WRITE |
                               SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER,
                           NULL);
    t->ssl = ssl.SSL_new(t->context);
    if (t->ssl == NULL || ssl.SSL_set_fd(t->ssl, fd) != 1) return false;
    /* A numeric host is compared with the addresses in the certificate. */
    if (ssl.X509_VERIFY_PARAM_set1_ip_asc(ssl.SSL_get0_param(t->ssl), host) ==
        1)
        return true;
    ssl.ERR_clear_error();
    return ssl.SSL_set1_host(t->ssl, host) == 1 &&
           ssl.SSL_ctrl(t->ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME,
                        TLSEXT_NAMETYPE_host_name,
                        (void *)(uintptr_t)host) == 1;
}

/* The reason of a failure; errno is kept. */
static const char *reason(const tls *t, int rc) {
    int error = errno;
    int kind = ssl.SSL_get_error(t->ssl, rc);
    long verified = ssl.SSL_get_verify_result(t->ssl);
    unsigned long code = ssl.ERR_peek_error();
    const char *why = NULL;

    if (verified != X509_V_OK)
        why = ssl.X509_verify_cert_error_string(verified);
    else if (code != 0)
        why = ssl.ERR_reason_error_string(code);
    errno = error;
    if (why != NULL) return why;
    if (kind == SSL_ERROR_SYSCALL && error != 0) return strerror(error);
    return "Server closed the connection";
}

/* True if it is not a failure, and to be tried again after *events. */
static bool later(const tls *t, int rc, short *events) {
    int error = errno;
    int kind = ssl.SSL_get_error(t->ssl, rc);

    errno = error;
    if (kind != SSL_ERROR_WANT_READ && kind != SSL_ERROR_WANT_WRITE)
        return false;
    *events = kind == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
    return true;
}

/* NADB_IOERR: no answer in time; NADB_CANTOPEN: the certificate is not
 * trusted. */
static nadb_rc shake_hands(tls *t, int fd, const char *name, patience *until,
                           nadb_err *err) {
    short events;
    int rc;

    for (;;) {
        ssl.ERR_clear_error();
        errno = 0;
        rc = ssl.SSL_connect(t->ssl);
        if (rc == 1) return NADB_OK;
        if (!later(t, rc, &events)) break;
        if (!patience_poll(until, fd, events, 0)) break;
    }
    if (until->stopped) return nadb_fail(err, NADB_INTERRUPT, "interrupted");
    if (until->late)
        return nadb_fail(err, NADB_IOERR,
                         "redis server %s: TLS: no answer in time", name);
    return nadb_fail(err, NADB_CANTOPEN, "redis server %s: TLS: %s", name,
                     reason(t, rc));
}

nadb_rc tls_open(int fd, const char *host, const char *name, patience *until,
                 tls **out, nadb_err *err) {
    tls *t = NULL;
    nadb_rc rc;

    *out = NULL;
    pthread_once(&ssl.once, load);
    if (!ssl.loaded)
        return nadb_fail(err, NADB_CANTOPEN,
                         "redis server %s: TLS: cannot load " LIBRARY, name);
    t = nadb_calloc(1, sizeof *t);
    if (t == NULL || !set_up(t, fd, host)) {
        tls_close(t);
        return nadb_fail(err, NADB_NOMEM, "redis server %s: setting up TLS",
                         name);
    }
    rc = shake_hands(t, fd, name, until, err);
    if (rc == NADB_OK)
        *out = t;
    else
        tls_close(t);
    return rc;
}

void tls_close(tls *t) {
    if (t == NULL) return;
    if (t->ssl != NULL) {
        ssl.ERR_clear_error();
        (void)ssl.SSL_shutdown(t->ssl);
        ssl.SSL_free(t->ssl);
    }
    if (t->context != NULL) ssl.SSL_CTX_free(t->context);
    nadb_free(t);
}

ssize_t tls_read(tls *t, void *p, size_t n, short *events, const char **why) {
    int rc;

    ssl.ERR_clear_error();
    errno = 0;
    rc = ssl.SSL_read(t->ssl, p, n > INT_MAX ? INT_MAX : (int)n);
    if (rc > 0) return rc;
    if (later(t, rc, events)) return 0;
    *why = reason(t, rc);
    return -1;
}

ssize_t tls_write(tls *t, const void *p, size_t n, short *events,
                  const char **why) {
    int rc;

    ssl.ERR_clear_error();
    errno = 0;
    rc = ssl.SSL_write(t->ssl, p, n > INT_MAX ? INT_MAX : (int)n);
    if (rc > 0) return rc;
    if (later(t, rc, events)) return 0;
    *why = reason(t, rc);
    return -1;
}

#else

bool tls_is_known(void) { return false; }

nadb_rc tls_open(int fd, const char *host, const char *name, patience *until,
                 tls **out, nadb_err *err) {
    (void)fd;
    (void)host;
    (void)until;
    *out = NULL;
    return nadb_fail(err, NADB_INVALID, "redis server %s: no TLS in this build",
                     name);
}

void tls_close(tls *t) { (void)t; }

ssize_t tls_read(tls *t, void *p, size_t n, short *events, const char **why) {
    (void)t;
    (void)p;
    (void)n;
    *events = 0;
    *why = "no TLS in this build";
    return -1;
}

ssize_t tls_write(tls *t, const void *p, size_t n, short *events,
                  const char **why) {
    return tls_read(t, (void *)(uintptr_t)p, n, events, why);
}

#endif
