/* recompress.h - nadb_store_recompress() of nadb.h; for store_kv.c. */
#ifndef NADB_RECOMPRESS_H
#define NADB_RECOMPRESS_H

#include "kv.h"

nadb_rc kv_recompress(nadb_kv *kv, const nadb_stop *stop,
                      nadb_recompressed *out, nadb_err *err) NADB_MUST_USE;

#endif
