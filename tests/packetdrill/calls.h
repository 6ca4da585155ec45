// SPDX-License-Identifier: BSD-3-Clause
// A call of a script while it is made: its arguments, its result.
#pragma once
#include "player.h"

#define CALL_ARGS_MAX 8

struct call {
    struct player *p;
    const struct event *e;
    const struct value *arg[CALL_ARGS_MAX];
    unsigned n;
    int64_t result;
    int error;    /* errno after it */
    bool failed;  /* a message was written */
    bool waiting; /* it has an end time: must not block here */
};

/* Writes the call's first failure; returns false. */
bool call_wrong(struct call *c, const char *what);
int64_t call_integer(struct call *c, unsigned i);
/* The live descriptor of argument i; it becomes the one that code snippets ask about. */
int call_descriptor(struct call *c, unsigned i);
/* c->result is a new descriptor: the script's number stands for it from now on. plain: the system's (a file), not Leat's. */
void call_new_fd(struct call *c, bool plain);
/* Argument i as an address; "..." is otherwise and port. Returns its length. */
socklen_t call_address(struct call *c, unsigned i, const struct ip_addr *otherwise, uint16_t port,
                       struct sockaddr_storage *out);
const struct value *call_member(const struct value *s, const char *name);
void call_check_integer(struct call *c, const struct value *want, int64_t got, const char *what);

/* calls_data.c */
void call_recv(struct call *c);
void call_send(struct call *c);
void call_vector(struct call *c);
void call_message(struct call *c);
void call_open(struct call *c);
void call_sendfile(struct call *c);
