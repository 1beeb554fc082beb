/* corpus_main.c - runs a target over files, without libFuzzer, and then over
 * mixtures of them: what `make test` does (corpus.sh).
 *
 * usage: TARGET SEED ROUNDS FILE .. */
#include <stdio.h>
#include <string.h>

#include "fuzz.h"

#define INPUT_MOST 4096u

int LLVMFuzzerInitialize(int *argc, char ***argv);

static uint8_t input[INPUT_MOST];
static size_t input_n;
static uint64_t state;

static uint32_t chance(void) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33);
}

static void load(const char *path) {
    FILE *f = fopen(path, "rb");

    MUST(f != NULL);
    input_n = fread(input, 1, sizeof input, f);
    fclose(f);
}

/* The end of one file behind the begin of another, and some bytes changed. */
static void mix(const char *one, const char *other) {
    uint8_t begin[INPUT_MOST];
    size_t n, from;

    load(one);
    n = input_n == 0 ? 0 : chance() % input_n;
    memcpy(begin, input, n);
    load(other);
    from = input_n == 0 ? 0 : chance() % input_n;
    input_n -= from;
    if (input_n > INPUT_MOST - n) input_n = INPUT_MOST - n;
    memmove(input + n, input + from, input_n);
    memcpy(input, begin, n);
    input_n += n;
    for (uint32_t i = chance() % 4; i > 0 && input_n > 0; i--)
        input[chance() % input_n] = (uint8_t)chance();
}

int main(int argc, char **argv) {
    int rounds, files = argc - 3;
    char **file = argv + 3;

    MUST(argc > 3);
    state = strtoull(argv[1], NULL, 10);
    rounds = atoi(argv[2]);
    (void)LLVMFuzzerInitialize(&argc, &argv);
    for (int i = 0; i < files + rounds; i++) {
        if (i < files)
            load(file[i]);
        else
            mix(file[chance() % (unsigned)files],
                file[chance() % (unsigned)files]);
        printf("%d %s\n", i, i < files ? file[i] : "mixed");
        fflush(stdout); /* the last line says which one it was */
        (void)LLVMFuzzerTestOneInput(input, input_n);
    }
    return 0;
}
