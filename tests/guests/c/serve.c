// A server on the socket that it has from the start, with the C library's calls, and a directory besides.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define LISTENER 3

// Prints the call, what it returned and the errno that it left.
#define SHOW(call)                                                                         \
    do {                                                                                   \
        errno = 0;                                                                         \
        long long result = (call);                                                         \
        printf("%s = %lld %s\n", #call, result, errno ? strerror(errno) : "");             \
    } while (0)

int main(void) {
    char buffer[64] = {0};
    struct stat st;
    int type = 0;
    socklen_t length = sizeof type;
    SHOW(fstat(LISTENER, &st));
    printf("a socket: %d\n", S_ISSOCK(st.st_mode));
    SHOW(getsockopt(LISTENER, SOL_SOCKET, SO_TYPE, &type, &length));
    printf("of streams: %d\n", type == SOCK_STREAM);
    SHOW(read(LISTENER, buffer, 1));
    SHOW(write(LISTENER, buffer, 1));
    SHOW(lseek(LISTENER, 0, SEEK_SET));
    SHOW(accept(1, NULL, NULL));
    SHOW(recv(0, buffer, 1, 0));
    SHOW(send(1, buffer, 1, 0));
    SHOW(shutdown(LISTENER, SHUT_RDWR));
    // The directory is behind the socket.
    SHOW(open("/t/file", O_RDONLY) > LISTENER);

    struct pollfd fds = {.fd = LISTENER, .events = POLLIN};
    SHOW(poll(&fds, 1, 60000));
    SHOW(fds.revents == POLLIN);
    int fd = accept(LISTENER, NULL, NULL);
    printf("accepted: %d\n", fd > LISTENER);
    SHOW(fcntl(LISTENER, F_SETFL, O_NONBLOCK));
    SHOW(accept(LISTENER, NULL, NULL));

    fds.fd = fd;
    SHOW(poll(&fds, 1, 60000));
    SHOW(recv(fd, buffer, 5, MSG_PEEK) > 0);
    SHOW(recv(fd, buffer, 5, MSG_WAITALL));
    printf("%.5s\n", buffer);
    SHOW(recv(fd, buffer, 7, MSG_WAITALL));
    printf("%.7s\n", buffer);
    SHOW(send(fd, "answer", 6, 0));
    SHOW(recv(fd, buffer, 7, MSG_WAITALL));
    printf("%.3s\n", buffer);
    SHOW(recv(fd, buffer, 7, 0));
    SHOW(write(fd, ".", 1));
    SHOW(shutdown(fd, SHUT_WR));
    SHOW(send(fd, "more", 4, 0));
    SHOW(shutdown(fd, 0));
    SHOW(close(fd));
    SHOW(recv(fd, buffer, 1, 0));
    return 0;
}
