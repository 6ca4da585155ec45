// SPDX-License-Identifier: BSD-3-Clause
// SSL_sendfile() ends in the C library's sendfile(2), which knows no descriptor of Leat's: this one stands before it.
#include <dlfcn.h>
#include <errno.h>
#include <unistd.h>
#include <leat/ssl.h>

/* Not from <sys/sendfile.h>, which may give the name to another symbol (_FILE_OFFSET_BITS). */
LEAT_API ssize_t sendfile(int out_fd, int in_fd, off_t *offset, size_t count);
typedef ssize_t (*sendfile_fn)(int out_fd, int in_fd, off_t *offset, size_t count);

static bool is_leat(int fd)
{
    int saved = errno;
    bool is = leat_fcntl(fd, F_GETFD) >= 0;
    errno = saved;
    return is;
}

static ssize_t next_sendfile(int out_fd, int in_fd, off_t *offset, size_t count)
{
    sendfile_fn next = (sendfile_fn)dlsym(RTLD_NEXT, "sendfile");
    if (!next) {
        errno = ENOSYS;
        return -1;
    }
    return next(out_fd, in_fd, offset, count);
}

/* Without an offset the file's own is used, and moves. What was queued before an error counts, as for write(2). */
static ssize_t send_from(int fd, int file, off_t *offset, size_t count)
{
    off_t sent = 0, from = offset ? *offset : lseek(file, 0, SEEK_CUR);
    if (from < 0 || count == 0)
        return from < 0 ? -1 : 0;
    int rc = leat_sendfile(file, fd, from, count, NULL, &sent, 0);
    if (rc < 0 && sent == 0)
        return -1;
    if (offset)
        *offset = from + sent;
    else
        lseek(file, from + sent, SEEK_SET);
    return (ssize_t)sent;
}

ssize_t sendfile(int out_fd, int in_fd, off_t *offset, size_t count)
{
    return is_leat(out_fd) ? send_from(out_fd, in_fd, offset, count)
                           : next_sendfile(out_fd, in_fd, offset, count);
}
