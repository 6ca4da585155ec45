// SPDX-License-Identifier: BSD-3-Clause
// Inside of the driver.
#pragma once
#include <stdatomic.h>
#include <rte_cryptodev.h>
#include <rte_spinlock.h>
#include "tls/aead.h"

#define CDEV_DEPTH     64   /* operations of a queue pair under way */
#define CDEV_PAIRS     16   /* queue pairs of a device at most */
#define CDEV_SESSIONS  4096 /* of a device */
#define CDEV_DEVICES   8
#define CDEV_IV_OFFSET (sizeof(struct rte_crypto_op) + sizeof(struct rte_crypto_sym_op))

/* Behind each operation, where the device can read it. */
struct cdev_op {
    uint8_t iv[16];  /* CCM: from its second byte on */
    uint8_t aad[32]; /* CCM: from byte 18 on (rte_crypto_sym.h) */
    uint8_t header[TLS_HEADER + 16];
    struct tls_op *op;
    struct tls_aead a;
    struct rte_mbuf m; /* the record, where it lies */
};

/* A thread keeps to one pair; more threads than pairs share. */
struct cdev_pair {
    rte_spinlock_t lock;
    uint16_t id;
    struct rte_crypto_op *ops[CDEV_DEPTH];
} __rte_cache_aligned;

struct cdev {
    uint8_t id;
    uint16_t n_pairs;
    atomic_bool failed; /* did not answer: stopped, not asked again */
    struct rte_mempool *sessions, *ops;
    struct cdev_pair pairs[CDEV_PAIRS];
};

struct cdev_state { /* a TLS session's */
    struct cdev *dev;
    void *session;
};

static inline struct cdev_op *cdev_op(struct rte_crypto_op *o)
{
    return rte_crypto_op_ctod_offset(o, struct cdev_op *, CDEV_IV_OFFSET);
}

/* device.c: the devices, configured and started at the first call. NULL beyond the last. */
struct cdev *cdev_at(unsigned i);
struct cdev_pair *cdev_my_pair(struct cdev *d);
/* It hangs: nothing that was given to it will be touched by it after this. */
void cdev_give_up(struct cdev *d);

/* ops.c: n records of sessions on d. */
void cdev_run(struct cdev *d, struct tls_op **ops, unsigned n);
