/* redis.h - the backend that keeps a store on a Redis server. */
#ifndef NADB_REDIS_H
#define NADB_REDIS_H

#include "../../core/backend.h"

extern const nadb_backend nadb_backend_redis;

#endif
