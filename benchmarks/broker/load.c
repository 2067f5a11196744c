/* Copyright (c) 2026 the fleet.rng authors
 * GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Ask EGD servers on unix sockets for random bytes from many connections, and say how they answered, as one JSON
 * document. `load -h` names the options.
 *
 * Without a rate each connection has `depth` requests open and asks again as soon as one is answered, as QEMU does with
 * a depth of 1. With a rate requests are due at fixed times, and a latency counts from when its request was due: a server
 * that stops for a second is charged with every request that was due in that second, not only with one per connection.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define MAX_GROUPS 64
#define SUB_BITS 7 /* a bucket of the histogram is at most 1/128 of its value wide */
#define SUB (1 << SUB_BITS)
#define BUCKETS ((64 - SUB_BITS) * SUB + SUB)
#define SECOND 1000000000LL
#define SHORTEST_SLEEP 50000 /* nanoseconds: not a wake-up for every single request */

struct histogram {
    uint64_t count[BUCKETS], total;
    int64_t max;
};

struct group {
    const char *path;
    long connections, closed;
    uint64_t requests, bytes;
    int64_t gap, first, last;
    uint64_t *series;
    struct histogram latency;
};

struct connection {
    int fd, group;
    long number;       /* among all, gives its times */
    uint64_t due;      /* requests that should have been sent */
    uint64_t sent;     /* requests that were */
    uint64_t received; /* bytes */
    uint64_t answered; /* whole answers */
    int64_t last;      /* when the last answer came */
    int64_t *asked;    /* closed loop: when each open request was sent, a ring of `depth` */
};

static struct group groups[MAX_GROUPS];
static struct connection *all;
static int group_count;
static long connections = 1, size = 64, depth = 1, interval_ms = 0, slots;
static double rate = 0, seconds = 5, warm_up = 0, drain = 2;
static int64_t origin, begin, end;
static uint64_t errors, extra;
static int epoll_fd;
static unsigned char request_bytes[2 * 4096];
static struct histogram overall;

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * SECOND + t.tv_nsec;
}

static void fail(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int bucket_of(uint64_t value)
{
    int shift = 64 - SUB_BITS - 1 - __builtin_clzll(value | SUB);
    return shift <= 0 ? (int)value : shift * SUB + (int)(value >> shift);
}

static int64_t highest_of(int bucket)
{
    int shift = bucket < 2 * SUB ? 0 : bucket / SUB - 1;
    return (((int64_t)(bucket - shift * SUB) + 1) << shift) - 1;
}

static void record(struct histogram *h, int64_t value)
{
    if (value < 0)
        value = 0;
    h->count[bucket_of(value)]++;
    h->total++;
    if (value > h->max)
        h->max = value;
}

static double percentile(const struct histogram *h, double part)
{
    uint64_t seen = 0, wanted = (uint64_t)(part * h->total + 0.999999);
    for (int i = 0; i < BUCKETS; i++)
        if (h->count[i] && (seen += h->count[i]) >= wanted) {
            int64_t value = highest_of(i);
            return (value < h->max ? value : h->max) / 1e6;
        }
    return 0;
}

/* When request `number` of a connection is due. */
static int64_t intended(const struct connection *c, uint64_t number)
{
    return origin + (int64_t)(((double)number * connections + c->number) * (SECOND / rate));
}

static int64_t asked_at(const struct connection *c, uint64_t number)
{
    return rate > 0 ? intended(c, number) : c->asked[number % depth];
}

static void gone(struct connection *c)
{
    groups[c->group].closed++;
    close(c->fd);
    c->fd = -1;
}

static void gap_until(struct connection *c, int64_t t)
{
    int64_t since = c->answered < c->sent || rate > 0 ? asked_at(c, c->answered) : t;
    if (since < c->last)
        since = c->last;
    if (since < begin)
        since = begin;
    if (t - since > groups[c->group].gap)
        groups[c->group].gap = t - since;
}

static void send_due(struct connection *c, int64_t t)
{
    while (c->fd >= 0 && c->sent < c->due) {
        uint64_t count = c->due - c->sent;
        if (count > sizeof request_bytes / 2)
            count = sizeof request_bytes / 2;
        ssize_t done = send(c->fd, request_bytes, 2 * count, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (done < 0 && errno == EAGAIN)
            return; /* tried again with the next answer, or when the next request is due */
        if (done < 0) {
            errors++;
            gone(c);
            return;
        }
        if (done % 2) { /* half a request: unix sockets take two bytes or none, and so this is never seen */
            errors++;
            gone(c);
            return;
        }
        for (ssize_t i = 0; i < done / 2; i++, c->sent++)
            if (rate <= 0)
                c->asked[c->sent % depth] = t;
    }
}

static void answered(struct connection *c, int64_t t, uint64_t got)
{
    struct group *g = &groups[c->group];
    int counts = t >= begin && t < end;
    c->received += got;
    if (c->received > c->sent * size) { /* more than was asked for */
        extra += c->received - c->sent * size;
        c->received = c->sent * size;
    }
    if (counts) {
        g->bytes += got;
        if (!g->first)
            g->first = t;
        g->last = t;
        if (slots)
            g->series[(t - begin) / (interval_ms * 1000000)] += got;
    }
    while ((c->answered + 1) * size <= c->received) {
        int64_t since = asked_at(c, c->answered);
        if (rate > 0 ? since >= begin && since < end : counts) {
            record(&g->latency, t - since);
            g->requests++;
            gap_until(c, t);
        }
        c->answered++;
        c->last = t;
        if (rate <= 0 && t < end)
            c->due++;
    }
}

static void readable(struct connection *c)
{
    static unsigned char bytes[65536];
    for (;;) {
        ssize_t got = recv(c->fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (got < 0 && errno == EAGAIN)
            return;
        int64_t t = now();
        if (got <= 0) {
            if (got < 0)
                errors++;
            gone(c);
            return;
        }
        answered(c, t, got);
        send_due(c, t);
        if (c->fd < 0 || got < (ssize_t)sizeof bytes)
            return;
    }
}

static void connect_all(void)
{
    long number = 0;
    for (int g = 0; g < group_count; g++) {
        for (long i = 0; i < groups[g].connections; i++, number++) {
            struct connection *c = &all[number];
            struct sockaddr_un address = {.sun_family = AF_UNIX};
            strncpy(address.sun_path, groups[g].path, sizeof address.sun_path - 1);
            c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
            if (c->fd < 0)
                fail("socket");
            if (connect(c->fd, (struct sockaddr *)&address, sizeof address)) /* waits while the backlog is full */
                fail(groups[g].path);
            c->group = g;
            c->number = number;
            c->asked = calloc(depth, sizeof *c->asked);
            struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
            if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event))
                fail("epoll_ctl");
        }
    }
}

static void wait_for_events(int64_t until)
{
    struct epoll_event events[512];
    int64_t left = until - now();
    if (left < SHORTEST_SLEEP)
        left = SHORTEST_SLEEP;
    struct timespec timeout = {.tv_sec = left / SECOND, .tv_nsec = left % SECOND};
    int count = epoll_pwait2(epoll_fd, events, 512, &timeout, NULL);
    for (int i = 0; i < count; i++) {
        struct connection *c = events[i].data.ptr;
        if (c->fd >= 0)
            readable(c);
    }
}

static void run(void)
{
    int64_t t = now();
    uint64_t next = 0; /* open loop: the number of the next request of all */
    origin = t;
    begin = t + (int64_t)(warm_up * SECOND);
    end = begin + (int64_t)(seconds * SECOND);
    if (rate <= 0)
        for (long i = 0; i < connections; i++) {
            all[i].due = depth;
            send_due(&all[i], now());
        }
    while ((t = now()) < end) {
        int64_t until = end;
        if (rate > 0) {
            for (;; next++) {
                struct connection *c = &all[next % connections];
                if ((until = intended(c, next / connections)) > t || until >= end)
                    break;
                c->due = next / connections + 1;
                send_due(c, t);
            }
        }
        wait_for_events(until < end ? until : end);
    }
    for (int64_t last = end + (int64_t)(drain * SECOND); now() < last;) {
        int open = 0;
        for (long i = 0; i < connections && !open; i++)
            open = all[i].fd >= 0 && all[i].answered < all[i].due;
        if (!open)
            break;
        for (long i = 0; i < connections && rate > 0; i++)
            send_due(&all[i], now());
        wait_for_events(now() + SECOND / 20);
    }
}

static void print_latency(const struct histogram *h)
{
    printf("\"p50_ms\": %.4f, \"p90_ms\": %.4f, \"p99_ms\": %.4f, \"p999_ms\": %.4f, \"max_ms\": %.4f",
           percentile(h, 0.5), percentile(h, 0.9), percentile(h, 0.99), percentile(h, 0.999), h->max / 1e6);
}

static void print_result(void)
{
    uint64_t requests = 0, bytes = 0, unanswered = 0;
    long closed = 0;
    int64_t gap = 0, stop = now();
    for (long i = 0; i < connections; i++) {
        struct connection *c = &all[i];
        unanswered += c->due - c->answered;
        if (c->due > c->answered)
            gap_until(c, stop);
    }
    for (int i = 0; i < group_count; i++) {
        struct group *g = &groups[i];
        requests += g->requests;
        bytes += g->bytes;
        closed += g->closed;
        gap = g->gap > gap ? g->gap : gap;
        for (int j = 0; j < BUCKETS; j++)
            overall.count[j] += g->latency.count[j];
        overall.total += g->latency.total;
        overall.max = g->latency.max > overall.max ? g->latency.max : overall.max;
    }
    printf("{\"connections\": %ld, \"seconds\": %g, \"requests\": %lu, \"requests_per_second\": %.1f, \"bytes\": %lu, ",
           connections, seconds, requests, requests / seconds, bytes);
    print_latency(&overall);
    printf(", \"longest_gap_ms\": %.3f, \"unanswered\": %lu, \"extra_bytes\": %lu, \"closed\": %ld, \"errors\": %lu, "
           "\"groups\": [", gap / 1e6, unanswered, extra, closed, errors);
    for (int i = 0; i < group_count; i++) {
        struct group *g = &groups[i];
        printf("%s{\"socket\": \"%s\", \"connections\": %ld, \"requests\": %lu, \"bytes\": %lu, "
               "\"bytes_per_second\": %.2f, \"longest_gap_ms\": %.3f, \"closed\": %ld, ", i ? ", " : "", g->path,
               g->connections, g->requests, g->bytes, g->bytes / seconds, g->gap / 1e6, g->closed);
        print_latency(&g->latency);
        if (slots) {
            printf(", \"series\": [");
            for (long j = 0; j < slots; j++)
                printf("%s%lu", j ? ", " : "", g->series[j]);
            printf("]");
        }
        printf("}");
    }
    printf("]}\n");
}

static void usage(FILE *to)
{
    fprintf(to, "usage: load [options] SOCKET[,CONNECTIONS]...\n"
                "  -n N  connections over all sockets that do not say how many (1)\n"
                "  -b N  bytes of a request, 1 to 255 (64)\n"
                "  -t S  seconds that count (5)\n"
                "  -w S  seconds before them that do not (0)\n"
                "  -d N  open requests of a connection, without -r (1)\n"
                "  -r R  requests a second, all connections together (as fast as they are answered)\n"
                "  -e S  seconds to wait for the last answers (2)\n"
                "  -i MS also print the bytes of each interval of MS milliseconds\n");
}

static void options(int argc, char **argv)
{
    int option, without = 0;
    while ((option = getopt(argc, argv, "n:b:t:w:d:r:e:i:h")) != -1)
        switch (option) {
        case 'n': connections = atol(optarg); break;
        case 'b': size = atol(optarg); break;
        case 't': seconds = atof(optarg); break;
        case 'w': warm_up = atof(optarg); break;
        case 'd': depth = atol(optarg); break;
        case 'r': rate = atof(optarg); break;
        case 'e': drain = atof(optarg); break;
        case 'i': interval_ms = atol(optarg); break;
        default: usage(option == 'h' ? stdout : stderr); exit(option == 'h' ? 0 : 2);
        }
    for (; optind < argc && group_count < MAX_GROUPS; optind++, group_count++) {
        char *comma = strrchr(argv[optind], ',');
        groups[group_count].path = argv[optind];
        groups[group_count].connections = -1;
        if (comma) {
            *comma = 0;
            groups[group_count].connections = atol(comma + 1);
        } else
            without++;
    }
    if (!group_count || optind < argc || size < 1 || size > 255 || depth < 1 || seconds <= 0 || connections < 1) {
        usage(stderr);
        exit(2);
    }
    long left = connections, rest = without;
    connections = 0;
    for (int i = 0; i < group_count; i++) {
        if (groups[i].connections < 0) {
            groups[i].connections = left / rest + (left % rest > 0);
            left -= groups[i].connections;
            rest--;
        }
        connections += groups[i].connections;
    }
    slots = interval_ms > 0 ? (long)(seconds * 1000 / interval_ms) + 1 : 0;
    for (int i = 0; i < group_count && slots; i++)
        groups[i].series = calloc(slots, sizeof *groups[i].series);
    for (size_t i = 0; i < sizeof request_bytes; i += 2) {
        request_bytes[i] = 2;
        request_bytes[i + 1] = (unsigned char)size;
    }
}

int main(int argc, char **argv)
{
    struct rlimit files;
    options(argc, argv);
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    all = calloc(connections, sizeof *all);
    if (epoll_fd < 0 || !all)
        fail("start");
    connect_all();
    run();
    print_result();
    return 0;
}
