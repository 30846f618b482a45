// The C library's streams: formats, modes, seeking, buffering, errors, and leaving in order.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void last(void) { puts("first registered, last called"); }
static void first(void) { puts("last registered, first called"); }

static void show(const char *path) {
    char buffer[128];
    FILE *f = fopen(path, "rb");
    if (!f) {
        printf("%s: %s\n", path, strerror(errno));
        return;
    }
    size_t n = fread(buffer, 1, sizeof buffer - 1, f);
    buffer[n] = 0;
    printf("%s: %zu bytes \"%s\" eof %d\n", path, n, buffer, feof(f) != 0);
    fclose(f);
}

int main(int argc, char **argv) {
    atexit(last);
    atexit(first);
    printf("%d %s %s\n", argc, argv[1], getenv("GREETING"));
    printf("%d %u %x %c %5.2f|%-5s|%05d %lld %g\n", -1, 2u, 255, 'c', 3.14159, "ab", 42, 1LL << 40, 1e-7);

    int a = 0, b = 0;
    char word[16];
    printf("scanf %d:", scanf("%d %d %15s", &a, &b, word));
    printf(" %d %d %s\n", a, b, word);
    int c = getchar();
    printf("then %d", c);
    ungetc('X', stdin);
    printf(" %c", getchar());
    char line[64];
    printf(" %s", fgets(line, sizeof line, stdin));
    while (fgets(line, sizeof line, stdin)) printf("line %s", line);
    printf("\neof %d error %d\n", feof(stdin) != 0, ferror(stdin) != 0);

    FILE *f = fopen("/t/text", "w+");
    fprintf(f, "one\ntwo\nthree\n");
    printf("at %ld\n", ftell(f));
    fseek(f, 4, SEEK_SET);
    printf("%s", fgets(line, sizeof line, f));
    fseek(f, 4, SEEK_SET);
    fputs("TWO", f);
    fseek(f, -6, SEEK_END);
    printf("%s", fgets(line, sizeof line, f));
    fclose(f);
    show("/t/text");
    f = fopen("/t/text", "a");
    fputs("four", f);
    fclose(f);
    f = fopen("/t/text", "r+");
    fputs("ONE", f);
    fclose(f);
    show("/t/text");
    f = fopen("/t/text", "r");
    printf("a write to \"r\" fails: %d\n", fputs("x", f) < 0 || fflush(f) != 0);
    fclose(f);
    printf("\"wx\" of what exists: %s\n", fopen("/t/text", "wx") ? "opened" : strerror(errno));
    printf("a directory to write: %s\n", fopen("/t", "w") ? "opened" : strerror(errno));
    show("/t/none");
    printf("rename %d\n", rename("/t/text", "/t/renamed"));
    show("/t/text");
    printf("remove %d\n", remove("/t/renamed"));
    printf("again %d\n", remove("/t/renamed"));
    perror("again");

    // A megabyte through a small buffer.
    f = fopen("/t/big", "wb+");
    setvbuf(f, NULL, _IOFBF, 100);
    for (unsigned i = 0; i < 262144; i++) fwrite(&i, sizeof i, 1, f);
    rewind(f);
    unsigned wrong = 0, value;
    for (unsigned i = 0; i < 262144; i++) wrong += fread(&value, sizeof value, 1, f) != 1 || value != i;
    printf("a megabyte: %u wrong, then eof %d\n", wrong, fgetc(f) == EOF);
    fclose(f);
    remove("/t/big");
    fputs("unbuffered ", stderr);
    fputs("stderr\n", stderr);
    return 3;
}
