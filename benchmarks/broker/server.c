/* Copyright (c) 2026 the fleet.rng authors
 * GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The least that serves EGD's command 02 on a unix socket: `server SOCKET`. It limits, tests and counts nothing; it is
 * what the broker is compared with.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MOST_FILES 65536

static unsigned char pool[65536];
static size_t used = sizeof pool;
static signed char *half; /* by descriptor: a command came whose size did not */

static void fail(const char *what)
{
    fprintf(stderr, "server: %s: %s\n", what, strerror(errno));
    exit(1);
}

static const unsigned char *take(size_t size)
{
    if (used + size > sizeof pool) {
        for (size_t got = 0; got < sizeof pool;) {
            ssize_t more = getrandom(pool + got, sizeof pool - got, 0);
            if (more < 0 && errno != EINTR)
                fail("getrandom");
            got += more > 0 ? more : 0;
        }
        used = 0;
    }
    used += size;
    return pool + used - size;
}

static void serve(int fd)
{
    unsigned char commands[4096];
    ssize_t got = recv(fd, commands, sizeof commands, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0) {
        close(fd);
        return;
    }
    for (ssize_t i = 0; i < got; i++) {
        if (!half[fd]) {
            if (commands[i] != 2) {
                close(fd);
                return;
            }
            half[fd] = 1;
        } else {
            half[fd] = 0;
            /* Waits for a client that does not read: there is none here */
            if (send(fd, take(commands[i]), commands[i], MSG_NOSIGNAL) != commands[i]) {
                close(fd);
                return;
            }
        }
    }
}

int main(int argc, char **argv)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct epoll_event events[512], event = {.events = EPOLLIN};
    struct rlimit files;
    if (argc != 2 || strlen(argv[1]) >= sizeof address.sun_path) {
        fprintf(stderr, "usage: server SOCKET\n");
        return 2;
    }
    getrlimit(RLIMIT_NOFILE, &files);
    if (files.rlim_max > MOST_FILES)
        files.rlim_max = MOST_FILES;
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    half = calloc(files.rlim_max, 1);
    strcpy(address.sun_path, argv[1]);
    unlink(argv[1]);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096))
        fail(argv[1]);
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    event.data.fd = listener;
    if (!half || epoll_fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event))
        fail("epoll");
    for (;;) {
        int count = epoll_wait(epoll_fd, events, 512, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd != listener) {
                serve(events[i].data.fd);
                continue;
            }
            for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0;) {
                half[fd] = 0;
                event.data.fd = fd;
                epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
            }
        }
    }
}
