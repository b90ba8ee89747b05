// The least that three nodes do which acknowledge a record when a majority has it on disk: no
// protocol, no log, no elections. What a client waits for here, it waits for anywhere on this machine.
//
//   floor DIRECTORY [RATE] [SECONDS]
//
// Three processes and a client, over TCP. A record of 1 KiB goes to one node in turn, which writes it to
// its file (a thread of its own: O_DIRECT, O_DSYNC, over blocks that were written before; what comes
// meanwhile goes into the next write) and sends it to the two others, which do the same and answer
// when it is on disk. With its own write and one answer it is acknowledged. Latency counts from when a
// record was due. Prints milliseconds: p50, p99, p99.9, the largest.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { NODES = 3, RECORD = 1056, SLOTS = 1 << 16, FILE_BYTES = 64 << 20, JOURNAL = 8 << 20, ROOM = 16 << 20 };

static uint16_t ports[NODES];

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000ull + time.tv_nsec;
}

// As the nodes of Martlet run: a short slice of the scheduler, where the kernel knows it.
static void be_prompt(void) {
  struct {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
  } attributes = {0};
  if (syscall(SYS_sched_getattr, 0, &attributes, (unsigned)sizeof attributes, 0u) != 0) return;
  attributes.size = sizeof attributes;
  attributes.runtime = 200000;
  syscall(SYS_sched_setattr, 0, &attributes, 0u);
}

// A connection: what came, and what is to go.
struct link {
  int fd, peer;  // The peer's number; NODES is the client.
  size_t in, out, sent;
  char *input, *output;
};

// The journal: one thread writes what the other has gathered.
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t filled = PTHREAD_COND_INITIALIZER;
static char *gathered, *writing;
static size_t gathered_bytes;
static uint64_t gathered_count, durable_count;
static int bell;

static void *journal(void *path) {
  be_prompt();
  int file = open(path, O_RDWR | O_CREAT | O_DIRECT | O_DSYNC, 0600);
  if (file < 0) fail(path);
  memset(writing, 1, JOURNAL);
  for (off_t at = 0; at < FILE_BYTES; at += JOURNAL)
    if (pwrite(file, writing, JOURNAL, at) != JOURNAL) fail("writing");
  off_t position = 0;
  uint64_t one = 1;
  if (write(bell, &one, 8) != 8) fail("eventfd");
  for (;;) {
    pthread_mutex_lock(&lock);
    while (gathered_bytes == 0) pthread_cond_wait(&filled, &lock);
    size_t bytes = (gathered_bytes + 4095) & ~4095ul;
    uint64_t count = gathered_count;
    char *next = gathered;
    gathered = writing;
    writing = next;
    gathered_bytes = 0;
    pthread_mutex_unlock(&lock);
    if (position + (off_t)bytes > FILE_BYTES) position = 0;
    if (pwrite(file, writing, bytes, position) != (ssize_t)bytes) fail("writing");
    position += bytes;
    __atomic_store_n(&durable_count, count, __ATOMIC_RELEASE);
    if (write(bell, &one, 8) != 8) fail("eventfd");
  }
  return NULL;
}

static void append(const char *record) {
  if (gathered_bytes + RECORD > JOURNAL) fail("the journal is too slow for this rate");
  memcpy(gathered + gathered_bytes, record, RECORD);
  gathered_bytes += RECORD;
  gathered_count++;
}

static void put(struct link *link, const void *bytes, size_t count) {
  if (link->out + count > ROOM) {
    memmove(link->output, link->output + link->sent, link->out - link->sent);
    link->out -= link->sent;
    link->sent = 0;
    if (link->out + count > ROOM) fail("a connection is too slow for this rate");
  }
  memcpy(link->output + link->out, bytes, count);
  link->out += count;
}

static void flush(struct link *link) {
  if (!link || link->sent == link->out) return;
  ssize_t sent = send(link->fd, link->output + link->sent, link->out - link->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN) exit(0);
  if (sent > 0) link->sent += sent;
  if (link->sent == link->out) link->sent = link->out = 0;
}

static int is_whole(struct link *link, size_t size, size_t *at) { return link->in - *at >= size; }

static struct link *make_link(int fd, int peer) {
  struct link *link = calloc(1, sizeof *link);
  link->fd = fd;
  link->peer = peer;
  link->input = malloc(ROOM);
  link->output = malloc(ROOM);
  return link;
}

static void no_delay(int fd) {
  int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

static int dial(int node) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(ports[node])};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0) fail("connecting");
  no_delay(fd);
  return fd;
}

// Of a record on this node: its own, with the id to answer, or of a peer.
static struct { uint64_t id; int leader; } places[SLOTS];

static void run_node(int self, int listener, const char *directory) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  be_prompt();
  char path[4096];
  snprintf(path, sizeof path, "%s/%d", directory, self);
  if (posix_memalign((void **)&gathered, 4096, JOURNAL) || posix_memalign((void **)&writing, 4096, JOURNAL))
    fail("memory");
  bell = eventfd(0, EFD_NONBLOCK);
  pthread_t thread;
  pthread_create(&thread, NULL, journal, path);
  struct link *followers[NODES] = {0}, *leaders[NODES] = {0}, *client = NULL;
  int epoll = epoll_create1(0);
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
  epoll_ctl(epoll, EPOLL_CTL_ADD, bell, &event);
  event.data.ptr = &listener;
  epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
  for (int peer = 0; peer < NODES; peer++) {
    if (peer == self) continue;
    char hello = (char)self;
    followers[peer] = make_link(dial(peer), peer);
    if (send(followers[peer]->fd, &hello, 1, 0) != 1) fail("greeting");
    event.data.ptr = followers[peer];
    epoll_ctl(epoll, EPOLL_CTL_ADD, followers[peer]->fd, &event);
  }
  uint64_t looked = 0;                      // Of the journal, how many records were looked at.
  uint64_t has[NODES] = {0}, answered = 0;  // Of this node's own records: who has how many.
  uint64_t led = 0, taken[NODES] = {0};
  static uint64_t ids[SLOTS];
  for (;;) {
    struct epoll_event events[16];
    int count = epoll_wait(epoll, events, 16, -1);
    for (int index = 0; index < count; index++) {
      if (events[index].data.ptr == &listener) {
        int fd = accept(listener, NULL, NULL);
        char hello;
        if (fd < 0 || recv(fd, &hello, 1, MSG_WAITALL) != 1) fail("accepting");
        no_delay(fd);
        struct link *link = make_link(fd, hello);
        if (hello == NODES) client = link; else leaders[(int)hello] = link;
        event.data.ptr = link;
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
        continue;
      }
      struct link *link = events[index].data.ptr;
      if (!link) {
        uint64_t rung;
        if (read(bell, &rung, 8) != 8) fail("eventfd");
        continue;
      }
      ssize_t got = recv(link->fd, link->input + link->in, ROOM - link->in, MSG_DONTWAIT);
      if (got == 0) exit(0);
      if (got < 0) continue;
      link->in += got;
      size_t at = 0;
      if (link == followers[link->peer % NODES]) {
        for (; is_whole(link, 8, &at); at += 8) memcpy(&has[link->peer], link->input + at, 8);
      } else {
        pthread_mutex_lock(&lock);
        for (; is_whole(link, RECORD, &at); at += RECORD) {
          uint64_t place = gathered_count % SLOTS;
          append(link->input + at);
          places[place].leader = link == client ? self : link->peer;
          if (link != client) continue;
          memcpy(&ids[led++ % SLOTS], link->input + at, 8);
          for (int peer = 0; peer < NODES; peer++)
            if (peer != self) put(followers[peer], link->input + at, RECORD);
        }
        if (gathered_bytes > 0) pthread_cond_signal(&filled);
        pthread_mutex_unlock(&lock);
      }
      memmove(link->input, link->input + at, link->in - at);
      link->in -= at;
    }
    uint64_t durable = __atomic_load_n(&durable_count, __ATOMIC_ACQUIRE), before[NODES];
    memcpy(before, taken, sizeof before);
    for (; looked < durable; looked++) taken[places[looked % SLOTS].leader]++;
    has[self] = taken[self];
    for (int peer = 0; peer < NODES; peer++)
      if (peer != self && taken[peer] > before[peer]) put(leaders[peer], &taken[peer], 8);
    uint64_t a = has[0], b = has[1], c = has[2];
    uint64_t majority = a > b ? (b > c ? b : (a < c ? a : c)) : (a > c ? a : (b < c ? b : c));
    for (; answered < majority; answered++) put(client, &ids[answered % SLOTS], 8);
    for (int peer = 0; peer < NODES; peer++) {
      flush(followers[peer]);
      flush(leaders[peer]);
    }
    flush(client);
  }
}

static uint64_t first, interval, total, warm;
static uint32_t *latencies;  // Microseconds.
static int sockets[NODES];

static void *receive_all(void *unused) {
  (void)unused;
  int epoll = epoll_create1(0);
  for (int node = 0; node < NODES; node++) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = sockets[node]};
    epoll_ctl(epoll, EPOLL_CTL_ADD, sockets[node], &event);
  }
  for (uint64_t done = 0; done < total;) {
    struct epoll_event events[NODES];
    int count = epoll_wait(epoll, events, NODES, 10000);
    if (count <= 0) fail("nothing was acknowledged for 10 s");
    for (int index = 0; index < count; index++) {
      uint64_t ids[4096];
      ssize_t got = recv(events[index].data.fd, ids, 8, MSG_WAITALL);
      if (got != 8) fail("a node is gone");
      ssize_t more = recv(events[index].data.fd, ids + 1, sizeof ids - 8, MSG_DONTWAIT);
      // The rest of the last id is on its way.
      while (more > 0 && more % 8 != 0) {
        ssize_t rest = recv(events[index].data.fd, (char *)(ids + 1) + more, 8 - more % 8, MSG_WAITALL);
        if (rest <= 0) fail("a node is gone");
        more += rest;
      }
      uint64_t ended = now();
      for (ssize_t id = 0; id < 1 + (more > 0 ? more / 8 : 0); id++, done++)
        latencies[ids[id]] = (uint32_t)((ended - first - ids[id] * interval) / 1000);
    }
  }
  return NULL;
}

static int by_size(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return x < y ? -1 : x > y;
}

int main(int count, char **words) {
  if (count < 2) {
    fprintf(stderr, "floor takes DIRECTORY [RATE] [SECONDS].\n");
    return 2;
  }
  uint64_t rate = count > 2 ? strtoull(words[2], NULL, 10) : 10000;
  uint64_t seconds = count > 3 ? strtoull(words[3], NULL, 10) : 20;
  int listeners[NODES];
  for (int node = 0; node < NODES; node++) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listeners[node] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(listeners[node], (struct sockaddr *)&address, size) != 0 || listen(listeners[node], 8) != 0)
      fail("listening");
    getsockname(listeners[node], (struct sockaddr *)&address, &size);
    ports[node] = ntohs(address.sin_port);
  }
  for (int node = 0; node < NODES; node++)
    if (fork() == 0) run_node(node, listeners[node], words[1]);
  for (int node = 0; node < NODES; node++) {
    char hello = NODES;
    sockets[node] = dial(node);
    if (send(sockets[node], &hello, 1, 0) != 1) fail("greeting");
  }
  prctl(PR_SET_TIMERSLACK, 1);
  total = (seconds + 2) * rate;
  warm = 2 * rate;
  interval = 1000000000ull / rate;
  latencies = calloc(total, sizeof *latencies);
  // The files are written first.
  sleep(2);
  first = now() + 10000000;
  pthread_t receiver;
  pthread_create(&receiver, NULL, receive_all, NULL);
  static char record[RECORD];
  for (uint64_t number = 0; number < total; number++) {
    uint64_t due = first + number * interval, time = now();
    if (time < due) {
      struct timespec pause = {.tv_nsec = (long)(due - time)};
      nanosleep(&pause, NULL);
    }
    memcpy(record, &number, 8);
    for (size_t sent = 0; sent < RECORD;) {
      ssize_t more = send(sockets[number % NODES], record + sent, RECORD - sent, MSG_NOSIGNAL);
      if (more <= 0) fail("sending");
      sent += more;
    }
  }
  pthread_join(receiver, NULL);
  total -= warm;
  qsort(latencies + warm, total, sizeof *latencies, by_size);
  const double shares[] = {0.5, 0.99, 0.999, 1};
  for (int index = 0; index < 4; index++) {
    uint64_t place = (uint64_t)(shares[index] * (double)total);
    printf("%.3f%s", latencies[warm + (place < total ? place : total - 1)] / 1000.0, index < 3 ? " " : "\n");
  }
  return 0;
}
