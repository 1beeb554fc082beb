/* memory_test.c - the memory backend (engine_model.h). */
#include "../../backends/memory/memory.h"
#include "../../core/options.h"
#include "engine_model.h"

static nadb_rc memory_open(nadb_engine **out, nadb_err *err) {
    static const nadb_options options; /* nothing is set */

    return nadb_backend_memory.engine_open(&options, out, err);
}

static const struct tested tested = {
    .open = memory_open,
    .conflict = "another transaction changed key 'bb': roll back and retry",
};

int main(void) {
    engine_model_run();
    return unit_done();
}
