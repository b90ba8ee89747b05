// A disk that forgets: one file, in memory, for a loop device to stand on.
//
//     forgetful-file MOUNTPOINT BYTES
//
// MOUNTPOINT/disk holds every write until a flush (fsync) covers it, as a drive's write cache does.
// Writing to MOUNTPOINT/control, a line each:
//
//     cut SEED PERCENT   the power fails: of the sectors that no flush has covered, each is dropped
//                        with that probability; all I/O fails from now on
//     fail               every flush fails with EIO, and covers nothing
//     slow MILLISECONDS  every write and every flush takes that much longer
//     heal               I/O works again, on what is left, at its own pace
//
// Reading MOUNTPOINT/control tells what the last cut found and dropped. Prints "ready" when mounted.
//
// (1) What a flush that returned success covers is never dropped.
// (2) A dropped sector has the content of the last flush; a kept one that of the last write.
#define FUSE_USE_VERSION 31
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { SECTOR = 512 };

static struct {
  pthread_mutex_t lock;
  size_t size;
  char *current;   // what a reader sees
  char *durable;   // what the last flush has left
  uint8_t *dirty;  // by sector: differs from `durable`
  int failing;
  int failing_flushes;
  unsigned delay;  // of writes and flushes, in milliseconds
  size_t found;
  size_t dropped;
} disk = {.lock = PTHREAD_MUTEX_INITIALIZER};

static uint64_t next_random(uint64_t *state) {
  uint64_t mixed = (*state += 0x9e3779b97f4a7c15);
  mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
  mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
  return mixed ^ (mixed >> 31);
}

// With the lock held. Drops each dirty sector with this probability, keeps the others for good.
static void settle(uint64_t seed, unsigned percent) {
  disk.found = disk.dropped = 0;
  for (size_t sector = 0; sector < disk.size / SECTOR; sector++) {
    if (!disk.dirty[sector]) continue;
    char *current = disk.current + sector * SECTOR;
    char *durable = disk.durable + sector * SECTOR;
    disk.found++;
    if (next_random(&seed) % 100 < percent) {
      memcpy(current, durable, SECTOR);
      disk.dropped++;
    } else {
      memcpy(durable, current, SECTOR);
    }
    disk.dirty[sector] = 0;
  }
}

// Without the lock.
static void take_time(void) {
  struct timespec span = {disk.delay / 1000, (long)(disk.delay % 1000) * 1000000};
  if (disk.delay) nanosleep(&span, NULL);
}

static int is_disk(const char *path) { return strcmp(path, "/disk") == 0; }
static int is_control(const char *path) { return strcmp(path, "/control") == 0; }

static int get_attributes(const char *path, struct stat *status, struct fuse_file_info *info) {
  (void)info;
  memset(status, 0, sizeof *status);
  status->st_nlink = 1;
  if (strcmp(path, "/") == 0) {
    status->st_mode = S_IFDIR | 0755;
  } else if (is_disk(path) || is_control(path)) {
    status->st_mode = S_IFREG | 0600;
    status->st_size = is_disk(path) ? (off_t)disk.size : 4096;
  } else {
    return -ENOENT;
  }
  return 0;
}

static int open_file(const char *path, struct fuse_file_info *info) {
  if (!is_disk(path) && !is_control(path)) return -ENOENT;
  info->direct_io = 1;  // no page cache between the loop device and us
  return 0;
}

static int read_file(
    const char *path, char *bytes, size_t count, off_t position, struct fuse_file_info *info) {
  (void)info;
  pthread_mutex_lock(&disk.lock);
  int result = -EIO;
  if (is_control(path)) {
    char text[128];
    int length = snprintf(text, sizeof text, "found %zu dropped %zu\n", disk.found, disk.dropped);
    result = position < length ? length - (int)position : 0;
    if ((size_t)result > count) result = (int)count;
    memcpy(bytes, text + (result ? position : 0), (size_t)result);
  } else if (!disk.failing) {
    if ((size_t)position > disk.size) position = (off_t)disk.size;
    if (count > disk.size - (size_t)position) count = disk.size - (size_t)position;
    memcpy(bytes, disk.current + position, count);
    result = (int)count;
  }
  pthread_mutex_unlock(&disk.lock);
  return result;
}

// With the lock held.
static int command(const char *bytes, size_t count) {
  char text[64] = "";
  if (count >= sizeof text) return -EINVAL;
  memcpy(text, bytes, count);
  unsigned long long seed;
  unsigned percent;
  if (sscanf(text, "cut %llu %u", &seed, &percent) == 2) {
    settle(seed, percent);
    disk.failing = 1;
  } else if (strncmp(text, "fail", 4) == 0) {
    disk.failing_flushes = 1;
  } else if (sscanf(text, "slow %u", &percent) == 1 && percent <= 10000) {
    disk.delay = percent;
  } else if (strncmp(text, "heal", 4) == 0) {
    disk.failing = disk.failing_flushes = 0;
    disk.delay = 0;
  } else {
    return -EINVAL;
  }
  return (int)count;
}

static int write_file(
    const char *path, const char *bytes, size_t count, off_t position,
    struct fuse_file_info *info) {
  (void)info;
  if (is_disk(path)) take_time();
  pthread_mutex_lock(&disk.lock);
  int result = -EIO;
  if (is_control(path)) {
    result = command(bytes, count);
  } else if (!disk.failing && count > 0 && (size_t)position < disk.size &&
             count <= disk.size - (size_t)position) {
    memcpy(disk.current + position, bytes, count);
    for (size_t sector = (size_t)position / SECTOR;
         sector <= ((size_t)position + count - 1) / SECTOR; sector++)
      disk.dirty[sector] = 1;
    result = (int)count;
  }
  pthread_mutex_unlock(&disk.lock);
  return result;
}

static int flush_file(const char *path, int only_data, struct fuse_file_info *info) {
  (void)only_data;
  (void)info;
  if (!is_disk(path)) return 0;
  take_time();
  pthread_mutex_lock(&disk.lock);
  int fails = disk.failing || disk.failing_flushes;
  int result = fails ? -EIO : 0;
  if (!fails) settle(0, 0);
  pthread_mutex_unlock(&disk.lock);
  return result;
}

static void *started(struct fuse_conn_info *connection, struct fuse_config *config) {
  (void)connection;
  (void)config;
  puts("ready");
  fflush(stdout);
  return NULL;
}

static char *memory(size_t count) {
  void *bytes = mmap(NULL, count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return bytes == MAP_FAILED ? NULL : bytes;
}

static const struct fuse_operations operations = {
    .init = started,
    .getattr = get_attributes,
    .open = open_file,
    .read = read_file,
    .write = write_file,
    .fsync = flush_file,
};

int main(int count, char *arguments[]) {
  disk.size = count == 3 ? strtoull(arguments[2], NULL, 10) / SECTOR * SECTOR : 0;
  if (disk.size == 0) {
    fprintf(stderr, "usage: forgetful-file MOUNTPOINT BYTES\n");
    return 2;
  }
  disk.current = memory(disk.size);
  disk.durable = memory(disk.size);
  disk.dirty = (uint8_t *)memory(disk.size / SECTOR);
  if (!disk.current || !disk.durable || !disk.dirty) {
    fprintf(stderr, "no memory for a disk of %zu bytes\n", disk.size);
    return 1;
  }
  char *options[] = {arguments[0], "-f", "-s", arguments[1]};
  return fuse_main(4, options, &operations, NULL);
}
