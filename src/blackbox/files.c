// SPDX-License-Identifier: BSD-3-Clause
#include "blackbox/files.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <zlib.h>
#include "base/alloc.h"
#include "blackbox/names.h"
#include "blackbox/pcapng.h"
#include "blackbox/stream.h"

#define OPEN_FILES 64           /* descriptors of connections that go on */
#define SERIES_MAX 4096         /* connections that go on; one that is forgotten begins a new file */
#define BUFFER     (256 * 1024) /* bytes written at a time */
#define PACKED     (32 * 1024)
#define FOLLOWERS  8
#define NAME_LEN   192

/* A connection's series of files. */
struct series {
    TAILQ_ENTRY(series) link;
    uint32_t incarnation, part, next_serial;
    int fd; /* -1: closed for want of descriptors, to be opened again */
    uint64_t bytes;
    char name[NAME_LEN]; /* of the present file */
};
TAILQ_HEAD(series_list, series);
/* A file that exists, oldest first. */
struct made {
    TAILQ_ENTRY(made) link;
    char name[NAME_LEN];
};
TAILQ_HEAD(made_list, made);

struct bb_files {
    struct bb_written *written;
    const char *(*stack_name)(uint8_t stackid);
    void (*finish)(const struct bb_record *r, struct tcp_log_buffer *out);
    const char *program;
    struct bb_names *names;
    char directory[192];
    uint64_t file_bytes;
    uint32_t engine, max_files, n_made, n_open, n_series;
    struct series_list open; /* least recently used first */
    struct made_list made;
    struct bb_stream *followers[FOLLOWERS];
    uint32_t n_followers;
    uint32_t gzip; /* level; 0: plain */
    z_stream z;
    size_t n; /* bytes in buffer */
    uint8_t buffer[BUFFER];
};

/* ---- files of connections ---- */

/* IDs come from applications: what is no plain character of a file name becomes an underscore. */
static void plain(char *to, size_t size, const char *from)
{
    size_t i = 0;
    for (; from[i] && i < size - 1; i++) {
        char c = from[i];
        bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                    (c == '.' && i > 0);
        to[i] = good ? c : '_';
    }
    to[i] = '\0';
}

static void file_name(const struct bb_files *f, const struct bb_dump *d, struct series *s)
{
    const struct tcp_log_header *h = &d->header;
    char id[TCP_LOG_ID_LEN], peer[INET6_ADDRSTRLEN];
    plain(id, sizeof(id), h->tlh_id);
    bool v4 = h->tlh_af == 2;
    inet_ntop(v4 ? AF_INET : AF_INET6, h->tlh_ie.ie_faddr + (v4 ? 12 : 0), peer, sizeof(peer));
    snprintf(s->name, sizeof(s->name), "%s_%u_%s_%u.e%u-%u.%u.pcapng%s", id, ntohs(h->tlh_ie.ie_lport), peer,
             ntohs(h->tlh_ie.ie_fport), f->engine, s->incarnation, s->part, f->gzip ? ".gz" : "");
}

static int open_in_directory(const struct bb_files *f, const char *name, int flags)
{
    char path[sizeof(f->directory) + NAME_LEN + 1];
    snprintf(path, sizeof(path), "%s/%s", f->directory, name);
    return open(path, flags | O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
}

static void remove_oldest(struct bb_files *f)
{
    struct made *m = TAILQ_FIRST(&f->made);
    char path[sizeof(f->directory) + NAME_LEN + 1];
    snprintf(path, sizeof(path), "%s/%s", f->directory, m->name);
    unlink(path);
    TAILQ_REMOVE(&f->made, m, link);
    mem_free(m);
    f->n_made--;
    f->written->removed++;
}

/* The new file counts; when there are too many the oldest goes. False: no memory to remember it by. */
static bool remember(struct bb_files *f, const char *name)
{
    struct made *m = mem_alloc(sizeof(*m));
    if (!m)
        return false;
    memcpy(m->name, name, sizeof(m->name));
    TAILQ_INSERT_TAIL(&f->made, m, link);
    if (++f->n_made > f->max_files)
        remove_oldest(f);
    return true;
}

static void series_close(struct bb_files *f, struct series *s)
{
    if (s->fd < 0)
        return;
    close(s->fd);
    s->fd = -1;
    f->n_open--;
}

static void series_forget(struct bb_files *f, struct series *s)
{
    series_close(f, s);
    TAILQ_REMOVE(&f->open, s, link);
    f->n_series--;
    mem_free(s);
}

/* One descriptor less; the series goes on in the same file when its connection dumps again. */
static void close_one(struct bb_files *f)
{
    struct series *s;
    TAILQ_FOREACH (s, &f->open, link) {
        if (s->fd >= 0) {
            series_close(f, s);
            return;
        }
    }
}

/* The next file of the series. What is there already, of an earlier process perhaps, stays. */
static bool series_begin(struct bb_files *f, const struct bb_dump *d, struct series *s)
{
    series_close(f, s);
    s->bytes = 0;
    do {
        s->part++;
        file_name(f, d, s);
        s->fd = open_in_directory(f, s->name, O_CREAT | O_EXCL);
    } while (s->fd < 0 && errno == EEXIST);
    return s->fd >= 0 && remember(f, s->name);
}

static bool series_ready(struct bb_files *f, const struct bb_dump *d, struct series *s)
{
    bool fresh = s->name[0] == '\0' || s->bytes >= f->file_bytes;
    if (!fresh && s->fd >= 0)
        return true;
    if (f->n_open >= OPEN_FILES)
        close_one(f);
    if (!fresh)
        s->fd = open_in_directory(f, s->name, 0);
    if ((fresh || s->fd < 0) && !series_begin(f, d, s))
        return false;
    f->n_open++;
    return true;
}

static struct series *series_of(struct bb_files *f, const struct bb_dump *d)
{
    struct series *s;
    TAILQ_FOREACH_REVERSE(s, &f->open, series_list, link)
    if (s->incarnation == d->incarnation)
        break;
    if (!s) {
        s = mem_alloc(sizeof(*s));
        if (!s)
            return NULL;
        s->incarnation = d->incarnation;
        s->next_serial = d->from;
        s->fd = -1;
        if (++f->n_series > SERIES_MAX)
            series_forget(f, TAILQ_FIRST(&f->open));
    } else {
        TAILQ_REMOVE(&f->open, s, link);
    }
    TAILQ_INSERT_TAIL(&f->open, s, link);
    return s;
}

/* ---- writing ---- */

struct sink {
    int fd;
    bool stream; /* a socket, whose reader may be gone */
    bool failed;
    z_stream *z; /* NULL: plain */
    uint64_t bytes;
};

static bool write_whole(const struct sink *to, const uint8_t *p, size_t n)
{
    while (n > 0) {
        ssize_t w = to->stream ? send(to->fd, p, n, MSG_NOSIGNAL) : write(to->fd, p, n);
        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0)
            return false;
        p += w;
        n -= (size_t)w;
    }
    return true;
}

static void out(struct sink *to, const uint8_t *p, size_t n)
{
    if (!to->failed && !write_whole(to, p, n))
        to->failed = true;
    to->bytes += n;
}

static void pack(struct sink *to, uint8_t *p, size_t n, int how)
{
    uint8_t packed[PACKED];
    to->z->next_in = p;
    to->z->avail_in = (uInt)n;
    do {
        to->z->next_out = packed;
        to->z->avail_out = sizeof(packed);
        deflate(to->z, how);
        out(to, packed, sizeof(packed) - to->z->avail_out);
    } while (to->z->avail_out == 0);
}

static void flush(struct bb_files *f, struct sink *to)
{
    if (to->z)
        pack(to, f->buffer, f->n, Z_NO_FLUSH);
    else
        out(to, f->buffer, f->n);
    f->n = 0;
}

static void encoder(const struct bb_files *f, const struct bb_dump *d, uint32_t serial, struct bb_encoder *en)
{
    bb_encoder_init(en, &d->header, f->stack_name, serial);
    en->program = f->program;
    en->finish = f->finish;
    en->local_name = bb_names_find(f->names, d->header.tlh_ie.ie_laddr);
    if (!en->local_name)
        en->local_name = bb_names_host(f->names);
    en->peer_name = bb_names_find(f->names, d->header.tlh_ie.ie_faddr);
}

static void write_records(struct bb_files *f, const struct bb_dump *d, struct bb_encoder *en, struct sink *to)
{
    const struct bb_chunk *c;
    STAILQ_FOREACH (c, &d->chunks, link) {
        for (uint16_t i = c->first; i < c->end; i++) {
            if (f->n + BB_ENCODED_MAX > BUFFER)
                flush(f, to);
            f->n += bb_encode(en, &c->r[i], f->buffer + f->n);
        }
    }
    if (f->n + BB_ENCODED_MAX > BUFFER)
        flush(f, to);
    if (d->last)
        f->n += bb_encode_end(en, d->serial, f->buffer + f->n);
    flush(f, to);
}

/* What was written of a dump goes again, so that the next one can be read; else a new file is begun. */
static void take_back(struct series *s)
{
    if (ftruncate(s->fd, (off_t)s->bytes) < 0)
        s->name[0] = '\0';
}

/* A member of gzip for each dump (RFC 1952 §2.2): whole as soon as it is written, and files go on where they ended. */
static void to_file(struct bb_files *f, const struct bb_dump *d)
{
    struct series *s = series_of(f, d);
    if (!s || !series_ready(f, d, s)) {
        f->written->errors += d->count;
        return;
    }
    struct bb_encoder en;
    struct sink to = {.fd = s->fd, .z = f->gzip ? &f->z : NULL};
    encoder(f, d, s->next_serial, &en);
    if (to.z)
        deflateReset(to.z);
    write_records(f, d, &en, &to);
    if (to.z)
        pack(&to, NULL, 0, Z_FINISH);
    if (to.failed) {
        take_back(s);
        f->written->errors += d->count;
    } else {
        s->bytes += to.bytes;
        s->next_serial = en.next_serial;
        f->written->records += d->count;
        f->written->bytes += to.bytes;
    }
    if (d->last)
        series_forget(f, s);
}

/* ---- followers ---- */

static void unfollow(struct bb_files *f, uint32_t i)
{
    bb_stream_put(f->followers[i]);
    f->followers[i] = f->followers[--f->n_followers];
    f->written->followers = f->n_followers;
}

static void to_follower(struct bb_files *f, const struct bb_dump *d, uint32_t i)
{
    struct bb_stream *s = f->followers[i];
    struct bb_encoder en;
    struct sink to = {.fd = s->fd, .stream = true};
    encoder(f, d, d->from, &en);
    pthread_mutex_lock(&s->lock);
    to.failed = s->gone;
    write_records(f, d, &en, &to);
    s->gone = to.failed;
    pthread_mutex_unlock(&s->lock);
    if (!to.failed)
        return;
    f->written->behind += d->count;
    unfollow(f, i);
}

static void follow(struct bb_files *f, struct bb_stream *s)
{
    if (f->n_followers == FOLLOWERS) {
        bb_stream_put(s);
        return;
    }
    f->followers[f->n_followers++] = s;
    f->written->followers = f->n_followers;
}

/* Has its reader gone, though there was nothing to tell it? */
static bool hung_up(const struct bb_stream *s)
{
    struct pollfd p = {.fd = s->fd, .events = POLLRDHUP};
    return poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

void bb_files_look(struct bb_files *f)
{
    for (uint32_t i = f->n_followers; i-- > 0;)
        if (hung_up(f->followers[i]))
            unfollow(f, i);
}

void bb_files_dump(struct bb_files *f, const struct bb_dump *d)
{
    if (d->follower) {
        follow(f, d->follower);
        return;
    }
    if (f->directory[0])
        to_file(f, d);
    for (uint32_t i = f->n_followers; i-- > 0;)
        to_follower(f, d, i);
}

/* ---- the directory as it was found ---- */

struct found {
    char name[NAME_LEN];
    struct timespec changed;
};

static int older(const void *a, const void *b)
{
    const struct timespec *x = &((const struct found *)a)->changed, *y = &((const struct found *)b)->changed;
    if (x->tv_sec != y->tv_sec)
        return x->tv_sec < y->tv_sec ? -1 : 1;
    return (x->tv_nsec > y->tv_nsec) - (x->tv_nsec < y->tv_nsec);
}

/* Files of this engine that an earlier process left count too: they are the first to go. */
static void look_around(struct bb_files *f)
{
    struct found *found = NULL;
    size_t n = 0, room = 0;
    char pattern[2][32];
    snprintf(pattern[0], sizeof(pattern[0]), "*.e%u-*.pcapng", f->engine);
    snprintf(pattern[1], sizeof(pattern[1]), "*.e%u-*.pcapng.gz", f->engine);
    DIR *dir = opendir(f->directory);
    for (struct dirent *e; dir && (e = readdir(dir)) != NULL;) {
        struct stat st;
        bool ours = fnmatch(pattern[0], e->d_name, 0) == 0 || fnmatch(pattern[1], e->d_name, 0) == 0;
        if (!ours || strlen(e->d_name) >= NAME_LEN ||
            fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        if (n == room) {
            struct found *more = realloc(found, (room = room ? 2 * room : 64) * sizeof(*found));
            if (!more)
                break;
            found = more;
        }
        strcpy(found[n].name, e->d_name);
        found[n++].changed = st.st_mtim;
    }
    if (dir)
        closedir(dir);
    if (n > 0)
        qsort(found, n, sizeof(*found), older);
    for (size_t i = 0; i < n; i++)
        remember(f, found[i].name);
    free(found);
}

static void *zalloc(void *arg, uInt n, uInt size)
{
    return mem_alloc((size_t)n * size);
}
static void zfree(void *arg, void *p)
{
    mem_free(p);
}

static bool gzip_ready(struct bb_files *f, uint32_t level)
{
    f->z.zalloc = zalloc;
    f->z.zfree = zfree;
    const int gzip = 15 + 16; /* window bits, and the format */
    if (level && deflateInit2(&f->z, (int)level, Z_DEFLATED, gzip, 8, Z_DEFAULT_STRATEGY) == Z_OK)
        f->gzip = level;
    return f->gzip == level;
}

struct bb_files *bb_files_new(const struct bb_layer *l, struct bb_written *written)
{
    struct bb_files *f = mem_alloc(sizeof(*f));
    if (!f)
        return NULL;
    TAILQ_INIT(&f->open);
    TAILQ_INIT(&f->made);
    f->names = bb_names_new(l->params.hosts);
    if (!f->names || !gzip_ready(f, l->params.gzip)) {
        bb_files_free(f);
        return NULL;
    }
    f->program = l->program;
    f->written = written;
    f->stack_name = l->env.stack_name;
    f->finish = l->env.finish;
    memcpy(f->directory, l->params.directory, sizeof(f->directory));
    f->file_bytes = l->params.file_bytes;
    f->max_files = l->params.files;
    f->engine = l->env.engine;
    if (f->directory[0])
        look_around(f);
    return f;
}

void bb_files_free(struct bb_files *f)
{
    struct series *s;
    struct made *m;
    while ((s = TAILQ_FIRST(&f->open)) != NULL)
        series_forget(f, s);
    while ((m = TAILQ_FIRST(&f->made)) != NULL) {
        TAILQ_REMOVE(&f->made, m, link);
        mem_free(m);
    }
    while (f->n_followers > 0)
        unfollow(f, 0);
    if (f->names)
        bb_names_free(f->names);
    if (f->gzip)
        deflateEnd(&f->z);
    mem_free(f);
}
