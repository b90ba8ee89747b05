#pragma once
// What Swift's Glibc module does not export: epoll, eventfd, timerfd, sendfile, and the file
// calls that the log's disk driver needs. Headers only; the C library is linked anyway.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <unistd.h>

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
static inline int martlet_direct_flag(void) { return O_DIRECT; }
static inline ssize_t martlet_pwritev_dsync(
    int fd, const struct iovec *parts, int count, off_t position) {
  return pwritev2(fd, parts, count, position, RWF_DSYNC);
}
static inline ssize_t martlet_preadv_nowait(
    int fd, const struct iovec *parts, int count, off_t position) {
  return preadv2(fd, parts, count, position, RWF_NOWAIT);
}
