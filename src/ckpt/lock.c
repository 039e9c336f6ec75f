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
 *     … N S M            checkpoint S, if it is there, knows of M of these N: it was about to get its name
 *     (empty)            not held, no failure */
#include "base/clock.h"
#include "ckpt/store_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <ftmpi/log.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HOLDER_TEXT = 300, NOTE_BYTES = 320, MOST_FAILURES = 1000000 };

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
	int64_t told_by,
		n_told; /* a checkpoint that knows of so many of these failures, if it is there; n_told 0: none */
	bool is_empty, is_good;
};

/* "N S M", or "N". */
static void read_failures(const char *at, struct note *note)
{
	at = ftmpi__parse_number(at, &note->n_failures);
	if (at == NULL)
		note->n_failures = 0;
	if (at != NULL && *at == ' ')
		at = ftmpi__parse_number(at + 1, &note->told_by);
	if (at == NULL || *at != ' ' || ftmpi__parse_number(at + 1, &note->n_told) == NULL)
		note->n_told = 0;
	note->n_failures = note->n_failures < MOST_FAILURES ? note->n_failures : MOST_FAILURES;
	note->n_told = note->n_told < note->n_failures ? note->n_told : note->n_failures;
}

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
	if (at != NULL && *at == ' ')
		read_failures(at + 1, note);
}

/* Shorter or longer than what was there: at no moment is the file empty, which would be a number forgotten. */
static bool write_note(int fd, const struct note *note)
{
	char line[NOTE_BYTES + 64], told[64] = "";
	int n;

	if (note->n_told > 0)
		(void)snprintf(told, sizeof told, " %lld %lld", (long long)note->told_by, (long long)note->n_told);
	n = snprintf(line, sizeof line, "%s %lld %lld%s\n", note->host, (long long)note->pid,
		     (long long)note->n_failures, told);
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

/* Say in the file who holds the lock. It is information: failing to write it is no reason not to run. */
static void write_holder(int fd)
{
	struct note note;

	read_note(fd, &note);
	note.n_failures += !note.is_empty && !(note.is_good && note.pid == 0);
	note.pid = getpid();
	memset(note.host, 0, sizeof note.host);
	if (gethostname(note.host, sizeof note.host - 1) != 0)
		(void)snprintf(note.host, sizeof note.host, "unknown");
	if (write_note(fd, &note))
		(void)fdatasync(fd);
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
		if (ftmpi__now_s() >= deadline)
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

ftmpi_status ftmpi__lock_take(const ftmpi__directory *directory, double wait_s, int *fd)
{
	ftmpi_status status = FTMPI_OK;
	const double deadline = ftmpi__now_s() + wait_s;
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
	write_holder(file);
	*fd = file;
	file = -1;
done:
	if (file >= 0)
		(void)close(file);
	return status;
}

int64_t ftmpi__lock_failures(int fd, const ftmpi__state *state)
{
	struct note note;

	read_note(fd, &note);
	if (note.is_good && note.n_told > 0) {
		note.n_failures -= ftmpi__items_find(state, note.told_by) >= 0 ? note.n_told : 0;
		note.n_told = 0;
		(void)write_note(fd, &note);
	}
	return note.n_failures;
}

void ftmpi__lock_tell_failures(int fd, int64_t number)
{
	struct note note;

	read_note(fd, &note);
	note.told_by = number;
	note.n_told = note.n_failures;
	if (note.is_good && note.n_failures > 0)
		(void)write_note(fd, &note);
}

void ftmpi__lock_forget_failures(int fd)
{
	struct note note;

	read_note(fd, &note);
	if (!note.is_good || note.n_failures == 0)
		return;
	note.n_failures = note.n_told = 0;
	(void)write_note(fd, &note);
}

/* What the file says counts, not what this process remembers: a child may have written it. */
void ftmpi__lock_release(int *fd, bool failed)
{
	struct flock lock = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
	struct note note;

	if (*fd < 0)
		return;
	read_note(*fd, &note);
	note.n_failures += failed;
	note.pid = 0;
	memcpy(note.host, "-", 2);
	if (note.n_failures > 0)
		(void)write_note(*fd, &note);
	else
		(void)ftruncate(*fd, 0);
	(void)fcntl(*fd, F_OFD_SETLK, &lock); /* closing is not enough where a forked process still has the file open */
	(void)close(*fd);
	*fd = -1;
}
