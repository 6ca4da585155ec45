// SPDX-License-Identifier: BSD-3-Clause
// One direction of one connection as the workers see it, and the records that it gives them. Bytes under encryption are limited for each
// flow and for the engine: a flow that is refused waits by itself and slows nobody else.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/queue.h"
#include "tls/session.h"

struct tls_layer;
struct tls_flow;

/* A record that is to be sealed or opened. First member of what its flow keeps of a record. */
struct tls_job {
    TAILQ_ENTRY(tls_job) link; /* of its flow's queue, or of a worker's */
    struct tls_op op;
    struct tls_flow *flow;
    bool under_way; /* a worker has it */
};
TAILQ_HEAD(tls_job_list, tls_job);

struct tls_flow_ops {
    void (*done)(struct tls_job *j);     /* op.result is there */
    void (*go_on)(struct tls_flow *f);   /* hands over what waits */
    void (*release)(struct tls_flow *f); /* the last reference is gone */
};

struct tls_flow {
    struct tls_layer *l;
    const struct tls_flow_ops *ops;
    uint32_t refs;                       /* the socket and each record */
    uint32_t worker;                     /* all records go to the same one: order is kept */
    uint32_t under_way, bytes_under_way; /* at the worker; bytes: op.len */
    bool starved;
    TAILQ_ENTRY(tls_flow) starved_link;
};
TAILQ_HEAD(tls_flow_list, tls_flow);

void tls_flow_init(struct tls_flow *f, struct tls_layer *l, const struct tls_flow_ops *ops);
void tls_flow_put(struct tls_flow *f);
/* Does the engine itself work on a record of len bytes: no worker, or small and none of its own before it? */
bool tls_flow_inline(const struct tls_flow *f, uint32_t len);
/* False: not now; ops->go_on will be called when it is worth another try. */
bool tls_submit(struct tls_job *j);
/* It goes on in another turn. */
void tls_starve(struct tls_flow *f);
/* For workers: j has been worked on; back on the engine's thread. */
void tls_job_done(struct tls_job *j);
/* Lets starved flows go on. */
void tls_feed(struct tls_layer *l);
