// SPDX-License-Identifier: BSD-3-Clause
// Files that are open. What was looked up is believed for a while (--trust), so that a request for what is asked for again and again makes
// no system call; small files are kept whole. Who is sending a file goes on with what it has opened, whatever stands at the path meanwhile.
#include "httpd.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUCKETS 1024u

static unsigned bucket_of(const char *path)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (; *path; path++)
        h = (h ^ (unsigned char)*path) * UINT64_C(0x100000001b3);
    return (unsigned)(h >> 32) % BUCKETS;
}

static void forget(struct files *fs, struct file *f)
{
    LIST_REMOVE(f, bucket);
    TAILQ_REMOVE(&fs->known, f, age);
    fs->n--;
    files_put(f);
}

static struct file *find(struct files *fs, const char *path)
{
    struct file *f;
    LIST_FOREACH (f, &fs->buckets[bucket_of(path)], bucket)
        if (strcmp(f->path, path) == 0)
            return f;
    return NULL;
}

/* The file itself, when it is small; sent with the header then. */
static void read_small(struct file *f)
{
    size_t size = (size_t)f->st.st_size;
    if (size > 0 && size <= FILE_SMALL && (f->body = malloc(size)) &&
        pread(f->fd, f->body, size, 0) != (ssize_t)size) {
        free(f->body);
        f->body = NULL;
    }
}

static void describe(struct file *f)
{
    char modified[32];
    etag_of(&f->st, f->etag);
    http_date(f->st.st_mtime, modified);
    f->type = path_type(f->path);
    f->head_len = snprintf(f->head, sizeof(f->head),
                           "Last-Modified: %s\r\nETag: %s\r\nAccept-Ranges: bytes\r\n", modified, f->etag);
}

static struct file *file_open(int root, const char *path, int *err)
{
    struct stat st;
    int fd = path_open(root, path, &st);
    size_t len = strlen(path) + 1;
    struct file *f = fd < 0 ? NULL : malloc(sizeof(*f) + len);
    *err = fd < 0 ? fd : -ENOMEM;
    if (!f) {
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    *f = (struct file){.fd = fd, .st = st, .users = 1};
    memcpy(f->path, path, len);
    if (S_ISREG(st.st_mode)) {
        describe(f);
        read_small(f);
    }
    return f;
}

static void keep(struct files *fs, struct file *f)
{
    f->until = leat_now() + fs->trust_ns;
    f->users++;
    LIST_INSERT_HEAD(&fs->buckets[bucket_of(f->path)], f, bucket);
    TAILQ_INSERT_TAIL(&fs->known, f, age);
    if (++fs->n > FILES_KNOWN)
        forget(fs, TAILQ_FIRST(&fs->known));
}

struct file *files_get(struct files *fs, int root, const char *path, int *err)
{
    struct file *f = fs->buckets ? find(fs, path) : NULL;
    if (f && leat_now() < f->until) {
        f->users++;
        return f;
    }
    if (f)
        forget(fs, f);
    f = file_open(root, path, err);
    if (f && fs->buckets && S_ISREG(f->st.st_mode))
        keep(fs, f);
    return f;
}

void files_put(struct file *f)
{
    if (--f->users > 0)
        return;
    close(f->fd);
    free(f->body);
    free(f);
}

bool files_init(struct files *fs, unsigned trust_ms)
{
    *fs = (struct files){.trust_ns = trust_ms * UINT64_C(1000000)};
    TAILQ_INIT(&fs->known);
    return trust_ms == 0 || (fs->buckets = calloc(BUCKETS, sizeof(*fs->buckets)));
}

void files_fini(struct files *fs)
{
    for (struct file *next, *f = TAILQ_FIRST(&fs->known); f; f = next) {
        next = TAILQ_NEXT(f, age);
        forget(fs, f);
    }
    free(fs->buckets);
    fs->buckets = NULL;
}
