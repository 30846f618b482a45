// POSIX calls as the C library makes them from WASI's.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

// Prints the call, what it returned and the errno that it left.
#define SHOW(call)                                                                         \
    do {                                                                                   \
        errno = 0;                                                                         \
        long long result = (call);                                                         \
        printf("%s = %lld %s\n", #call, result, errno ? strerror(errno) : "");             \
    } while (0)

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static void list(DIR *dir) {
    char *names[32];
    size_t n = 0;
    for (struct dirent *entry; n < 32 && (entry = readdir(dir));) names[n++] = strdup(entry->d_name);
    qsort(names, n, sizeof *names, by_name);
    for (size_t i = 0; i < n; i++) {
        printf("%s ", names[i]);
        free(names[i]);
    }
    printf("(%zu)\n", n);
}

int main(void) {
    char buffer[64] = {0};
    int fd = open("/t/file", O_CREAT | O_EXCL | O_RDWR, 0666);
    printf("opened %d\n", fd > 2);
    SHOW(open("/t/file", O_CREAT | O_EXCL | O_RDWR, 0666));
    struct iovec parts[] = {{"gath", 4}, {"", 0}, {"ered", 4}};
    SHOW(writev(fd, parts, 3));
    SHOW(lseek(fd, 2, SEEK_SET));
    struct iovec into[] = {{buffer, 2}, {buffer + 2, 20}};
    SHOW(readv(fd, into, 2));
    puts(buffer);
    SHOW(pwrite(fd, "PW", 2, 1));
    SHOW(pread(fd, buffer, 4, 0));
    puts(buffer);
    SHOW(lseek(fd, 0, SEEK_CUR));
    SHOW(lseek(fd, -100, SEEK_CUR));
    SHOW(fcntl(fd, F_GETFL) & (O_APPEND | O_ACCMODE));
    SHOW(fcntl(fd, F_SETFL, O_APPEND));
    SHOW(lseek(fd, 0, SEEK_SET));
    SHOW(write(fd, "+end", 4));
    SHOW(fcntl(fd, F_SETFL, 0));
    SHOW(ftruncate(fd, 3));
    SHOW(ftruncate(fd, -1));
    struct stat st;
    SHOW(fstat(fd, &st));
    printf("size %lld regular %d\n", (long long)st.st_size, S_ISREG(st.st_mode));
    SHOW(fsync(fd));
    SHOW(fdatasync(fd));
    SHOW(posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL));
    struct timespec times[2] = {{1000000000, 123456789}, {1500000000, 987654321}};
    SHOW(futimens(fd, times));
    SHOW(fstat(fd, &st));
    printf("%lld.%ld %lld.%ld\n", (long long)st.st_atim.tv_sec, st.st_atim.tv_nsec, (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
    SHOW(isatty(fd));
    SHOW(close(fd));
    SHOW(close(fd));
    SHOW(write(fd, "x", 1));

    SHOW(mkdir("/t/dir", 0777));
    SHOW(mkdir("/t/dir", 0777));
    SHOW(link("/t/file", "/t/dir/hard"));
    SHOW(symlink("dir/hard", "/t/soft"));
    memset(buffer, 0, sizeof buffer);
    SHOW(readlink("/t/soft", buffer, sizeof buffer));
    puts(buffer);
    SHOW(lstat("/t/soft", &st));
    printf("link %d\n", S_ISLNK(st.st_mode));
    SHOW(stat("/t/soft", &st));
    printf("regular %d, %llu links\n", S_ISREG(st.st_mode), (unsigned long long)st.st_nlink);
    SHOW(open("/t/soft", O_RDONLY | O_NOFOLLOW));
    SHOW(open("/t/file", O_RDONLY | O_DIRECTORY));
    SHOW(open("/t/dir", O_RDWR));
    SHOW(access("/t/file", R_OK | W_OK));
    SHOW(access("/t/none", F_OK));
    SHOW(rename("/t/dir", "/t/soft/x"));
    SHOW(rename("/t/dir", "/t/moved"));
    SHOW(rmdir("/t/moved"));
    SHOW(unlink("/t/moved"));

    for (int i = 0; i < 5; i++) {
        sprintf(buffer, "/t/moved/%d", i);
        close(open(buffer, O_CREAT | O_WRONLY, 0666));
    }
    DIR *dir = opendir("/t/moved");
    list(dir);
    rewinddir(dir);
    readdir(dir);
    readdir(dir);
    long place = telldir(dir);
    char third[16];
    strcpy(third, readdir(dir)->d_name);
    while (readdir(dir)) {}
    seekdir(dir, place);
    printf("seekdir finds the same: %d\n", strcmp(third, readdir(dir)->d_name) == 0);
    closedir(dir);
    for (int i = 0; i < 5; i++) {
        sprintf(buffer, "/t/moved/%d", i);
        unlink(buffer);
    }
    SHOW(unlink("/t/moved/hard"));
    SHOW(rmdir("/t/moved"));
    SHOW(stat("/t/soft", &st));
    SHOW(unlink("/t/soft"));
    int at = open("/t", O_RDONLY | O_DIRECTORY);
    SHOW(mkdirat(at, "sub", 0777));
    SHOW(renameat(at, "file", at, "sub/file"));
    SHOW(unlinkat(at, "sub/file", 0));
    SHOW(unlinkat(at, "sub", AT_REMOVEDIR));
    close(at);
    SHOW(chdir("/t"));
    SHOW(opendir("/t/none") != NULL);

    struct timespec before, after, nap = {0, 20000000};
    clock_gettime(CLOCK_MONOTONIC, &before);
    SHOW(nanosleep(&nap, NULL));
    clock_gettime(CLOCK_MONOTONIC, &after);
    long long slept = (after.tv_sec - before.tv_sec) * 1000000000LL + after.tv_nsec - before.tv_nsec;
    printf("slept 20 ms: %d\n", slept >= 20000000);
    struct timeval tv;
    SHOW(gettimeofday(&tv, NULL));
    printf("this century: %d\n", tv.tv_sec > 1704067200);
    SHOW(sched_yield());
    SHOW(getentropy(buffer, 32));
    struct pollfd fds[] = {{0, POLLIN, 0}, {1, POLLOUT, 0}};
    SHOW(poll(fds, 2, 60000) > 0);
    printf("stdout writable: %d\n", (fds[1].revents & POLLOUT) != 0);
    SHOW(poll(NULL, 0, 5));
    fd_set writable;
    FD_ZERO(&writable);
    FD_SET(1, &writable);
    struct timeval timeout = {60, 0};
    SHOW(select(2, NULL, &writable, NULL, &timeout));
    return 0;
}
