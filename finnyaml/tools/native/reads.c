/* What a process reads, and all its children: preloaded into workers, told in a log that the worker reads.
 *
 * $FINNYAML_READS names a folder. `state` in it (mapped by all processes) says whether anybody listens, `rules` what is
 * looked at, and `log` gets one line per observation:
 *
 *     <process> <what> <who> <result> <path>
 *
 * what: r opened to be read, l made a link's target, w made, emptied or removed, s asked for, k asked for as a link, d listed, g listed by a
 * pattern, q in the way or missing where it was to be made or removed, x executed, f could not be executed after all,
 * p a process began, e variable, t time, o time of which a date was made, n random, c network.
 * who: what Python was doing, see `who`; $ a program whose arguments name it. result: + or -. In a path, newline and
 * backslash are written \n and \\.
 *
 * Nothing here may disturb its host: errno is kept, nothing is allocated, and no signal, thread or fork matters.
 */
#define _GNU_SOURCE
#include <alloca.h>
#include <ctype.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <link.h>
#include <netinet/in.h>
#include <pthread.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define FOLDER "FINNYAML_READS="
#define PRELOAD "LD_PRELOAD="
#define QUIET __attribute__((tls_model("initial-exec")))
#define KEPT __attribute__((visibility("default")))

extern char **environ;

struct state {
    volatile uint32_t on, lost, job;
};
static struct state nobody, *state = &nobody;

static char folder[PATH_MAX + sizeof FOLDER];   /* as a variable */
static char preload[2 * PATH_MAX];              /* as a variable, this library alone */
static const char *self = preload + sizeof PRELOAD - 1;
static __thread int busy QUIET, loading QUIET;
static int is_worker;

/* ---- rules: which paths are looked at, whose code is whose ---- */

struct rule {
    char kind; /* + looked at, - not; l library, o ours, f FINN's, u the user's */
    const char *path;
    size_t length;
};
static struct rule *rules; /* ends with an empty one */

static int below(const char *path, const struct rule *rule) {
    return !strncmp(path, rule->path, rule->length) ||
           (!strncmp(path, rule->path, rule->length - 1) && !path[rule->length - 1]);
}

static char rule_of(const char *path, const char *kinds) { /* the most specific one */
    size_t longest = 0;
    char found = 0;
    for (struct rule *rule = rules; rule && rule->kind; rule++)
        if (rule->length > longest && strchr(kinds, rule->kind) && below(path, rule))
            longest = rule->length, found = rule->kind;
    return found;
}

static int looked_at(const char *path) {
    if (strstr(path, "/../") || strstr(path, "/./") || strstr(path, "//")) return 1; /* the worker tidies it */
    return rule_of(path, "+-") != '-';
}

/* ---- the log ---- */

static int log_fd = -1;
static uint64_t log_node[2];
static uint64_t told[8192];

static int open_log(void) {
    char path[PATH_MAX + 8];
    snprintf(path, sizeof path, "%s/log", folder + sizeof FOLDER - 1);
    int fd = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_APPEND | O_CLOEXEC, 0);
    int high = fd < 0 ? fd : (int)syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 900);
    if (high < 0) return fd;
    syscall(SYS_close, fd);
    return high;
}

static int is_log(int fd) { /* others close what they do not know, and get its number for a file of theirs */
    struct stat status;
    return fd >= 0 && !syscall(SYS_fstat, fd, &status) && status.st_dev == log_node[0] && status.st_ino == log_node[1];
}

static void put(int pid, char what, char who, int good, const char *path) {
    char head[64], text[2 * PATH_MAX];
    uint64_t hash = 1469598103934665603u ^ state->job ^ ((uint64_t)pid << 32);
    size_t length = 0;
    const char *from = path;
    for (; *from && length < sizeof text - 2; from++) {
        if (*from == '\n' || *from == '\\') text[length++] = '\\';
        text[length++] = *from == '\n' ? 'n' : *from;
        hash = (hash ^ (unsigned char)*from) * 1099511628211u;
    }
    if (*from) state->lost = 1; /* longer than any path */
    hash = (hash ^ (what << 16 ^ who << 8 ^ good)) * 1099511628211u;
    uint64_t *place = &told[hash >> 20 & (sizeof told / sizeof *told - 1)];
    int once = what != 'x' && what != 'f' && what != 'p';
    if (once && *place == hash) return;
    int size = snprintf(head, sizeof head, "%d %c %c %c ", pid, what, who, good ? '+' : '-');
    struct iovec parts[] = {{head, size}, {text, length}, {"\n", 1}};
    int own = is_log(log_fd), fd = own ? log_fd : open_log();
    if (fd < 0 || syscall(SYS_writev, fd, parts, 3) != (long)(size + length + 1)) state->lost = 1;
    else if (once) *place = hash;
    if (!own && fd >= 0) syscall(SYS_close, fd);
}

static int pid(void) { return syscall(SYS_getpid); }

/* ---- who asks, where that is Python ---- */

/* A thread's own frames stay as they are while it is here, so they are read as they lie in memory. Functions of Python
 * that do so need the interpreter's lock, and that cannot be waited for: who holds it may wait for what this thread has
 * locked. Where they lie is told for each Python 3.x, in bytes; of others nobody knows who asks. */
static const struct layout {
    int top, current; /* in a thread's state: the frame, or (unless -1) what has it at `current` */
    int code, previous, instruction; /* in a frame */
    int file, instructions; /* in its code */
} layouts[] = {[11] = {56, 8, 32, 48, 56, 112, 184}, [12] = {56, 0, 0, 8, 56, 112, 192}, [13] = {72, -1, 0, 8, 56, 112, 200}};
static const struct layout *layout;

#define TYPE 8 /* of any object */
#define AT(object, offset) (*(char **)((char *)(object) + (offset)))

static struct {
    int (*initialized)(void), (*line)(void *, int);
    void *(*thread)(void), *code;
    long (*length)(void *);
    uint32_t (*character)(void *, long);
} python;
static int has_python;

static void find_python(void) {
    struct {
        void *where;
        const char *name;
    } wanted[] = {{&python.initialized, "Py_IsInitialized"}, {&python.thread, "PyGILState_GetThisThreadState"},
                  {&python.code, "PyCode_Type"},             {&python.line, "PyCode_Addr2Line"},
                  {&python.length, "PyUnicode_GetLength"},   {&python.character, "PyUnicode_ReadChar"}};
    has_python = 1;
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        void *found = dlsym(RTLD_DEFAULT, wanted[i].name);
        memcpy(wanted[i].where, &found, sizeof found);
        has_python &= !!found;
    }
    unsigned long *version = dlsym(RTLD_DEFAULT, "Py_Version"), minor = version ? *version >> 16 & 0xff : 0;
    int known = version && *version >> 24 == 3 && minor < sizeof layouts / sizeof *layouts && layouts[minor].file;
    layout = known && sizeof(void *) == 8 ? &layouts[minor] : NULL;
}

static void text_of(void *text, char *into, size_t size) { /* as UTF-8, and bytes that are none as they were */
    char *end = into + size - 5;
    long length = python.length(text);
    for (long index = 0; index < length && into < end; index++) {
        uint32_t letter = python.character(text, index);
        int more = letter < 0x80 || (letter >= 0xdc80 && letter < 0xdd00) ? 0 : letter < 0x800 ? 1 : letter < 0x10000 ? 2 : 3;
        *into++ = more ? (0xff << (7 - more) & 0xff) | letter >> 6 * more : letter;
        while (more--) *into++ = 0x80 | (letter >> 6 * more & 0x3f);
    }
    *into = 0;
}

static int ends(const char *text, const char *end) {
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && !strcmp(text + length - tail, end);
}

static char whose(const char *file, int innermost, int unknowable) {
    if (!strncmp(file, "<frozen importlib", 17) || !strncmp(file, "<frozen zipimport", 17))
        return innermost ? 'm' : 'i';
    if (innermost && (ends(file, "/linecache.py") || ends(file, "/runpy.py") || !strncmp(file, "<frozen runpy", 13)))
        return 'm';
    if (*file == '<') return strcmp(file, "<string>") && strcmp(file, "<stdin>") ? 0 : 'u';
    if (unknowable && (ends(file, "/tempfile.py") || strstr(file, "/logging/") || strstr(file, "/multiprocessing/")))
        return 'o';
    char found = rule_of(file, "lofu");
    return found == 'l' ? 0 : found ? found : 'u';
}

/* m: finds or loads modules (or shows lines of them). i: a library that is being imported. o: finnyaml. f: FINN.
 * u: the user's code, or a library on its behalf; `place` gets the line. l: a library. b: Python itself, which begins.
 * ?: nobody known. -: not Python. `direct`: only the innermost code counts. */
static char who(char *place, size_t size, int unknowable, int direct) {
    if (!has_python) return '-';
    if (!python.initialized()) return 'b';
    char *thread = loading || !layout ? NULL : python.thread(), file[PATH_MAX], found = 0;
    if (!thread) return '?';
    char *frame = AT(thread, layout->top);
    if (frame && layout->current >= 0) frame = AT(frame, layout->current);
    int innermost = 1;
    for (; frame && !found && (innermost || !direct); frame = AT(frame, layout->previous)) {
        char *code = AT(frame, layout->code);
        if (!code || AT(code, TYPE) != python.code) continue; /* a frame of the interpreter's own */
        text_of(AT(code, layout->file), file, sizeof file);
        found = whose(file, innermost, unknowable);
        innermost = 0;
        if (found == 'u' && place)
            snprintf(place, size, "%s:%d", file, python.line(code, AT(frame, layout->instruction) - code - layout->instructions));
    }
    return found ? found : innermost ? '?' : 'l';
}

static int reseeds; /* Python's `random` does so in every forked child, on its own account */

static void forked(void) { reseeds = has_python; }

/* ---- notes ---- */

static void absolute(char *into, size_t size, int dir, const char *path) {
    char link[64], base[PATH_MAX] = "";
    if (!strncmp(path, "/proc/self/cwd/", 15)) path += 15, dir = AT_FDCWD;
    int number = !strncmp(path, "/proc/self/fd/", 14) ? 14 : !strncmp(path, "/dev/fd/", 8) ? 8 : 0;
    if (number && path[number]) {
        char *end;
        dir = strtol(path + number, &end, 10);
        path = end + (*end == '/');
    }
    if (*path == '/') {
        snprintf(into, size, "%s", path);
        return;
    }
    if (dir == AT_FDCWD) {
        if (syscall(SYS_getcwd, base, sizeof base) < 0) *base = 0;
    } else {
        snprintf(link, sizeof link, "/proc/self/fd/%d", dir);
        long length = syscall(SYS_readlinkat, AT_FDCWD, link, base, sizeof base - 1);
        base[length > 0 ? length : 0] = 0;
        if (*base != '/') snprintf(base, sizeof base, "%s", link); /* a pipe, say */
    }
    snprintf(into, size, *path ? "%s/%s" : "%s", base, path);
}

static void note(char what, int dir, const char *path, int good) {
    if (!state->on || busy || !path) return;
    int error = errno;
    busy = 1;
    char whole[2 * PATH_MAX];
    absolute(whole, sizeof whole, dir, path);
    if (looked_at(whole)) put(pid(), what, what == 'w' ? '-' : who(NULL, 0, 0, 0), good, whole);
    busy = 0;
    errno = error;
}

static int of_system(const char *path) {
    static const char *const folders[] = {"/lib/",     "/lib32/",     "/lib64/",     "/libx32/",
                                          "/usr/lib/", "/usr/lib32/", "/usr/lib64/", "/usr/libx32/"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        if (!strncmp(path, folders[i], strlen(folders[i]))) return 1;
    return 0;
}

static int third_party(void *caller) { /* libraries ask for the time all the time; Python does so for its code */
    Dl_info info;
    if (!dladdr(caller, &info) || !info.dli_fname) return 1;
    const char *name = info.dli_fname;
    if (strstr(name, "-packages/")) return 1;
    if (strstr(name, "libpython") || strstr(name, "lib-dynload") || strstr(name, "libffi")) return 0;
    return of_system(name);
}

static void program(char *into, size_t size) {
    long length = syscall(SYS_readlinkat, AT_FDCWD, "/proc/self/exe", into, size - 1);
    into[length > 0 ? length : 0] = 0;
}

static void unknowable(char what, void *caller) {
    if (!state->on || busy) return;
    int error = errno;
    busy = 1;
    int own = what == 'n' && reseeds, library = what == 't' && third_party(caller);
    if (own) reseeds = 0;
    else if (!library || has_python) { /* of a library the time counts where the user's own line calls it */
        char place[PATH_MAX + 16] = "";
        char asker = who(place, sizeof place, 1, library);
        if (asker == '-') program(place, sizeof place);
        if (asker == 'u' || asker == '-') put(pid(), what, asker, 1, place);
    }
    busy = 0;
    errno = error;
}

/* Programs ask for the time whatever they do. That it matters shows where they make a date of it. */
static volatile time_t first_told, last_told;

static void told_time(time_t now) {
    if (!first_told) first_told = now;
    last_told = now;
}

static void dated(const time_t *moment) {
    if (!has_python && first_told && moment && *moment >= first_told && *moment <= last_told) unknowable('o', NULL);
}

static struct {
    unsigned long long removed;
    size_t count;
} known; /* of the objects that are loaded: those of earlier jobs stay in the worker */

static int loaded_object(struct dl_phdr_info *info, size_t size, void *data) {
    (void)size;
    size_t *index = data;
    const char *name = info->dlpi_name;
    int old = (*index)++ < known.count && info->dlpi_subs == known.removed;
    if (!old && *name == '/' && strcmp(name, self) && !of_system(name))
        note('r', AT_FDCWD, name, 1);
    return 0;
}

static void loaded_objects(void) { /* the loader opens libraries by itself */
    if (!state->on) return;
    size_t index = 0;
    loading++;
    dl_iterate_phdr(loaded_object, &index);
    loading--;
}

static int count_object(struct dl_phdr_info *info, size_t size, void *data) {
    (void)size, (void)data;
    known.count++;
    known.removed = info->dlpi_subs;
    return 0;
}

/* ---- beginning and end ---- */

static void read_rules(void) {
    char path[PATH_MAX + 8];
    struct stat status;
    snprintf(path, sizeof path, "%s/rules", folder + sizeof FOLDER - 1);
    int fd = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0) return;
    if (!syscall(SYS_fstat, fd, &status) && status.st_size) {
        /* mapped for good: other threads may be reading the rules of the job before */
        char *text = mmap(NULL, status.st_size, PROT_READ, MAP_PRIVATE, fd, 0), *end = text + status.st_size;
        size_t count = 1;
        if (text != MAP_FAILED) {
            for (char *at = text; at < end; at += strlen(at) + 1) count++;
            struct rule *made = mmap(NULL, count * sizeof *made, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            if (made != MAP_FAILED) {
                size_t index = 0;
                for (char *at = text; at < end; at += strlen(at) + 1)
                    made[index++] = (struct rule){*at, at + 1, strlen(at + 1)};
                rules = made;
            }
        }
    }
    syscall(SYS_close, fd);
}

static void listen_to(const char *where) {
    char path[PATH_MAX + 8];
    struct stat status;
    snprintf(folder, sizeof folder, FOLDER "%s", where);
    snprintf(path, sizeof path, "%s/state", where);
    int fd = syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
    if (fd < 0) return;
    void *page = mmap(NULL, sizeof nobody, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    syscall(SYS_close, fd);
    if (page == MAP_FAILED) return;
    read_rules();
    log_fd = open_log();
    if (log_fd >= 0 && !syscall(SYS_fstat, log_fd, &status)) log_node[0] = status.st_dev, log_node[1] = status.st_ino;
    state = page;
}

/* For the worker: from now on, by these rules; and at the end what it has loaded meanwhile. */
KEPT void finnyaml_reads_begin(const char *where) {
    is_worker = 1;
    known.count = 0;
    dl_iterate_phdr(count_object, NULL);
    if (state == &nobody) listen_to(where);
    else read_rules();
}

KEPT void finnyaml_reads_end(void) { loaded_objects(); }

static int names(const char *text, const char *variable) { /* not as a part of a longer name */
    size_t length = strlen(variable);
    for (const char *at = text; (at = strstr(at, variable)); at += length)
        if ((at == text || !(isalnum(at[-1]) || at[-1] == '_')) && !(isalnum(at[length]) || at[length] == '_')) return 1;
    return 0;
}

__attribute__((constructor)) static void begin(int count, char **arguments) {
    Dl_info info;
    const char *where = getenv("FINNYAML_READS");
    if (!where || !*where || !dladdr((void *)begin, &info)) return;
    snprintf(preload, sizeof preload, PRELOAD "%s", info.dli_fname);
    snprintf(folder, sizeof folder, FOLDER "%s", where);
    find_python();
    pthread_atfork(NULL, NULL, forked);
    listen_to(where);
    if (!state->on) return;
    char name[PATH_MAX];
    program(name, sizeof name);
    put(pid(), 'p', '-', 1, name);
    for (int index = 1; index < count; index++) { /* variables of a shell that are never the same again */
        if (names(arguments[index], "RANDOM")) put(pid(), 'n', '$', 1, name);
        if (names(arguments[index], "EPOCHSECONDS") || names(arguments[index], "EPOCHREALTIME")) put(pid(), 't', '$', 1, name);
    }
    loaded_objects();
}

__attribute__((destructor)) static void end(void) { loaded_objects(); }

/* ---- what is put before the functions of the C library ---- */

#define TYPES(...) __VA_ARGS__
#define REAL(type, name, ...) \
    static type (*real)(__VA_ARGS__); \
    if (!real) real = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name)

static int exists(int dir, const char *path) {
    int error = errno, found = state->on && path && !syscall(SYS_faccessat, dir, path, F_OK);
    errno = error;
    return found;
}

static void opened(int dir, const char *path, int flags, int existed, int good) {
    int access = flags & O_ACCMODE;
    if (!state->on || (flags & O_TMPFILE) == O_TMPFILE) return;
    if (path && (!strcmp(path, "/dev/urandom") || !strcmp(path, "/dev/random"))) unknowable('n', NULL);
    else if (flags & O_PATH || (!good && flags & O_EXCL && existed)) note('s', dir, path, good || existed);
    else if (flags & O_TRUNC || (flags & O_CREAT && !existed)) {
        if (good) note('w', dir, path, 1);
    } else if (access != O_WRONLY) {
        note('r', dir, path, good);
        if (access == O_RDWR && good) note('w', dir, path, 1);
    }
}

static int flags_of(const char *mode) {
    int both = strchr(mode, '+') ? O_RDWR : 0;
    if (*mode == 'r') return both ? both : O_RDONLY;
    return (both ? both : O_WRONLY) | O_CREAT | (*mode == 'w' ? O_TRUNC : 0);
}

#define MODE \
    mode_t mode = 0; \
    if (flags & (O_CREAT | O_TMPFILE)) { \
        va_list more; \
        va_start(more, flags); \
        mode = va_arg(more, mode_t); \
        va_end(more); \
    }
#define EXISTED(dir) int existed = flags & O_CREAT ? exists(dir, path) : 0
#define OPEN(name) \
    KEPT int name(const char *path, int flags, ...) { \
        REAL(int, name, const char *, int, ...); \
        MODE EXISTED(AT_FDCWD); \
        int fd = real(path, flags, mode); \
        opened(AT_FDCWD, path, flags, existed, fd >= 0); \
        return fd; \
    }
#define OPENAT(name) \
    KEPT int name(int dir, const char *path, int flags, ...) { \
        REAL(int, name, int, const char *, int, ...); \
        MODE EXISTED(dir); \
        int fd = real(dir, path, flags, mode); \
        opened(dir, path, flags, existed, fd >= 0); \
        return fd; \
    }
#define OPEN_2(name) \
    KEPT int name(const char *path, int flags) { \
        REAL(int, name, const char *, int); \
        int fd = real(path, flags); \
        opened(AT_FDCWD, path, flags, 0, fd >= 0); \
        return fd; \
    }
#define OPENAT_2(name) \
    KEPT int name(int dir, const char *path, int flags) { \
        REAL(int, name, int, const char *, int); \
        int fd = real(dir, path, flags); \
        opened(dir, path, flags, 0, fd >= 0); \
        return fd; \
    }
#define CREAT(name) \
    KEPT int name(const char *path, mode_t mode) { \
        REAL(int, name, const char *, mode_t); \
        int fd = real(path, mode); \
        if (fd >= 0) note('w', AT_FDCWD, path, 1); \
        return fd; \
    }
#define FOPEN(name) \
    KEPT FILE *name(const char *path, const char *mode) { \
        REAL(FILE *, name, const char *, const char *); \
        int flags = flags_of(mode); \
        EXISTED(AT_FDCWD); \
        FILE *file = real(path, mode); \
        opened(AT_FDCWD, path, flags, existed, !!file); \
        return file; \
    }
#define FREOPEN(name) \
    KEPT FILE *name(const char *path, const char *mode, FILE *old) { \
        REAL(FILE *, name, const char *, const char *, FILE *); \
        int flags = flags_of(mode); \
        EXISTED(AT_FDCWD); \
        FILE *file = real(path, mode, old); \
        opened(AT_FDCWD, path, flags, existed, !!file); \
        return file; \
    }
OPEN(open) OPEN(open64) OPENAT(openat) OPENAT(openat64)
OPEN_2(__open_2) OPEN_2(__open64_2) OPENAT_2(__openat_2) OPENAT_2(__openat64_2)
CREAT(creat) CREAT(creat64) FOPEN(fopen) FOPEN(fopen64) FREOPEN(freopen) FREOPEN(freopen64)

KEPT int shm_open(const char *name, int flags, mode_t mode) {
    REAL(int, shm_open, const char *, int, mode_t);
    char path[PATH_MAX];
    snprintf(path, sizeof path, "/dev/shm/%s", name + (*name == '/'));
    EXISTED(AT_FDCWD);
    int fd = real(name, flags, mode);
    opened(AT_FDCWD, path, flags, existed, fd >= 0);
    return fd;
}

#define STAT(name, what) \
    KEPT int name(const char *path, void *into) { \
        REAL(int, name, const char *, void *); \
        int result = real(path, into); \
        note(what, AT_FDCWD, path, !result); \
        return result; \
    }
#define XSTAT(name, what) \
    KEPT int name(int version, const char *path, void *into) { \
        REAL(int, name, int, const char *, void *); \
        int result = real(version, path, into); \
        note(what, AT_FDCWD, path, !result); \
        return result; \
    }
#define FSTATAT(name) \
    KEPT int name(int dir, const char *path, void *into, int flags) { \
        REAL(int, name, int, const char *, void *, int); \
        int result = real(dir, path, into, flags); \
        if (path && *path) note(flags & AT_SYMLINK_NOFOLLOW ? 'k' : 's', dir, path, !result); \
        return result; \
    }
#define FXSTATAT(name) \
    KEPT int name(int version, int dir, const char *path, void *into, int flags) { \
        REAL(int, name, int, int, const char *, void *, int); \
        int result = real(version, dir, path, into, flags); \
        if (path && *path) note(flags & AT_SYMLINK_NOFOLLOW ? 'k' : 's', dir, path, !result); \
        return result; \
    }
STAT(stat, 's') STAT(stat64, 's') STAT(lstat, 'k') STAT(lstat64, 'k')
XSTAT(__xstat, 's') XSTAT(__xstat64, 's') XSTAT(__lxstat, 'k') XSTAT(__lxstat64, 'k')
FSTATAT(fstatat) FSTATAT(fstatat64) FXSTATAT(__fxstatat) FXSTATAT(__fxstatat64)

KEPT int statx(int dir, const char *path, int flags, unsigned mask, void *into) {
    REAL(int, statx, int, const char *, int, unsigned, void *);
    int result = real(dir, path, flags, mask, into);
    if (path && *path) note(flags & AT_SYMLINK_NOFOLLOW ? 'k' : 's', dir, path, !result);
    return result;
}

#define ACCESS(name) \
    KEPT int name(const char *path, int mode) { \
        REAL(int, name, const char *, int); \
        int result = real(path, mode); \
        note('s', AT_FDCWD, path, !result); \
        return result; \
    }
ACCESS(access) ACCESS(euidaccess) ACCESS(eaccess)

KEPT int faccessat(int dir, const char *path, int mode, int flags) {
    REAL(int, faccessat, int, const char *, int, int);
    int result = real(dir, path, mode, flags);
    note('s', dir, path, !result);
    return result;
}

KEPT ssize_t readlink(const char *path, char *into, size_t size) {
    REAL(ssize_t, readlink, const char *, char *, size_t);
    ssize_t length = real(path, into, size);
    note('k', AT_FDCWD, path, length >= 0);
    return length;
}

KEPT ssize_t readlinkat(int dir, const char *path, char *into, size_t size) {
    REAL(ssize_t, readlinkat, int, const char *, char *, size_t);
    ssize_t length = real(dir, path, into, size);
    if (path && *path) note('k', dir, path, length >= 0);
    return length;
}

KEPT ssize_t __readlink_chk(const char *path, char *into, size_t size, size_t room) {
    REAL(ssize_t, __readlink_chk, const char *, char *, size_t, size_t);
    ssize_t length = real(path, into, size, room);
    note('k', AT_FDCWD, path, length >= 0);
    return length;
}

KEPT ssize_t __readlinkat_chk(int dir, const char *path, char *into, size_t size, size_t room) {
    REAL(ssize_t, __readlinkat_chk, int, const char *, char *, size_t, size_t);
    ssize_t length = real(dir, path, into, size, room);
    if (path && *path) note('k', dir, path, length >= 0);
    return length;
}

static void followed(const char *path, const char *found) {
    note('k', AT_FDCWD, path, !!found);
    note('s', AT_FDCWD, path, !!found);
}

KEPT char *realpath(const char *path, char *into) {
    REAL(char *, realpath, const char *, char *);
    char *found = real(path, into);
    followed(path, found);
    return found;
}

KEPT char *__realpath_chk(const char *path, char *into, size_t room) {
    REAL(char *, __realpath_chk, const char *, char *, size_t);
    char *found = real(path, into, room);
    followed(path, found);
    return found;
}

KEPT char *canonicalize_file_name(const char *path) {
    REAL(char *, canonicalize_file_name, const char *);
    char *found = real(path);
    followed(path, found);
    return found;
}

KEPT DIR *opendir(const char *path) {
    REAL(DIR *, opendir, const char *);
    DIR *found = real(path);
    note('d', AT_FDCWD, path, !!found);
    return found;
}

KEPT DIR *fdopendir(int fd) {
    REAL(DIR *, fdopendir, int);
    DIR *found = real(fd);
    if (found) note('d', fd, "", 1);
    return found;
}

#define SCANDIR(name, entry) \
    KEPT int name(const char *path, struct entry ***into, int (*filter)(const struct entry *), \
                  int (*compare)(const struct entry **, const struct entry **)) { \
        REAL(int, name, const char *, struct entry ***, int (*)(const struct entry *), \
             int (*)(const struct entry **, const struct entry **)); \
        int count = real(path, into, filter, compare); \
        note('d', AT_FDCWD, path, count >= 0); \
        return count; \
    }
SCANDIR(scandir, dirent) SCANDIR(scandir64, dirent64)

KEPT int glob(const char *pattern, int flags, int (*failed)(const char *, int), glob_t *into) {
    REAL(int, glob, const char *, int, int (*)(const char *, int), glob_t *);
    int result = real(pattern, flags, failed, into);
    note('g', AT_FDCWD, pattern, !result);
    return result;
}

KEPT int glob64(const char *pattern, int flags, int (*failed)(const char *, int), glob64_t *into) {
    REAL(int, glob64, const char *, int, int (*)(const char *, int), glob64_t *);
    int result = real(pattern, flags, failed, into);
    note('g', AT_FDCWD, pattern, !result);
    return result;
}

/* They look at all that is below a folder. */
#define WALK(name, params, types, arguments) \
    KEPT int name params { \
        REAL(int, name, types); \
        note('l', AT_FDCWD, path, 1); \
        return real arguments; \
    }
#define FTW(name) WALK(name, (const char *path, void *each, int depth), TYPES(const char *, void *, int), (path, each, depth))
#define NFTW(name) \
    WALK(name, (const char *path, void *each, int depth, int flags), TYPES(const char *, void *, int, int), \
         (path, each, depth, flags))
FTW(ftw) FTW(ftw64) NFTW(nftw) NFTW(nftw64)

KEPT int chdir(const char *path) { /* asks whether there is such a folder */
    REAL(int, chdir, const char *);
    int result = real(path);
    note('s', AT_FDCWD, result ? path : ".", !result);
    return result;
}

/* What a step makes or takes away itself is not what it was given. */

#define MADE(name, params, arguments, types, dir, path) \
    KEPT int name params { \
        REAL(int, name, types); \
        int result = real arguments; \
        note(result ? 'q' : 'w', dir, path, !result || exists(dir, path)); \
        return result; \
    }
MADE(mkdir, (const char *path, mode_t mode), (path, mode), TYPES(const char *, mode_t), AT_FDCWD, path)
MADE(mkdirat, (int dir, const char *path, mode_t mode), (dir, path, mode), TYPES(int, const char *, mode_t), dir, path)
MADE(mkfifo, (const char *path, mode_t mode), (path, mode), TYPES(const char *, mode_t), AT_FDCWD, path)
MADE(unlink, (const char *path), (path), TYPES(const char *), AT_FDCWD, path)
MADE(unlinkat, (int dir, const char *path, int flags), (dir, path, flags), TYPES(int, const char *, int), dir, path)
MADE(remove, (const char *path), (path), TYPES(const char *), AT_FDCWD, path)
MADE(truncate, (const char *path, off_t size), (path, size), TYPES(const char *, off_t), AT_FDCWD, path)
MADE(truncate64, (const char *path, off64_t size), (path, size), TYPES(const char *, off64_t), AT_FDCWD, path)

KEPT int rmdir(const char *path) {
    REAL(int, rmdir, const char *);
    int result = real(path);
    note(!result ? 'w' : errno == ENOTEMPTY ? 'd' : 'q', AT_FDCWD, path, !result || exists(AT_FDCWD, path));
    return result;
}

/* Whoever makes a link means to read what it leads to, under a name of his own. */
static void linked(const char *to, int dir, const char *path) {
    char joined[2 * PATH_MAX];
    const char *end = strrchr(path, '/');
    if (*to != '/' && end) snprintf(joined, sizeof joined, "%.*s/%s", (int)(end - path), path, to);
    note('l', dir, *to != '/' && end ? joined : to, 1);
    note('w', dir, path, 1);
}

KEPT int symlink(const char *to, const char *path) {
    REAL(int, symlink, const char *, const char *);
    int result = real(to, path);
    if (!result) linked(to, AT_FDCWD, path);
    return result;
}

KEPT int symlinkat(const char *to, int dir, const char *path) {
    REAL(int, symlinkat, const char *, int, const char *);
    int result = real(to, dir, path);
    if (!result) linked(to, dir, path);
    return result;
}

/* The names of a file that moves: what it holds is read, and its new name is made. */
static void moved(int from, const char *old, int to, const char *new, int good, int stays) {
    note('r', from, old, good);
    if (good && !stays) note('w', from, old, 1);
    if (good) note('w', to, new, 1);
}

KEPT int rename(const char *old, const char *new) {
    REAL(int, rename, const char *, const char *);
    int result = real(old, new);
    moved(AT_FDCWD, old, AT_FDCWD, new, !result, 0);
    return result;
}

KEPT int renameat(int from, const char *old, int to, const char *new) {
    REAL(int, renameat, int, const char *, int, const char *);
    int result = real(from, old, to, new);
    moved(from, old, to, new, !result, 0);
    return result;
}

KEPT int renameat2(int from, const char *old, int to, const char *new, unsigned flags) {
    REAL(int, renameat2, int, const char *, int, const char *, unsigned);
    int result = real(from, old, to, new, flags);
    moved(from, old, to, new, !result, 0);
    return result;
}

KEPT int link(const char *old, const char *new) {
    REAL(int, link, const char *, const char *);
    int result = real(old, new);
    moved(AT_FDCWD, old, AT_FDCWD, new, !result, 1);
    return result;
}

KEPT int linkat(int from, const char *old, int to, const char *new, int flags) {
    REAL(int, linkat, int, const char *, int, const char *, int);
    int result = real(from, old, to, new, flags);
    if (old && *old) moved(from, old, to, new, !result, 1);
    return result;
}

/* The loader finds what it is given by the caller's own search path: this must end in a jump, not a call. */
KEPT void *dlopen(const char *path, int mode) {
    REAL(void *, dlopen, const char *, int);
    if (path && strchr(path, '/')) note('r', AT_FDCWD, path, !access(path, F_OK));
    return real(path, mode);
}

/* Programs. An environment of one's own gets our two variables back. */

static int is_variable(const char *entry, const char *start) { return !strncmp(entry, start, strlen(start)); }

static size_t count_of(char *const list[]) {
    size_t count = 0;
    while (list && list[count]) count++;
    return count;
}

/* `into` has room for two more than `from` has, `text` for the preloads. */
static void with_ours(char *const from[], char **into, char *text, size_t size) {
    snprintf(text, size, "%s", preload);
    for (; from && *from; from++) {
        if (is_variable(*from, FOLDER)) continue;
        if (!is_variable(*from, PRELOAD)) *into++ = *from;
        else if (strstr(*from, self)) snprintf(text, size, "%s", *from);
        else if ((*from)[sizeof PRELOAD - 1]) snprintf(text, size, "%s:%s", preload, *from + sizeof PRELOAD - 1);
    }
    *into++ = text;
    *into++ = folder;
    *into = NULL;
}

static size_t room_for(char *const env[]) {
    size_t size = sizeof preload + 8;
    for (; env && *env; env++)
        if (is_variable(*env, PRELOAD)) size += strlen(*env);
    return size;
}

#define OURS(env) \
    char **ours = (char **)env; \
    if (*folder) { \
        size_t room = room_for(env); \
        ours = alloca((count_of(env) + 3) * sizeof *ours); \
        with_ours(env, ours, alloca(room), room); \
    }

static void executed(char what, int process, int dir, const char *path) {
    if (!state->on || !path) return;
    int error = errno;
    char whole[2 * PATH_MAX];
    absolute(whole, sizeof whole, dir, path);
    put(process ? process : pid(), what, '-', 1, whole);
    errno = error;
}

static const char *find(const char *name, char *into, size_t size) { /* as the shell does; the name where it is not */
    const char *path = getenv("PATH");
    if (!name || strchr(name, '/')) return name;
    for (const char *end; path && *path; path = *end ? end + 1 : end) {
        end = strchrnul(path, ':');
        snprintf(into, size, "%.*s/%s", (int)(end - path), path, name);
        if (!syscall(SYS_faccessat, AT_FDCWD, into, X_OK)) return into;
    }
    return name;
}

KEPT int execve(const char *path, char *const arguments[], char *const env[]) {
    REAL(int, execve, const char *, char *const[], char *const[]);
    OURS(env)
    loaded_objects();
    executed('x', 0, AT_FDCWD, path);
    int result = real(path, arguments, ours);
    executed('f', 0, AT_FDCWD, path);
    return result;
}

KEPT int execv(const char *path, char *const arguments[]) { return execve(path, arguments, environ); }

KEPT int execvpe(const char *name, char *const arguments[], char *const env[]) {
    REAL(int, execvpe, const char *, char *const[], char *const[]);
    char found[PATH_MAX];
    const char *path = find(name, found, sizeof found);
    OURS(env)
    loaded_objects();
    executed('x', 0, AT_FDCWD, path);
    int result = real(name, arguments, ours);
    executed('f', 0, AT_FDCWD, path);
    return result;
}

KEPT int execvp(const char *name, char *const arguments[]) { return execvpe(name, arguments, environ); }

KEPT int fexecve(int fd, char *const arguments[], char *const env[]) {
    REAL(int, fexecve, int, char *const[], char *const[]);
    OURS(env)
    loaded_objects();
    executed('x', 0, fd, "");
    int result = real(fd, arguments, ours);
    executed('f', 0, fd, "");
    return result;
}

KEPT int execveat(int dir, const char *path, char *const arguments[], char *const env[], int flags) {
    REAL(int, execveat, int, const char *, char *const[], char *const[], int);
    OURS(env)
    loaded_objects();
    executed('x', 0, dir, path);
    int result = real(dir, path, arguments, ours, flags);
    executed('f', 0, dir, path);
    return result;
}

#define LISTED(first) \
    va_list more; \
    size_t count = 1; \
    va_start(more, first); \
    while (va_arg(more, char *)) count++; \
    va_end(more); \
    char **arguments = alloca((count + 1) * sizeof *arguments); \
    *arguments = (char *)first; \
    va_start(more, first); \
    for (size_t index = 1; index <= count; index++) arguments[index] = va_arg(more, char *);

KEPT int execl(const char *path, const char *first, ...) {
    LISTED(first)
    va_end(more);
    return execve(path, arguments, environ);
}

KEPT int execlp(const char *name, const char *first, ...) {
    LISTED(first)
    va_end(more);
    return execvpe(name, arguments, environ);
}

KEPT int execle(const char *path, const char *first, ...) {
    LISTED(first)
    char *const *env = va_arg(more, char *const *);
    va_end(more);
    return execve(path, arguments, env);
}

KEPT int posix_spawn(pid_t *child, const char *path, const posix_spawn_file_actions_t *actions,
                     const posix_spawnattr_t *attributes, char *const arguments[], char *const env[]) {
    REAL(int, posix_spawn, pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *,
         char *const[], char *const[]);
    pid_t own, *where = child ? child : &own;
    OURS(env)
    int result = real(where, path, actions, attributes, arguments, ours);
    if (!result) executed('x', *where, AT_FDCWD, path);
    return result;
}

KEPT int posix_spawnp(pid_t *child, const char *name, const posix_spawn_file_actions_t *actions,
                      const posix_spawnattr_t *attributes, char *const arguments[], char *const env[]) {
    REAL(int, posix_spawnp, pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *,
         char *const[], char *const[]);
    pid_t own, *where = child ? child : &own;
    char found[PATH_MAX];
    OURS(env)
    int result = real(where, name, actions, attributes, arguments, ours);
    if (!result) executed('x', *where, AT_FDCWD, find(name, found, sizeof found));
    return result;
}

KEPT int posix_spawn_file_actions_addopen(posix_spawn_file_actions_t *actions, int fd, const char *path, int flags,
                                          mode_t mode) {
    REAL(int, posix_spawn_file_actions_addopen, posix_spawn_file_actions_t *, int, const char *, int, mode_t);
    opened(AT_FDCWD, path, flags, exists(AT_FDCWD, path), flags & O_CREAT || exists(AT_FDCWD, path));
    return real(actions, fd, path, flags, mode);
}

/* The C library starts this shell by itself, in the environment that is. */
static void shell(void) {
    OURS(environ)
    if (*folder && ours != environ) {
        for (char **entry = ours; *entry; entry++)
            if (is_variable(*entry, PRELOAD)) setenv("LD_PRELOAD", *entry + sizeof PRELOAD - 1, 1);
        setenv("FINNYAML_READS", folder + sizeof FOLDER - 1, 1);
    }
    note('r', AT_FDCWD, "/bin/sh", 1);
}

KEPT int system(const char *command) {
    REAL(int, system, const char *);
    if (command) shell();
    return real(command);
}

KEPT FILE *popen(const char *command, const char *mode) {
    REAL(FILE *, popen, const char *, const char *);
    shell();
    return real(command, mode);
}

KEPT void _exit(int code) {
    REAL(void, _exit, int);
    loaded_objects();
    real(code);
    __builtin_unreachable();
}

KEPT void _Exit(int code) { _exit(code); }

/* Variables that native code of the user's looks at, in the worker (to a program all that it is given counts). */

static void asked_for(const char *name, void *caller) {
    if (!is_worker || !state->on || busy || !name) return;
    int error = errno;
    busy = 1;
    if (!third_party(caller) && strncmp(name, "PYTHON", 6) && who(NULL, 0, 0, 0) == 'u') put(pid(), 'e', 'u', 1, name);
    busy = 0;
    errno = error;
}

KEPT char *getenv(const char *name) {
    REAL(char *, getenv, const char *);
    asked_for(name, __builtin_return_address(0));
    return real(name);
}

KEPT char *secure_getenv(const char *name) {
    REAL(char *, secure_getenv, const char *);
    asked_for(name, __builtin_return_address(0));
    return real(name);
}

/* What is never the same again. */

KEPT int clock_gettime(clockid_t clock, struct timespec *into) {
    REAL(int, clock_gettime, clockid_t, struct timespec *);
    int result = real(clock, into);
    if (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE) return result;
    unknowable('t', __builtin_return_address(0));
    if (!result) told_time(into->tv_sec);
    return result;
}

KEPT int gettimeofday(struct timeval *into, void *zone) {
    REAL(int, gettimeofday, struct timeval *, void *);
    int result = real(into, zone);
    unknowable('t', __builtin_return_address(0));
    if (!result && into) told_time(into->tv_sec);
    return result;
}

KEPT time_t time(time_t *into) {
    REAL(time_t, time, time_t *);
    time_t now = real(into);
    unknowable('t', __builtin_return_address(0));
    told_time(now);
    return now;
}

#define DATE(type, name, params, types, arguments) \
    KEPT type name params { \
        REAL(type, name, types); \
        dated(moment); \
        return real arguments; \
    }
DATE(struct tm *, localtime, (const time_t *moment), TYPES(const time_t *), (moment))
DATE(struct tm *, gmtime, (const time_t *moment), TYPES(const time_t *), (moment))
DATE(char *, ctime, (const time_t *moment), TYPES(const time_t *), (moment))
DATE(struct tm *, localtime_r, (const time_t *moment, struct tm *into), TYPES(const time_t *, struct tm *), (moment, into))
DATE(struct tm *, gmtime_r, (const time_t *moment, struct tm *into), TYPES(const time_t *, struct tm *), (moment, into))
DATE(char *, ctime_r, (const time_t *moment, char *into), TYPES(const time_t *, char *), (moment, into))

KEPT ssize_t getrandom(void *into, size_t size, unsigned flags) {
    REAL(ssize_t, getrandom, void *, size_t, unsigned);
    unknowable('n', __builtin_return_address(0));
    return real(into, size, flags);
}

KEPT int getentropy(void *into, size_t size) {
    REAL(int, getentropy, void *, size_t);
    unknowable('n', __builtin_return_address(0));
    return real(into, size);
}

KEPT int connect(int fd, const struct sockaddr *address, socklen_t size) {
    REAL(int, connect, int, const struct sockaddr *, socklen_t);
    if (address && (address->sa_family == AF_INET || address->sa_family == AF_INET6))
        unknowable('c', __builtin_return_address(0));
    return real(fd, address, size);
}
