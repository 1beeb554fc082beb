/* map.h - makes an engine of a backend that is a map (nadb_map_ops). */
#ifndef NADB_MAP_H
#define NADB_MAP_H

#include "../backend.h"

/* Opens a store of the map. REQUIRES: all operations that are not optional. */
nadb_rc nadb_map_open(const nadb_options *options, const nadb_map_ops *ops,
                      nadb_engine **out, nadb_err *err) NADB_MUST_USE;

#endif
