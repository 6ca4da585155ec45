// SPDX-License-Identifier: BSD-3-Clause
// What a writer writes to: a file for each connection, in a directory with limits, and streams of those who follow. Belongs to the
// writer's thread; knows nothing of the engine.
#pragma once
#include "blackbox/blackbox.h"

struct bb_files;

/* Settings as they are now; counts in *written. NULL: no memory. */
struct bb_files *bb_files_new(const struct bb_layer *l, struct bb_written *written);
void bb_files_free(struct bb_files *f);
/* Writes the dump wherever it is wanted, or takes a follower in. */
void bb_files_dump(struct bb_files *f, const struct bb_dump *d);
/* From time to time: lets followers go whose readers have gone. */
void bb_files_look(struct bb_files *f);
