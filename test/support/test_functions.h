/* test_functions.h - SQL functions of the test library. ext/ calls this from
 * its entry point under #ifdef NADB_TEST, after SQLITE_EXTENSION_INIT2. */
#ifndef NADB_TEST_FUNCTIONS_H
#define NADB_TEST_FUNCTIONS_H

typedef struct sqlite3 sqlite3;

struct sqlite3_module;
extern const struct sqlite3_module test_gate_module; /* test_gate.c */

int test_terms_register(sqlite3 *db); /* test_terms.c */

/* Returns an SQLITE_* code. */
int nadb_test_register(sqlite3 *db);

#endif
