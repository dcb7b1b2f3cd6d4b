/*
 * Preloaded into a program and all that it starts: numbers what they do to the files below some directories, one sequence for all threads and
 * processes, and at a chosen number kills the program or lets the call fail. See faults.ts.
 *
 *   FAULTS_DIR    where `count` (a number) and `log` (one line for each call) are
 *   FAULTS_BELOW  directories, between colons
 *   FAULTS_KINDS  letters of the kinds that are counted
 *   FAULTS_AT     the number at which it happens, 0 for never
 *   FAULTS_DO     "kill": the first program; "killall": its whole process group; a number: the call fails with that errno
 *   FAULTS_EVER   not empty: all later calls fail too
 *   FAULTS_FIRST  the process that "kill" kills
 *
 * Kinds: n makes a file by opening it, c another name, r renames, d removes a name, w writes, t truncates, s makes durable, m changes modes,
 * owners or times, M mounts, a opens a file that is there for writing, o one for reading or a directory, R reads.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static int enabled;
static char kinds[32], below[4096], what[16], count_file[PATH_MAX], log_file[PATH_MAX];
static long at;
static int ever;
static pid_t first;

static void copy(char *to, size_t room, const char *from) {
  snprintf(to, room, "%s", from == NULL ? "" : from);
}

__attribute__((constructor)) static void start(void) {
  const char *dir = getenv("FAULTS_DIR");
  if (dir == NULL) return;
  snprintf(count_file, sizeof count_file, "%s/count", dir);
  snprintf(log_file, sizeof log_file, "%s/log", dir);
  copy(kinds, sizeof kinds, getenv("FAULTS_KINDS"));
  copy(below, sizeof below, getenv("FAULTS_BELOW"));
  copy(what, sizeof what, getenv("FAULTS_DO"));
  at = atol(getenv("FAULTS_AT") == NULL ? "0" : getenv("FAULTS_AT"));
  ever = getenv("FAULTS_EVER") != NULL && getenv("FAULTS_EVER")[0] != 0;
  first = getenv("FAULTS_FIRST") == NULL ? 0 : atoi(getenv("FAULTS_FIRST"));
  enabled = 1;
}

/* The absolute name of what a call is about; 0 when it is of no interest. */
static int resolve(char *to, int dirfd, const char *path) {
  char base[PATH_MAX], link[64];
  ssize_t length;
  if (path != NULL && strncmp(path, "/proc/self/fd/", 14) == 0) {
    const char *rest = strchr(path + 14, '/');
    if (rest == NULL) return resolve(to, atoi(path + 14), NULL);
    return resolve(to, atoi(path + 14), rest + 1);
  }
  if (path != NULL && path[0] == '/') {
    copy(to, PATH_MAX, path);
    return 1;
  }
  if (dirfd == AT_FDCWD) copy(link, sizeof link, "/proc/self/cwd");
  else snprintf(link, sizeof link, "/proc/self/fd/%d", dirfd);
  length = readlink(link, base, sizeof base - 1);
  if (length < 0) return 0;
  base[length] = 0;
  if (path == NULL) copy(to, PATH_MAX, base);
  else snprintf(to, PATH_MAX, "%.*s/%s", PATH_MAX - 300, base, path);
  return 1;
}

static int interesting(const char *path) {
  const char *dir = below;
  while (*dir != 0) {
    const char *end = strchr(dir, ':');
    size_t length = end == NULL ? strlen(dir) : (size_t)(end - dir);
    if (length > 0 && strncmp(path, dir, length) == 0 && (path[length] == '/' || path[length] == 0)) return 1;
    if (end == NULL) return 0;
    dir = end + 1;
  }
  return 0;
}

/* What can only fail by itself, as it is there already or not at all, changes nothing. */
static int in_vain(char kind, const char *file, const char *other) {
  struct stat found;
  int there = lstat(file, &found) == 0;
  if (kind == 'c' || kind == 'n') return other[0] != 0 ? !there : there;
  return strchr("rdm", kind) != NULL && !there;
}

/* Counts a call. Returns 0 when it is to be made, else the errno that it fails with. Does not return when everything was killed. */
static int counted(char kind, const char *name, int dirfd, const char *path, int dirfd2, const char *path2) {
  char file[PATH_MAX], other[PATH_MAX], text[24], line[2 * PATH_MAX + 64];
  int saved = errno, lock, log;
  long number = 0;
  ssize_t length;
  if (!enabled || strchr(kinds, kind) == NULL) return 0;
  if (!resolve(file, dirfd, path)) file[0] = 0;
  other[0] = 0;
  if (path2 != NULL && !resolve(other, dirfd2, path2)) other[0] = 0;
  if ((!interesting(file) && !interesting(other)) || in_vain(kind, file, other)) {
    errno = saved;
    return 0;
  }
  lock = syscall(SYS_openat, AT_FDCWD, count_file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock < 0) {
    errno = saved;
    return 0;
  }
  while (flock(lock, LOCK_EX) != 0);
  length = syscall(SYS_pread64, lock, text, sizeof text - 1, 0);
  if (length > 0) {
    text[length] = 0;
    number = atol(text);
  }
  number++;
  snprintf(text, sizeof text, "%ld\n", number);
  syscall(SYS_pwrite64, lock, text, strlen(text), 0);
  snprintf(line, sizeof line, "%ld %d %c %s %s%s%s\n", number, getpid(), kind, name, file, other[0] ? " " : "", other);
  log = syscall(SYS_openat, AT_FDCWD, log_file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  syscall(SYS_write, log, line, strlen(line));
  syscall(SYS_close, log);
  if (number == at && strncmp(what, "kill", 4) == 0) {
    if (what[4] != 0) syscall(SYS_kill, 0, SIGKILL);
    syscall(SYS_kill, first, SIGKILL);
  }
  syscall(SYS_close, lock);
  errno = saved;
  if (what[0] >= '0' && what[0] <= '9' && at > 0 && (number == at || (ever && number > at))) return atoi(what);
  return 0;
}

#define REAL(type, name, ...)                                                  \
  static type (*real)(__VA_ARGS__);                                            \
  if (real == NULL) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name)

#define FAIL_IF(call)                                                          \
  do {                                                                         \
    int code = call;                                                           \
    if (code != 0) {                                                           \
      errno = code;                                                            \
      return -1;                                                               \
    }                                                                          \
  } while (0)

#define ON_PATH(kind, name, params, args, dirfd, path)                         \
  int name params {                                                            \
    static int(*real) params;                                                  \
    if (real == NULL) real = (int(*) params)dlsym(RTLD_NEXT, #name);           \
    FAIL_IF(counted(kind, #name, dirfd, path, 0, NULL));                       \
    return real args;                                                          \
  }

#define ON_TWO(kind, name, params, args, dirfd, path, dirfd2, path2)           \
  int name params {                                                            \
    static int(*real) params;                                                  \
    if (real == NULL) real = (int(*) params)dlsym(RTLD_NEXT, #name);           \
    FAIL_IF(counted(kind, #name, dirfd, path, dirfd2, path2));                 \
    return real args;                                                          \
  }

#define ON_BYTES(kind, name, params, args, fd)                                 \
  ssize_t name params {                                                        \
    static ssize_t(*real) params;                                              \
    if (real == NULL) real = (ssize_t(*) params)dlsym(RTLD_NEXT, #name);       \
    FAIL_IF(counted(kind, #name, fd, NULL, 0, NULL));                          \
    return real args;                                                          \
  }

/* An open that makes the file or empties it is a change of its own; one of what is there is not. */
static int opened(const char *name, int dirfd, const char *path, int flags) {
  char file[PATH_MAX];
  struct stat found;
  int there, saved = errno;
  if (!enabled || !resolve(file, dirfd, path) || !interesting(file)) {
    errno = saved;
    return 0;
  }
  there = stat(file, &found) == 0;
  errno = saved;
  if ((flags & O_CREAT) && !there) return counted('n', name, dirfd, path, 0, NULL);
  if ((flags & O_TRUNC) && there && found.st_size > 0) return counted('t', name, dirfd, path, 0, NULL);
  return counted((flags & O_ACCMODE) == O_RDONLY ? 'o' : 'a', name, dirfd, path, 0, NULL);
}

#define MODE_OF(flags)                                                         \
  mode_t mode = 0;                                                             \
  if (flags & (O_CREAT | __O_TMPFILE)) {                                       \
    va_list list;                                                              \
    va_start(list, flags);                                                     \
    mode = va_arg(list, int);                                                  \
    va_end(list);                                                              \
  }

#define OPEN(name)                                                             \
  int name(const char *path, int flags, ...) {                                 \
    MODE_OF(flags)                                                             \
    REAL(int, name, const char *, int, ...);                                   \
    FAIL_IF(opened(#name, AT_FDCWD, path, flags));                             \
    return real(path, flags, mode);                                            \
  }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                           \
  int name(int dirfd, const char *path, int flags, ...) {                      \
    MODE_OF(flags)                                                             \
    REAL(int, name, int, const char *, int, ...);                              \
    FAIL_IF(opened(#name, dirfd, path, flags));                                \
    return real(dirfd, path, flags, mode);                                     \
  }
OPENAT(openat)
OPENAT(openat64)

#define OPEN2(name)                                                            \
  int name(const char *path, int flags) {                                      \
    REAL(int, name, const char *, int);                                        \
    FAIL_IF(opened(#name, AT_FDCWD, path, flags));                             \
    return real(path, flags);                                                  \
  }
OPEN2(__open_2)
OPEN2(__open64_2)
#define OPENAT2(name)                                                          \
  int name(int dirfd, const char *path, int flags) {                           \
    REAL(int, name, int, const char *, int);                                   \
    FAIL_IF(opened(#name, dirfd, path, flags));                                \
    return real(dirfd, path, flags);                                           \
  }
OPENAT2(__openat_2)
OPENAT2(__openat64_2)

#define LIST(name, entry)                                                                                                         \
  int name(const char *path, struct entry ***names, int (*filter)(const struct entry *),                                          \
           int (*compare)(const struct entry **, const struct entry **)) {                                                        \
    REAL(int, name, const char *, struct entry ***, int (*)(const struct entry *),                                                \
         int (*)(const struct entry **, const struct entry **));                                                                  \
    FAIL_IF(counted('o', #name, AT_FDCWD, path, 0, NULL));                                                                        \
    return real(path, names, filter, compare);                                                                                    \
  }
LIST(scandir, dirent)
LIST(scandir64, dirent64)

ON_PATH('c', mkdir, (const char *path, mode_t mode), (path, mode), AT_FDCWD, path)
char *mkdtemp(char *pattern) {
  char dir[PATH_MAX];
  REAL(char *, mkdtemp, char *);
  int code;
  copy(dir, sizeof dir, pattern);
  code = counted('c', "mkdtemp", AT_FDCWD, dir, 0, NULL);
  if (code == 0) return real(pattern);
  errno = code;
  return NULL;
}
ON_PATH('c', mkdirat, (int dirfd, const char *path, mode_t mode), (dirfd, path, mode), dirfd, path)
ON_PATH('c', mknod, (const char *path, mode_t mode, dev_t device), (path, mode, device), AT_FDCWD, path)
ON_PATH('c', mknodat, (int dirfd, const char *path, mode_t mode, dev_t device), (dirfd, path, mode, device), dirfd, path)
ON_PATH('c', mkfifo, (const char *path, mode_t mode), (path, mode), AT_FDCWD, path)
ON_PATH('c', symlink, (const char *target, const char *path), (target, path), AT_FDCWD, path)
ON_PATH('c', symlinkat, (const char *target, int dirfd, const char *path), (target, dirfd, path), dirfd, path)
ON_TWO('c', link, (const char *old, const char *path), (old, path), AT_FDCWD, old, AT_FDCWD, path)
ON_TWO('c', linkat, (int from, const char *old, int dirfd, const char *path, int flags), (from, old, dirfd, path, flags), from, old, dirfd, path)

ON_TWO('r', rename, (const char *old, const char *path), (old, path), AT_FDCWD, old, AT_FDCWD, path)
ON_TWO('r', renameat, (int from, const char *old, int dirfd, const char *path), (from, old, dirfd, path), from, old, dirfd, path)
ON_TWO('r', renameat2, (int from, const char *old, int dirfd, const char *path, unsigned int flags), (from, old, dirfd, path, flags), from, old, dirfd, path)

ON_PATH('d', unlink, (const char *path), (path), AT_FDCWD, path)
ON_PATH('d', unlinkat, (int dirfd, const char *path, int flags), (dirfd, path, flags), dirfd, path)
ON_PATH('d', rmdir, (const char *path), (path), AT_FDCWD, path)

ON_BYTES('w', write, (int fd, const void *bytes, size_t length), (fd, bytes, length), fd)
ON_BYTES('w', writev, (int fd, const struct iovec *pieces, int count), (fd, pieces, count), fd)
ON_BYTES('w', pwrite, (int fd, const void *bytes, size_t length, off_t where), (fd, bytes, length, where), fd)
ON_BYTES('w', pwrite64, (int fd, const void *bytes, size_t length, off_t where), (fd, bytes, length, where), fd)
ON_BYTES('w', pwritev, (int fd, const struct iovec *pieces, int count, off_t where), (fd, pieces, count, where), fd)
ON_BYTES('w', pwritev64, (int fd, const struct iovec *pieces, int count, off_t where), (fd, pieces, count, where), fd)
ON_BYTES('w', sendfile, (int fd, int from, off_t *where, size_t length), (fd, from, where, length), fd)
ON_BYTES('w', sendfile64, (int fd, int from, off_t *where, size_t length), (fd, from, where, length), fd)
ON_BYTES('w', copy_file_range, (int from, off_t *where, int fd, off_t *to, size_t length, unsigned int flags), (from, where, fd, to, length, flags), fd)
ON_BYTES('R', read, (int fd, void *bytes, size_t length), (fd, bytes, length), fd)
ON_BYTES('R', readv, (int fd, const struct iovec *pieces, int count), (fd, pieces, count), fd)
ON_BYTES('R', pread, (int fd, void *bytes, size_t length, off_t where), (fd, bytes, length, where), fd)
ON_BYTES('R', pread64, (int fd, void *bytes, size_t length, off_t where), (fd, bytes, length, where), fd)
ON_BYTES('R', preadv, (int fd, const struct iovec *pieces, int count, off_t where), (fd, pieces, count, where), fd)
ON_BYTES('R', preadv64, (int fd, const struct iovec *pieces, int count, off_t where), (fd, pieces, count, where), fd)

ON_PATH('t', truncate, (const char *path, off_t length), (path, length), AT_FDCWD, path)
ON_PATH('t', ftruncate, (int fd, off_t length), (fd, length), fd, NULL)
ON_PATH('t', ftruncate64, (int fd, off_t length), (fd, length), fd, NULL)
ON_PATH('s', fsync, (int fd), (fd), fd, NULL)
ON_PATH('s', fdatasync, (int fd), (fd), fd, NULL)

ON_PATH('m', chmod, (const char *path, mode_t mode), (path, mode), AT_FDCWD, path)
ON_PATH('m', fchmod, (int fd, mode_t mode), (fd, mode), fd, NULL)
ON_PATH('m', fchmodat, (int dirfd, const char *path, mode_t mode, int flags), (dirfd, path, mode, flags), dirfd, path)
ON_PATH('m', chown, (const char *path, uid_t uid, gid_t gid), (path, uid, gid), AT_FDCWD, path)
ON_PATH('m', lchown, (const char *path, uid_t uid, gid_t gid), (path, uid, gid), AT_FDCWD, path)
ON_PATH('m', fchown, (int fd, uid_t uid, gid_t gid), (fd, uid, gid), fd, NULL)
ON_PATH('m', fchownat, (int dirfd, const char *path, uid_t uid, gid_t gid, int flags), (dirfd, path, uid, gid, flags), dirfd, path)
ON_PATH('m', utimensat, (int dirfd, const char *path, const struct timespec times[2], int flags), (dirfd, path, times, flags), dirfd, path)
ON_PATH('m', futimens, (int fd, const struct timespec times[2]), (fd, times), fd, NULL)
ON_PATH('m', utimes, (const char *path, const struct timeval times[2]), (path, times), AT_FDCWD, path)
ON_PATH('m', lutimes, (const char *path, const struct timeval times[2]), (path, times), AT_FDCWD, path)

ON_PATH('M', mount, (const char *from, const char *path, const char *type, unsigned long flags, const void *data), (from, path, type, flags, data), AT_FDCWD, path)
ON_PATH('M', umount, (const char *path), (path), AT_FDCWD, path)
ON_PATH('M', umount2, (const char *path, int flags), (path, flags), AT_FDCWD, path)
