/* A disk that fails and a clock that is wrong, for the processes that this is preloaded into (LD_PRELOAD).
 *
 *   FAULT_BELOW   the folder whose files fail
 *   FAULT_STATE   a file of 16 bytes that all processes share: bytes written below the folder, calls made there
 *   FAULT_BYTES   the disk is full after so many bytes (ENOSPC)
 *   FAULT_CALL    the call of this number fails (EIO); reading, writing, opening, moving, syncing count
 *   FAULT_SLOW    every call waits up to so many microseconds
 *   FAULT_CLOCK   seconds that the time of day is off by
 *
 * What stdio writes inside the C library does not pass here; Python and C++ streams do. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static struct { _Atomic uint64_t bytes, calls; } own, *state = &own;
static const char *below;
static uint64_t full = UINT64_MAX, failing, slow;
static time_t off;

__attribute__((constructor)) static void begin(void) {
    const char *text;
    if ((text = getenv("FAULT_BYTES"))) full = strtoull(text, NULL, 10);
    if ((text = getenv("FAULT_CALL"))) failing = strtoull(text, NULL, 10);
    if ((text = getenv("FAULT_SLOW"))) slow = strtoull(text, NULL, 10);
    if ((text = getenv("FAULT_CLOCK"))) off = strtoll(text, NULL, 10);
    if ((text = getenv("FAULT_STATE"))) {
        int file = syscall(SYS_openat, AT_FDCWD, text, O_RDWR | O_CLOEXEC);
        void *mapped = file < 0 ? MAP_FAILED : mmap(NULL, sizeof own, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        if (mapped != MAP_FAILED) state = mapped;
        if (file >= 0) syscall(SYS_close, file);
    }
    below = getenv("FAULT_BELOW");
}

static int is_below(const char *path) {
    char here[PATH_MAX];
    if (!below || !path) return 0;
    if (path[0] != '/') path = syscall(SYS_getcwd, here, sizeof here) > 0 ? here : "";
    return strncmp(path, below, strlen(below)) == 0;
}

static int fd_is_below(int fd) {
    char link[40], path[PATH_MAX];
    if (!below) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof path - 1);
    if (size < 0 || path[0] != '/') return 0; /* a pipe, a socket */
    path[size] = 0;
    return is_below(path);
}

/* Counts a call below the folder; whether it fails. */
static int fails(void) {
    uint64_t call = ++state->calls;
    if (slow) {
        struct timespec wait = {0, 1000 * (long)(call * 2654435761u % slow)};
        nanosleep(&wait, NULL);
    }
    if (call != failing) return 0;
    errno = EIO;
    return 1;
}

/* How many of `size` bytes still fit; -1 with ENOSPC where none does. */
static ssize_t room(size_t size) {
    uint64_t before = state->bytes;
    if (before >= full && size) {
        errno = ENOSPC;
        return -1;
    }
    if (size > full - before) size = full - before;
    state->bytes += size;
    return size;
}

static int no_room(void) {
    if (state->bytes < full) return 0;
    errno = ENOSPC;
    return 1;
}

static int may_open(int at, const char *path, int flags) {
    if (!is_below(path)) return 1;
    if (fails()) return 0;
    return !((flags & O_CREAT) && syscall(SYS_faccessat, at, path, F_OK) != 0 && no_room());
}

#define MODE(flags) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | __O_TMPFILE)) { va_list rest; va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); }

int open(const char *path, int flags, ...) { MODE(flags) return may_open(AT_FDCWD, path, flags) ? NEXT(open)(path, flags, mode) : -1; }
int open64(const char *path, int flags, ...) { MODE(flags) return may_open(AT_FDCWD, path, flags) ? NEXT(open64)(path, flags, mode) : -1; }
int openat(int at, const char *path, int flags, ...) { MODE(flags) return may_open(at, path, flags) ? NEXT(openat)(at, path, flags, mode) : -1; }
int openat64(int at, const char *path, int flags, ...) { MODE(flags) return may_open(at, path, flags) ? NEXT(openat64)(at, path, flags, mode) : -1; }

ssize_t read(int fd, void *data, size_t size) { return fd_is_below(fd) && fails() ? -1 : NEXT(read)(fd, data, size); }

ssize_t write(int fd, const void *data, size_t size) {
    if (fd_is_below(fd)) {
        ssize_t fits = fails() ? -1 : room(size);
        if (fits < 0) return -1;
        size = fits;
    }
    return NEXT(write)(fd, data, size);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    size_t size = 0;
    for (int part = 0; part < count; part++) size += parts[part].iov_len;
    if (fd_is_below(fd) && (fails() || room(size) < 0)) return -1;
    return NEXT(writev)(fd, parts, count);
}

#define COPIES(name, ...) if (fd_is_below(to)) { ssize_t fits = fails() ? -1 : room(size); if (fits < 0) return -1; size = fits; } return NEXT(name)(__VA_ARGS__);
ssize_t sendfile(int to, int from, off_t *offset, size_t size) { COPIES(sendfile, to, from, offset, size) }
ssize_t sendfile64(int to, int from, off64_t *offset, size_t size) { COPIES(sendfile64, to, from, offset, size) }
ssize_t copy_file_range(int from, off64_t *in, int to, off64_t *out, size_t size, unsigned flags) { COPIES(copy_file_range, from, in, to, out, size, flags) }

int rename(const char *from, const char *to) { return is_below(to) && fails() ? -1 : NEXT(rename)(from, to); }
int renameat(int a, const char *from, int b, const char *to) { return is_below(to) && fails() ? -1 : NEXT(renameat)(a, from, b, to); }
int link(const char *from, const char *to) { return is_below(to) && (fails() || no_room()) ? -1 : NEXT(link)(from, to); }
int linkat(int a, const char *from, int b, const char *to, int flags) { return is_below(to) && (fails() || no_room()) ? -1 : NEXT(linkat)(a, from, b, to, flags); }
int mkdir(const char *path, mode_t mode) { return is_below(path) && (fails() || no_room()) ? -1 : NEXT(mkdir)(path, mode); }
int fsync(int fd) { return fd_is_below(fd) && (fails() || no_room()) ? -1 : NEXT(fsync)(fd); }
int fdatasync(int fd) { return fd_is_below(fd) && (fails() || no_room()) ? -1 : NEXT(fdatasync)(fd); }

int clock_gettime(clockid_t clock, struct timespec *now) {
    int done = syscall(SYS_clock_gettime, clock, now);
    if (done == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += off;
    return done;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec exact;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &exact)) return -1;
    now->tv_sec = exact.tv_sec, now->tv_usec = exact.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *there) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (there) *there = now.tv_sec;
    return now.tv_sec;
}
