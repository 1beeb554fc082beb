/* tags.h - tag lists: the tags of a row, sorted bytewise, without repeats.
 *
 *   | varint length | UTF-8 bytes | varint length | UTF-8 bytes | ..
 *
 * nadb.h declares the functions that convert them from and to JSON. */
#ifndef NADB_TAGS_H
#define NADB_TAGS_H

#include "../nadb.h"

/* Checks a tag list from disk. */
bool nadb_tags_valid(nadb_slice tags);

/* Takes the next tag off the front of *tags; false at the end. */
bool nadb_tags_next(nadb_slice *tags, nadb_slice *tag);

#endif
