/*
 * A disk that fails on demand. Loaded in front of libc (LD_PRELOAD), it counts what a process does to the files below
 * one folder, and makes the n-th operation of a kind fail, or cuts the power there.
 *
 * WEIR_FAULT_FOLDER  holds `data` (the folder that is watched), `shadow` (empty; on the same file system), and gets
 *                    `shim.log`: one line `count OPERATION FILE N` for each pair at exit, and `fired` when it struck.
 * WEIR_FAULT         `OPERATION FILE NTH EFFECT`; unset: only count.
 *
 * OPERATION  open (creating or emptying a file), read, write, sync, truncate, rename, unlink, mkdir
 * FILE       wal, sst, manifest, folder, other, or any
 * EFFECT     once    the n-th fails with EIO
 *            broken  the n-th and all later ones fail with EIO
 *            full    from the n-th on, whatever needs room on the disk fails with ENOSPC, on every file
 *            half    the n-th write takes half of its bytes, as the interface allows
 *            short   the same, and then the disk is full
 *            lost    the n-th sync fails with EIO and the bytes since the last one read as zeros; later ones succeed
 *            cut     the power is cut before the n-th: of all that was not synced, nothing is left
 *            tear    the same, but some of it is left: parts of files, and the first of the changes to a folder
 *
 * What a sync makes durable: of a file, its bytes; of a folder, the names in it. Until then a power cut takes back
 * bytes, created files, renames and removals. To be able to, the shim keeps the bytes that were written over, and a
 * link to what a name led to before.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum operation { OPEN, READ, WRITE, SYNC, TRUNCATE, RENAME, UNLINK, MKDIR, OPERATIONS };
enum file { WAL, SST, MANIFEST, FOLDER, OTHER, FILES };
enum effect { NONE, ONCE, BROKEN, FULL, HALF, SHORT, LOST, CUT, TEAR, EFFECTS };

static const char *const operation_names[] = {"open", "read", "write", "sync", "truncate", "rename", "unlink", "mkdir"};
static const char *const file_names[] = {"wal", "sst", "manifest", "folder", "other"};
static const char *const effect_names[] = {"none", "once", "broken", "full", "half", "short", "lost", "cut", "tear"};

#define ANY FILES
#define FOLDER_MAX 1024
#define FILES_MAX 4096
#define CHANGES_MAX 16384
#define OVERWRITTEN_MAX 65536

/* A file that was written to. `fd` is the shim's own, so that the inode is not given to another file. */
struct written {
    dev_t device;
    ino_t inode;
    int fd;
    off_t synced;
};

/* A change to a folder. `shadow` has what `name` led to before, if that was something. */
struct change {
    enum operation operation;
    char *folder, *name, *before;
    int shadow;
    int durable;
};

/* Synced bytes of a file that something else was written over. */
struct overwritten {
    int file;
    off_t at;
    size_t length;
    char *bytes;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char data[FOLDER_MAX], shadow[FOLDER_MAX], log_path[FOLDER_MAX];
static long counts[OPERATIONS][FILES];
static int wanted_operation = -1, wanted_file = ANY;
static long wanted_nth, matched;
static enum effect effect = NONE;
static int struck, full;
static struct written files[FILES_MAX];
static int files_count;
static struct change changes[CHANGES_MAX];
static int changes_count, shadows;
static struct overwritten overwritten[OVERWRITTEN_MAX];
static int overwritten_count;

static void note(const char *text) {
    int fd = syscall(SYS_openat, AT_FDCWD, log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0 || syscall(SYS_write, fd, text, strlen(text)) < 0) syscall(SYS_exit_group, 99);
    syscall(SYS_close, fd);
}

/* What the shim cannot play must not pass for a test that was made. */
static void give_up(const char *why) {
    char text[512];
    snprintf(text, sizeof text, "gave up: %s: %s\n", why, strerror(errno));
    note(text);
    syscall(SYS_exit_group, 99);
}

static int index_of(const char *const *names, int count, const char *name) {
    for (int i = 0; i < count; i++)
        if (!strcmp(names[i], name)) return i;
    return -1;
}

__attribute__((constructor)) static void begin(void) {
    const char *folder = getenv("WEIR_FAULT_FOLDER"), *fault = getenv("WEIR_FAULT");
    if (!folder) return;
    if (strlen(folder) + 16 > FOLDER_MAX) syscall(SYS_exit_group, 99);
    snprintf(data, sizeof data, "%s/data", folder);
    snprintf(shadow, sizeof shadow, "%s/shadow", folder);
    snprintf(log_path, sizeof log_path, "%s/shim.log", folder);
    if (!fault) return;
    char operation[16], file[16], name[16];
    if (sscanf(fault, "%15s %15s %ld %15s", operation, file, &wanted_nth, name) != 4) give_up("WEIR_FAULT");
    wanted_operation = index_of(operation_names, OPERATIONS, operation);
    wanted_file = strcmp(file, "any") ? index_of(file_names, FILES, file) : ANY;
    int found = index_of(effect_names, EFFECTS, name);
    if (wanted_operation < 0 || wanted_file < 0 || found < 0) give_up("WEIR_FAULT");
    effect = found;
}

__attribute__((destructor)) static void end(void) {
    if (!*data) return;
    for (int o = 0; o < OPERATIONS; o++)
        for (int f = 0; f < FILES; f++) {
            char line[64];
            snprintf(line, sizeof line, "count %s %s %ld\n", operation_names[o], file_names[f], counts[o][f]);
            if (counts[o][f]) note(line);
        }
}

static int watched(const char *path) {
    size_t length = strlen(data);
    return length && !strncmp(path, data, length) && (!path[length] || path[length] == '/');
}

static int path_of(int fd, char path[PATH_MAX]) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, path, PATH_MAX - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return watched(path);
}

static enum file kind_of(const char *path) {
    struct stat status;
    if (!fstatat(AT_FDCWD, path, &status, 0) && S_ISDIR(status.st_mode)) return FOLDER;
    if (strstr(path, "/tree/wal/")) return WAL;
    if (strstr(path, "/tree/sstables/")) return SST;
    return strstr(path, "/tree/manifest/") ? MANIFEST : OTHER;
}

static int plays_power_cuts(void) { return effect == CUT || effect == TEAR; }

static struct written *find(int fd) {
    struct stat status;
    if (fstat(fd, &status)) give_up("fstat");
    for (int i = 0; i < files_count; i++)
        if (files[i].inode == status.st_ino && files[i].device == status.st_dev) return &files[i];
    return NULL;
}

/* A file was opened for writing: what it holds already counts as durable, unless it was emptied. */
static void follow(int fd, int emptied) {
    struct written *known = find(fd);
    if (known) {
        if (emptied) known->synced = 0;
        return;
    }
    struct stat status;
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (files_count == FILES_MAX || fstat(fd, &status)) give_up("too many files");
    int own = syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);
    if (own < 0) give_up("reopen");
    files[files_count++] = (struct written){status.st_dev, status.st_ino, own, emptied ? 0 : status.st_size};
}

static off_t length_of(int fd) {
    struct stat status;
    if (fstat(fd, &status)) give_up("fstat");
    return status.st_size;
}

/* Keeps what `path` leads to under a number; 0: it leads to nothing. */
static int keep(const char *path) {
    char to[PATH_MAX];
    snprintf(to, sizeof to, "%s/%d", shadow, ++shadows);
    if (!syscall(SYS_linkat, AT_FDCWD, path, AT_FDCWD, to, 0)) return shadows;
    if (errno != ENOENT) give_up("link");
    return 0;
}

static void changed(enum operation operation, const char *name, const char *before, int kept) {
    char folder[PATH_MAX];
    if (!plays_power_cuts()) return;
    if (changes_count == CHANGES_MAX) give_up("too many changes");
    snprintf(folder, sizeof folder, "%s", name);
    *strrchr(folder, '/') = 0;
    if (before && (strncmp(before, folder, strlen(folder)) || strchr(before + strlen(folder) + 1, '/')))
        give_up("a rename from one folder to another");
    changes[changes_count++] =
        (struct change){operation, strdup(folder), strdup(name), before ? strdup(before) : NULL, kept, 0};
}

static void move(const char *from, const char *to) {
    if (syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0)) give_up("rename");
}

static void take_back(const struct change *change) {
    char kept[PATH_MAX];
    snprintf(kept, sizeof kept, "%s/%d", shadow, change->shadow);
    if (change->operation == MKDIR) {
        snprintf(kept, sizeof kept, "%s/%d", shadow, ++shadows);
        move(change->name, kept);
    } else if (change->operation == OPEN) {
        if (syscall(SYS_unlinkat, AT_FDCWD, change->name, 0)) give_up("unlink");
    } else {
        if (change->operation == RENAME) move(change->name, change->before);
        if (change->shadow) move(kept, change->name);
    }
}

/* Keeps what a write to a file is about to write over, as far as it is synced. */
static void keep_bytes(struct written *file, off_t at, size_t length) {
    if (!plays_power_cuts() && effect != LOST) return;
    if (at >= file->synced || !length) return;
    if (length > (size_t)(file->synced - at)) length = file->synced - at;
    char *bytes = malloc(length);
    if (!bytes || overwritten_count == OVERWRITTEN_MAX) give_up("too much is written over");
    if (syscall(SYS_pread64, file->fd, bytes, length, at) != (ssize_t)length) give_up("pread");
    overwritten[overwritten_count++] = (struct overwritten){file - files, at, length, bytes};
}

/* Puts back what was written over: from the byte `from` of each piece on. */
static void put_back(const struct overwritten *piece, size_t from) {
    const char *bytes = piece->bytes + from;
    size_t length = piece->length - from;
    int fd = files[piece->file].fd;
    if (syscall(SYS_pwrite64, fd, bytes, length, piece->at + (off_t)from) != (ssize_t)length) give_up("pwrite");
}

/* What was written over in a file is durable, or put back already. */
static void forget_bytes(const struct written *file) {
    int left = 0;
    for (int i = 0; i < overwritten_count; i++) {
        if (overwritten[i].file == file - files) free(overwritten[i].bytes);
        else overwritten[left++] = overwritten[i];
    }
    overwritten_count = left;
}

static uint64_t scramble(uint64_t x) {
    x = (x + 0x9e3779b97f4a7c15u) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* How many of the changes to this change's folder that are not durable come before it. */
static int pending_before(int at) {
    int before = 0;
    for (int i = 0; i < at; i++) before += !changes[i].durable && !strcmp(changes[i].folder, changes[at].folder);
    return before;
}

static void cut_power(void) {
    uint64_t chance = scramble(wanted_nth * OPERATIONS + wanted_operation);
    for (int i = changes_count - 1; i >= 0; i--) {
        uint64_t folder = 5381;
        for (const char *c = changes[i].folder; *c; c++) folder = folder * 33 + *c;
        /* The first up to three changes to a folder may have reached the disk by themselves. */
        int survive = effect == TEAR ? scramble(chance ^ folder) % 4 : 0;
        if (!changes[i].durable && pending_before(i) >= survive) take_back(&changes[i]);
    }
    for (int i = overwritten_count - 1; i >= 0; i--) {
        /* Of each file, all, none or the first bytes of each write have reached the disk. */
        uint64_t draw = scramble(chance + overwritten[i].file);
        if (effect == TEAR && draw % 3 == 1) continue;
        put_back(&overwritten[i], effect == TEAR && draw % 3 == 2 ? (draw >> 8) % overwritten[i].length : 0);
    }
    for (int i = 0; i < files_count; i++) {
        off_t length = length_of(files[i].fd), from = files[i].synced;
        uint64_t draw = scramble(chance + i);
        if (effect == TEAR && draw % 4 && length > from) from += (draw >> 8) % (length - from + 1);
        if (length > from && ftruncate(files[i].fd, from)) give_up("ftruncate");
        /* Room was given to the file, its bytes did not arrive. */
        if (effect == TEAR && draw % 4 == 3 && length > from && ftruncate(files[i].fd, length)) give_up("ftruncate");
    }
    note("fired\n");
    syscall(SYS_exit_group, 77);
}

/* Counts an operation and says what happens to it: NONE, or how it fails. */
static enum effect meet(enum operation operation, const char *path) {
    enum file file = kind_of(path);
    counts[operation][file]++;
    if ((int)operation == wanted_operation && (wanted_file == ANY || wanted_file == (int)file)) {
        matched++;
        if (matched == wanted_nth || (matched > wanted_nth && effect == BROKEN)) {
            if (plays_power_cuts()) cut_power();
            if (!struck) note("fired\n");
            struck = 1;
            full = effect == FULL || effect == SHORT;
            if (effect != FULL) return effect;
        }
    }
    int grows = operation == OPEN || operation == WRITE || operation == MKDIR;
    return full && grows ? FULL : NONE;
}

static int failure(enum effect how) {
    errno = how == FULL ? ENOSPC : EIO;
    return -1;
}

static int opening(int folder, const char *path, int flags, mode_t mode) {
    if (!watched(path) || !(flags & (O_CREAT | O_TRUNC))) return syscall(SYS_openat, folder, path, flags, mode);
    pthread_mutex_lock(&lock);
    enum effect how = meet(OPEN, path);
    struct stat status;
    int created = fstatat(AT_FDCWD, path, &status, 0) != 0;
    int fd = how == NONE ? syscall(SYS_openat, folder, path, flags, mode) : failure(how);
    int failed = errno;
    if (fd >= 0) {
        follow(fd, created || (flags & O_TRUNC));
        if (created) changed(OPEN, path, NULL, 0);
    }
    pthread_mutex_unlock(&lock);
    errno = failed;
    return fd;
}

#define MODE_OF(flags)                              \
    mode_t mode = 0;                                \
    if ((flags) & (O_CREAT | O_TMPFILE)) {          \
        va_list more;                               \
        va_start(more, flags);                      \
        mode = va_arg(more, mode_t);                \
        va_end(more);                               \
    }

int open(const char *path, int flags, ...) {
    MODE_OF(flags)
    return opening(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    MODE_OF(flags)
    return opening(AT_FDCWD, path, flags, mode);
}

int openat(int folder, const char *path, int flags, ...) {
    MODE_OF(flags)
    return opening(folder, path, flags, mode);
}

int openat64(int folder, const char *path, int flags, ...) {
    MODE_OF(flags)
    return opening(folder, path, flags, mode);
}

/* `offset` < 0: at the position of the descriptor. */
static ssize_t transfer(enum operation operation, int fd, const struct iovec *parts, int count, off_t offset) {
    char path[PATH_MAX];
    int reads = operation == READ;
    if (!*data || !path_of(fd, path)) {
        if (offset < 0) return syscall(reads ? SYS_readv : SYS_writev, fd, parts, count);
        return syscall(reads ? SYS_preadv : SYS_pwritev, fd, parts, count, offset, 0);
    }
    pthread_mutex_lock(&lock);
    enum effect how = meet(operation, path);
    struct iovec half;
    if (how == HALF || how == SHORT) {
        half = (struct iovec){parts[0].iov_base, (parts[0].iov_len + 1) / 2};
        parts = &half;
        count = 1;
        how = NONE;
    }
    ssize_t done;
    if (how != NONE) {
        done = failure(how);
    } else if (reads) {
        done = offset < 0 ? syscall(SYS_readv, fd, parts, count) : syscall(SYS_preadv, fd, parts, count, offset, 0);
    } else {
        struct written *file = find(fd);
        off_t at = offset >= 0 ? offset : syscall(SYS_lseek, fd, 0, SEEK_CUR);
        size_t length = 0;
        for (int i = 0; i < count; i++) length += parts[i].iov_len;
        /* What is not followed is of no interest: a lock, a socket. */
        if (file && !(syscall(SYS_fcntl, fd, F_GETFL) & O_APPEND)) keep_bytes(file, at, length);
        done = offset < 0 ? syscall(SYS_writev, fd, parts, count) : syscall(SYS_pwritev, fd, parts, count, offset, 0);
    }
    int failed = errno;
    pthread_mutex_unlock(&lock);
    errno = failed;
    return done;
}

ssize_t write(int fd, const void *bytes, size_t length) {
    struct iovec part = {(void *)bytes, length};
    return transfer(WRITE, fd, &part, 1, -1);
}

ssize_t writev(int fd, const struct iovec *parts, int count) { return transfer(WRITE, fd, parts, count, -1); }

ssize_t pwrite64(int fd, const void *bytes, size_t length, off_t offset) {
    struct iovec part = {(void *)bytes, length};
    return transfer(WRITE, fd, &part, 1, offset);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset) { return pwrite64(fd, bytes, length, offset); }

ssize_t read(int fd, void *bytes, size_t length) {
    struct iovec part = {bytes, length};
    return transfer(READ, fd, &part, 1, -1);
}

ssize_t pread64(int fd, void *bytes, size_t length, off_t offset) {
    struct iovec part = {bytes, length};
    return transfer(READ, fd, &part, 1, offset);
}

ssize_t pread(int fd, void *bytes, size_t length, off_t offset) { return pread64(fd, bytes, length, offset); }

static void lose_unsynced(int fd, struct written *file) {
    off_t length = length_of(fd);
    if (ftruncate(file->fd, file->synced) || ftruncate(file->fd, length)) give_up("ftruncate");
    for (int i = overwritten_count - 1; i >= 0; i--)
        if (overwritten[i].file == file - files) put_back(&overwritten[i], 0);
    forget_bytes(file);
}

static int syncing(int fd) {
    char path[PATH_MAX];
    if (!*data || !path_of(fd, path)) return syscall(SYS_fsync, fd);
    pthread_mutex_lock(&lock);
    enum effect how = meet(SYNC, path);
    struct written *file = find(fd);
    int done = 0;
    if (how == LOST && file) lose_unsynced(fd, file);
    if (how != NONE) {
        done = failure(how);
    } else {
        /* Nothing happens to the real disk meanwhile: what is in the system's cache is enough. */
        if (file) {
            file->synced = length_of(fd);
            forget_bytes(file);
        }
        for (int i = 0; i < changes_count; i++) changes[i].durable |= !strcmp(changes[i].folder, path);
    }
    int failed = errno;
    pthread_mutex_unlock(&lock);
    errno = failed;
    return done;
}

int fsync(int fd) { return syncing(fd); }

int fdatasync(int fd) { return syncing(fd); }

int ftruncate64(int fd, off_t length) {
    char path[PATH_MAX];
    if (!*data || !path_of(fd, path)) return syscall(SYS_ftruncate, fd, length);
    pthread_mutex_lock(&lock);
    enum effect how = meet(TRUNCATE, path);
    struct written *file = find(fd);
    int done = how == NONE ? syscall(SYS_ftruncate, fd, length) : failure(how);
    /* What was cut off is gone at once. */
    if (!done && file && file->synced > length) file->synced = length;
    int failed = errno;
    pthread_mutex_unlock(&lock);
    errno = failed;
    return done;
}

int rename(const char *from, const char *to) {
    if (!watched(to)) return syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
    pthread_mutex_lock(&lock);
    enum effect how = meet(RENAME, to);
    int kept = how == NONE && plays_power_cuts() ? keep(to) : 0;
    int done = how == NONE ? syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0) : failure(how);
    int failed = errno;
    if (!done) changed(RENAME, to, from, kept);
    pthread_mutex_unlock(&lock);
    errno = failed;
    return done;
}

int unlink(const char *path) {
    if (!watched(path)) return syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    pthread_mutex_lock(&lock);
    enum effect how = meet(UNLINK, path);
    int kept = how == NONE && plays_power_cuts() ? keep(path) : 0;
    int done = how == NONE ? syscall(SYS_unlinkat, AT_FDCWD, path, 0) : failure(how);
    int failed = errno;
    if (!done) changed(UNLINK, path, NULL, kept);
    pthread_mutex_unlock(&lock);
    errno = failed;
    return done;
}

int mkdir(const char *path, mode_t mode) {
    if (!watched(path)) return syscall(SYS_mkdirat, AT_FDCWD, path, mode);
    pthread_mutex_lock(&lock);
    enum effect how = meet(MKDIR, path);
    int done = how == NONE ? syscall(SYS_mkdirat, AT_FDCWD, path, mode) : failure(how);
    int failed = errno;
    if (!done) changed(MKDIR, path, NULL, 0);
    pthread_mutex_unlock(&lock);
    errno = failed;
    return done;
}
