/* memory.h - the backend that keeps everything in this process's memory. */
#ifndef NADB_MEMORY_H
#define NADB_MEMORY_H

#include "../../core/backend.h"

extern const nadb_backend nadb_backend_memory;

#endif
