#pragma once
// What Swift's Glibc module does not export: epoll, eventfd, timerfd, sendfile, and the file
// calls that the log's disk driver needs. Headers only; the C library is linked anyway.
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

// The headers declare these with _GNU_SOURCE only, which cannot be set here: Swift's Glibc module is
// built without it, and the two would disagree on fd_set.
ssize_t pwritev2(int, const struct iovec *, int, off_t, int);
int pipe2(int[2], int);
int accept4(int, struct sockaddr *__restrict, socklen_t *__restrict, int);
extern char **environ;
static inline char **martlet_environment(void) { return environ; }

// Variadic or macro-only in C, and so not imported by Swift.
static inline int martlet_open(const char *path, int flags, mode_t mode) {
  return open(path, flags, mode);
}
static inline int martlet_openat(int directory, const char *path, int flags, mode_t mode) {
  return openat(directory, path, flags, mode);
}
static inline void martlet_name_thread(const char *name) {
  prctl(PR_SET_NAME, name, 0, 0, 0);
}
// How much later than asked for the kernel may end a sleep of this thread, which is 50 us otherwise.
static inline void martlet_timer_slack(unsigned long nanoseconds) {
  prctl(PR_SET_TIMERSLACK, nanoseconds, 0, 0, 0);
}
// struct sched_attr of linux/sched/types.h, which glibc 2.36 does not declare. Everything but the
// slice stays as it is; a kernel before 6.12 ignores it, another policy has no slice.
static inline void martlet_schedule_slice(uint64_t nanoseconds) {
  struct {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
  } attributes = {0};
  if (syscall(SYS_sched_getattr, 0, &attributes, (unsigned)sizeof attributes, 0u) != 0) return;
  if (attributes.policy != 0) return;
  attributes.size = sizeof attributes;
  attributes.runtime = nanoseconds;
  syscall(SYS_sched_setattr, 0, &attributes, 0u);
}
// What the thread starts is ordinary again: SCHED_RESET_ON_FORK, which glibc hides.
static inline int martlet_schedule_fifo(int priority) {
  struct sched_param parameters = {.sched_priority = priority};
  return sched_setscheduler(0, SCHED_FIFO | 0x40000000, &parameters);
}
static inline int martlet_schedule_nice(int nice) {
  struct sched_param parameters = {.sched_priority = 0};
  if (sched_setscheduler(0, SCHED_OTHER | 0x40000000, &parameters) != 0) return -1;
  return setpriority(PRIO_PROCESS, 0, nice);
}
// The value is the kernel's (5.14), which glibc 2.36 does not name.
static inline int martlet_populate(void *memory, size_t count) {
  return madvise(memory, count, 23 /* MADV_POPULATE_WRITE */);
}
// Starts a program that the kernel kills when the calling thread ends, however that ends, which
// posix_spawn cannot; otherwise it is as ChildProcess has it. Between fork and exec nothing but system
// calls: other threads may have held any lock. Zero, or why it was not started.
static inline int martlet_spawn_bound(pid_t *started, char *const *words, const char *output) {
  int report[2], error = 0;
  if (pipe2(report, O_CLOEXEC) != 0) return errno;
  pid_t parent = getpid(), child = fork();
  if (child < 0) {
    error = errno;
    close(report[0]);
    close(report[1]);
    return error;
  }
  if (child == 0) {
    sigset_t none;
    sigemptyset(&none);
    int input = open("/dev/null", O_RDONLY), log = open(output, O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (input >= 0 && log >= 0 && dup2(input, 0) == 0 && dup2(log, 1) == 1 && dup2(1, 2) == 2
        && setpgid(0, 0) == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == 0
        && sigprocmask(SIG_SETMASK, &none, NULL) == 0) {
      if (input > 2) close(input);
      if (log > 2) close(log);
      // Whoever ended before the request is not waited for.
      if (getppid() == parent) execvp(words[0], words);
    }
    error = errno;
    ssize_t count = write(report[1], &error, sizeof error);
    _exit(count == sizeof error ? 126 : 127);
  }
  close(report[1]);
  // Its end is the program's beginning: then there is nothing to read.
  ssize_t count;
  while ((count = read(report[0], &error, sizeof error)) < 0 && errno == EINTR) {}
  close(report[0]);
  if (count == 0) {
    *started = child;
    return 0;
  }
  while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {}
  return error != 0 ? error : ECHILD;
}
static inline int martlet_direct_flag(void) { return __O_DIRECT; }

// With _GNU_SOURCE these take transparent unions, which Swift does not know.
static inline int martlet_accept(int fd, struct sockaddr_storage *peer, socklen_t *length) {
  return accept4(fd, (struct sockaddr *)peer, length, SOCK_NONBLOCK | SOCK_CLOEXEC);
}
static inline int martlet_bind(int fd, const struct sockaddr *address, socklen_t length) {
  return bind(fd, address, length);
}
static inline int martlet_duplicate(int fd) { return fcntl(fd, F_DUPFD_CLOEXEC, 0); }
static inline int martlet_local_port(int fd) {
  struct sockaddr_storage storage;
  socklen_t length = sizeof storage;
  if (getsockname(fd, (struct sockaddr *)&storage, &length) != 0) return -1;
  return ntohs(((struct sockaddr_in *)&storage)->sin_port);
}
static inline int martlet_stream_socket(int family) {
  return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}
static inline int martlet_connect(int fd, const void *address, socklen_t length) {
  return connect(fd, (const struct sockaddr *)address, length);
}
// Why a connection that was begun has failed; zero if it stands.
static inline int martlet_socket_error(int fd) {
  int error = 0;
  socklen_t length = sizeof error;
  return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0 ? error : errno;
}
