/* tls.c - see tls.h. */
#include "tls.h"

#if NADB_REDIS_TLS

#include <hiredis/hiredis_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

bool tls_is_known(void) { return true; }

static const char *reason(const SSL *ssl) {
    long verified = ssl == NULL ? X509_V_OK : SSL_get_verify_result(ssl);
    unsigned long code = ERR_peek_error();
    const char *why = code == 0 ? NULL : ERR_reason_error_string(code);

    if (verified != X509_V_OK) return X509_verify_cert_error_string(verified);
    return why == NULL ? "no reason given" : why;
}

/* SSL_CERT_FILE and SSL_CERT_DIR name other authorities than the system's. */
static SSL_CTX *make_context(void) {
    SSL_CTX *x = SSL_CTX_new(TLS_client_method());

    if (x == NULL) return NULL;
    SSL_CTX_set_verify(x, SSL_VERIFY_PEER, NULL);
    if (SSL_CTX_set_default_verify_paths(x) == 1 &&
        SSL_CTX_set_min_proto_version(x, TLS1_2_VERSION) == 1)
        return x;
    SSL_CTX_free(x);
    return NULL;
}

/* A host that is given as a number is looked for among the numbers. */
static bool set_host(SSL *ssl, const char *host) {
    if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1)
        return true;
    return SSL_set1_host(ssl, host) == 1 &&
           SSL_set_tlsext_host_name(ssl, host) == 1;
}

nadb_rc tls_begin(redisContext *c, const char *host, const char *name,
                  nadb_err *err) {
    SSL_CTX *x = make_context();
    SSL *ssl = x == NULL ? NULL : SSL_new(x);

    ERR_clear_error();
    SSL_CTX_free(x); /* the connection keeps it */
    if (ssl == NULL || !set_host(ssl, host)) {
        SSL_free(ssl);
        return nadb_fail(err, NADB_NOMEM, "redis server %s: setting up TLS",
                         name);
    }
    if (redisInitiateSSL(c, ssl) == REDIS_OK) return NADB_OK;
    nadb_fail(err, NADB_CANTOPEN, "redis server %s: TLS: %s (%s)", name,
              reason(ssl), c->errstr);
    SSL_free(ssl); /* on success it is the connection's */
    return NADB_CANTOPEN;
}

#else

bool tls_is_known(void) { return false; }

nadb_rc tls_begin(redisContext *c, const char *host, const char *name,
                  nadb_err *err) {
    (void)c;
    (void)host;
    return nadb_fail(err, NADB_INVALID, "redis server %s: no TLS in this build",
                     name);
}

#endif
