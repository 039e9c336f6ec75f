/* SPDX-License-Identifier: Apache-2.0 */
/* One writer per directory: a lock on `.ftmpi.lock` that dies with its process.
 *
 * Open-file-description locks: unlike POSIX's own they do not vanish when another part of the program closes the same file. The file is never
 * removed, since a second process could hold a lock on the removed one. A run whose launcher was killed holds its lock for some seconds more, hence
 * the waiting.
 *
 * The file says who holds the lock, for the message to those who wait, and how many holders failed since the last checkpoint:
 *
 *     HOST PROCESS N     held, after N failures; who finds this, and gets the lock, knows that the holder died: N + 1
 *     - 0 N              not held, after N failures
 *     (empty)            not held, no failure */
#include "ckpt/store_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <ftmpi/log.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { HOLDER_TEXT = 300, NOTE_BYTES = 320, MOST_FAILURES = 1000000 };

static double seconds(void)
{
	struct timespec now = {0};

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* 0, or an errno. */
static int try_lock(int fd)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int code;

	do
		code = fcntl(fd, F_OFD_SETLK, &lock);
	while (code != 0 && errno == EINTR);
	return code == 0 ? 0 : errno;
}

/* What the lock file says. */
struct note {
	char host[256];
	int64_t pid, n_failures; /* pid 0: nobody holds the lock */
	bool is_empty, is_good;
};

static void read_note(int fd, struct note *note)
{
	char line[NOTE_BYTES] = "";
	const char *at;
	size_t n_bytes;

	*note = (struct note){.is_empty = pread(fd, line, sizeof line - 1, 0) <= 0};
	n_bytes = strspn(line, "-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz");
	if (n_bytes == 0 || n_bytes >= sizeof note->host || line[n_bytes] != ' ')
		return;
	memcpy(note->host, line, n_bytes);
	at = ftmpi__parse_number(line + n_bytes + 1, &note->pid);
	note->is_good = at != NULL;
	if (at == NULL || *at != ' ' || ftmpi__parse_number(at + 1, &note->n_failures) == NULL)
		note->n_failures = 0;
	note->n_failures = note->n_failures < MOST_FAILURES ? note->n_failures : MOST_FAILURES;
}

/* Shorter or longer than what was there: at no moment is the file empty, which would be a number forgotten. */
static bool write_note(int fd, const char *host, long pid, int64_t n_failures)
{
	char line[NOTE_BYTES];
	const int n = snprintf(line, sizeof line, "%s %ld %lld\n", host, pid, (long long)n_failures);

	return pwrite(fd, line, (size_t)n, 0) == n && ftruncate(fd, n) == 0;
}

/* "process 1234 on host node7", from the file; what else is in it is not repeated. */
static void read_holder(int fd, char text[HOLDER_TEXT])
{
	struct note note;

	read_note(fd, &note);
	if (note.is_good && note.pid > 0)
		(void)snprintf(text, HOLDER_TEXT, "process %lld on host %s", (long long)note.pid, note.host);
	else
		(void)snprintf(text, HOLDER_TEXT, "another process");
}

/* Say in the file who holds the lock. It is information: failing to write it is no reason not to run. @return failures since the last checkpoint. */
static int64_t write_holder(int fd)
{
	char host[256] = "";
	struct note before;
	int64_t n_failures;

	read_note(fd, &before);
	n_failures = before.n_failures + (!before.is_empty && !(before.is_good && before.pid == 0));
	if (gethostname(host, sizeof host - 1) != 0)
		(void)snprintf(host, sizeof host, "unknown");
	if (write_note(fd, host, (long)getpid(), n_failures))
		(void)fdatasync(fd);
	return n_failures;
}

static ftmpi_status open_file(const ftmpi__directory *directory, int *fd)
{
	ftmpi_status status = FTMPI_OK;

	do
		*fd = openat(directory->fd, FTMPI__LOCK_FILE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK,
			     0666);
	while (*fd < 0 && errno == EINTR);
	if (*fd < 0)
		FTMPI_FAIL(ftmpi__io_status(errno),
			   "cannot open the lock file '%s/%s': %s (is the directory writable?)", directory->path,
			   FTMPI__LOCK_FILE, strerror(errno));
done:
	return status;
}

/* Whether the file that is locked is still the one in the directory. */
bool ftmpi__lock_held(const ftmpi__directory *directory, int fd)
{
	struct stat mine, there;

	return fstat(fd, &mine) == 0 && fstatat(directory->fd, FTMPI__LOCK_FILE, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
	       mine.st_dev == there.st_dev && mine.st_ino == there.st_ino;
}

/* Lock an open file, waiting until `deadline`. `*told` is set once the waiting was announced. */
static ftmpi_status lock_file(const ftmpi__directory *directory, int fd, double wait_s, double deadline, bool *told)
{
	ftmpi_status status = FTMPI_OK;
	const struct timespec pause = {.tv_nsec = 50000000};
	char holder[HOLDER_TEXT];
	int error;

	while ((error = try_lock(fd)) == EAGAIN || error == EACCES) {
		read_holder(fd, holder);
		if (seconds() >= deadline)
			FTMPI_FAIL(FTMPI_ERR_BUSY,
				   "'%s' is in use by %s (its lock did not come free within %g s): wait for that run "
				   "to end, "
				   "or use another directory",
				   directory->path, holder, wait_s);
		if (!*told)
			ftmpi_log(FTMPI_LOG_WARNING, "waiting up to %g s for the lock of '%s', held by %s", wait_s,
				  directory->path, holder);
		*told = true;
		(void)nanosleep(&pause, NULL);
	}
	if (error == ENOSYS || error == EOPNOTSUPP || error == ENOLCK || error == EINVAL)
		ftmpi_log(FTMPI_LOG_WARNING,
			  "the file system of '%s' has no locks (%s): nothing keeps a second run out of it",
			  directory->path, strerror(error));
	else if (error != 0)
		FTMPI_FAIL(ftmpi__io_status(error), "cannot lock '%s/%s': %s", directory->path, FTMPI__LOCK_FILE,
			   strerror(error));
done:
	return status;
}

ftmpi_status ftmpi__lock_take(const ftmpi__directory *directory, double wait_s, int *fd, int64_t *n_failures)
{
	ftmpi_status status = FTMPI_OK;
	const double deadline = seconds() + wait_s;
	bool told = false;
	int file = -1;

	FTMPI_TRY(open_file(directory, &file));
	for (;;) {
		FTMPI_TRY(lock_file(directory, file, wait_s, deadline, &told));
		if (ftmpi__lock_held(directory, file))
			break;
		(void)close(file); /* someone removed it meanwhile; a lock on it keeps nobody out */
		file = -1;
		FTMPI_TRY(open_file(directory, &file));
	}
	*n_failures = write_holder(file);
	*fd = file;
	file = -1;
done:
	if (file >= 0)
		(void)close(file);
	return status;
}

void ftmpi__lock_forget_failures(int fd)
{
	struct note note;

	read_note(fd, &note);
	if (note.is_good && note.n_failures > 0)
		(void)write_note(fd, note.host, (long)note.pid, 0);
}

/* What the file says counts, not what this process remembers: a child may have written it. */
void ftmpi__lock_release(int *fd, bool failed)
{
	struct flock lock = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
	struct note note;

	if (*fd < 0)
		return;
	read_note(*fd, &note);
	if (note.n_failures + failed > 0)
		(void)write_note(*fd, "-", 0, note.n_failures + failed);
	else
		(void)ftruncate(*fd, 0);
	(void)fcntl(*fd, F_OFD_SETLK, &lock); /* closing is not enough where a forked process still has the file open */
	(void)close(*fd);
	*fd = -1;
}
