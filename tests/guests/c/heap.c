// malloc over memory.grow: what is had is zero and keeps its content; what cannot be had is NULL, not a trap.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv) {
    size_t limit = argc > 1 ? strtoul(argv[1], NULL, 10) : 48;
    enum { BLOCK = 1 << 20 };
    unsigned char *blocks[4096];
    size_t n = 0;
    while (n < 4096 && n < limit && (blocks[n] = malloc(BLOCK))) {
        memset(blocks[n], (int)n, BLOCK);
        n++;
    }
    int whole = 1;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < BLOCK; j += 4093) whole &= blocks[i][j] == (unsigned char)i;
    if (argc > 2)
        printf("had enough before it ended: %d, all whole: %d\n", n >= strtoul(argv[2], NULL, 10) && n < limit, whole);
    else
        printf("%zu MiB, all whole: %d\n", n, whole);
    for (size_t i = 0; i < n; i++) free(blocks[i]);

    char *grown = malloc(16);
    strcpy(grown, "kept");
    for (size_t size = 32; size <= 8 << 20; size *= 2) grown = realloc(grown, size);
    printf("%s\n", grown);
    free(grown);
    unsigned char *zero = calloc(1, 4 << 20);
    size_t dirty = 0;
    for (size_t i = 0; zero && i < 4 << 20; i++) dirty += zero[i] != 0;
    printf("calloc: %zu bytes are not zero\n", dirty);
    free(zero);
    void *volatile huge = malloc((size_t)3 << 30);
    printf("3 GiB: %s\n", huge ? "had" : "NULL");
    return 0;
}
