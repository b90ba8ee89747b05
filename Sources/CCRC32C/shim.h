#pragma once
// CRC-32C by the CPU's own instruction (SSE 4.2, ARMv8 CRC), which Swift cannot spell. Three
// independent streams hide the instruction's latency of three cycles; their remainders are joined
// with a table that advances a CRC over a fixed number of zero bytes (built by the caller, see
// Bytes/CRC32C.swift). Headers only: there is nothing to link.
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#define MARTLET_CRC_TARGET __attribute__((target("sse4.2")))
#define MARTLET_CRC64(crc, word) __builtin_ia32_crc32di((crc), (word))
#define MARTLET_CRC8(crc, byte) __builtin_ia32_crc32qi((uint32_t)(crc), (byte))
static inline int martlet_crc32c_available(void) {
  return __builtin_cpu_supports("sse4.2") ? 1 : 0;
}
#elif defined(__aarch64__)
#define MARTLET_CRC_TARGET __attribute__((target("crc")))
#define MARTLET_CRC64(crc, word) __builtin_arm_crc32cd((uint32_t)(crc), (word))
#define MARTLET_CRC8(crc, byte) __builtin_arm_crc32cb((uint32_t)(crc), (byte))
static inline int martlet_crc32c_available(void) { return 1; }
#else
static inline int martlet_crc32c_available(void) { return 0; }
#endif

// Bytes that each of the three streams covers before they are joined. A multiple of 8.
#define MARTLET_CRC_STREAM 1024

#ifdef MARTLET_CRC_TARGET
static inline uint64_t martlet_crc_shift(const uint32_t table[4][256], uint64_t crc) {
  return table[0][crc & 0xff] ^ table[1][(crc >> 8) & 0xff] ^ table[2][(crc >> 16) & 0xff] ^
         table[3][(crc >> 24) & 0xff];
}

// `table` advances a CRC over MARTLET_CRC_STREAM zero bytes: 4 rows of 256 words, flat.
MARTLET_CRC_TARGET static inline uint32_t martlet_crc32c(
    uint32_t crc_in, const void *bytes, size_t count, const uint32_t *flat_table) {
  const unsigned char *next = (const unsigned char *)bytes;
  const uint32_t(*table)[256] = (const uint32_t(*)[256])flat_table;
  uint64_t crc = crc_in ^ 0xffffffffu;
  uint64_t a, b, c;
  while (count >= 3 * MARTLET_CRC_STREAM) {
    uint64_t crc1 = 0, crc2 = 0;
    const unsigned char *end = next + MARTLET_CRC_STREAM;
    do {
      memcpy(&a, next, 8);
      memcpy(&b, next + MARTLET_CRC_STREAM, 8);
      memcpy(&c, next + 2 * MARTLET_CRC_STREAM, 8);
      crc = MARTLET_CRC64(crc, a);
      crc1 = MARTLET_CRC64(crc1, b);
      crc2 = MARTLET_CRC64(crc2, c);
      next += 8;
    } while (next < end);
    crc = martlet_crc_shift(table, crc) ^ crc1;
    crc = martlet_crc_shift(table, crc) ^ crc2;
    next += 2 * MARTLET_CRC_STREAM;
    count -= 3 * MARTLET_CRC_STREAM;
  }
  while (count >= 8) {
    memcpy(&a, next, 8);
    crc = MARTLET_CRC64(crc, a);
    next += 8;
    count -= 8;
  }
  while (count > 0) {
    crc = MARTLET_CRC8(crc, *next);
    next++;
    count--;
  }
  return (uint32_t)crc ^ 0xffffffffu;
}
#else
static inline uint32_t martlet_crc32c(
    uint32_t crc, const void *bytes, size_t count, const uint32_t *table) {
  (void)bytes; (void)count; (void)table;
  return crc;
}
#endif
