/* SPDX-License-Identifier: Apache-2.0 */
/* The processes of an attempt: starting mpirun, its signals and its output, and that nothing of it is left.
 *
 * mpirun has a process group of its own, so that a Ctrl-C reaches it once, through the launcher. It gets SIGTERM when the launcher dies, and the
 * launcher is the reaper of whatever loses its parent below it: what is left after an attempt are children of this process, and are killed. All
 * events come through poll: signals by a signalfd, output by pipes. */
#include "app/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* How long what was killed may take to be gone. */
#define CLEAN_UP_S 30.0

enum { LONGEST_LINE = 65536 };

double launch__now_s(void)
{
	struct timespec now = {0};

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

ftmpi_status launch__open(struct launch *l)
{
	ftmpi_status status = FTMPI_OK;
	static const int numbers[] = {SIGCHLD, SIGTERM, SIGINT, SIGUSR1, SIGUSR2};
	sigset_t mask;
	ssize_t n;

	l->signals = l->out.fd = l->err.fd = -1;
	l->err.is_error = true;
	n = readlink("/proc/self/exe", l->program, sizeof l->program);
	if (n < 0 || (size_t)n >= sizeof l->program)
		FTMPI_FAIL(FTMPI_ERR_IO, "cannot find this program by /proc/self/exe: %s", strerror(errno));
	l->program[n] = '\0';
	FTMPI_TRY(launch__find_children(&l->others));
	(void)sigemptyset(&mask);
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
		(void)sigaddset(&mask, numbers[i]);
	if (sigprocmask(SIG_BLOCK, &mask, &l->old_mask) != 0 || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0)
		FTMPI_FAIL(FTMPI_ERR_INTERNAL, "cannot prepare for child processes: %s", strerror(errno));
	l->signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	if (l->signals < 0)
		FTMPI_FAIL(FTMPI_ERR_IO, "signalfd: %s", strerror(errno));
done:
	return status;
}

void launch__close(struct launch *l)
{
	if (l->signals >= 0)
		(void)close(l->signals);
	l->signals = -1;
	ftmpi_buffer_clear(&l->out.line);
	ftmpi_buffer_clear(&l->err.line);
	ftmpi_buffer_clear(&l->attempts);
	ftmpi_buffer_clear(&l->others);
}

/* Open MPI's mpirun asks a silent node whether it lives: within half a minute, and not within eight as by itself. What the user says of it holds. */
static bool ask_nodes_soon(void)
{
	return setenv("OMPI_MCA_oob_tcp_keepalive_time", "10", 0) == 0 &&
	       setenv("OMPI_MCA_oob_tcp_keepalive_intvl", "5", 0) == 0 &&
	       setenv("OMPI_MCA_oob_tcp_keepalive_probes", "3", 0) == 0;
}

/* In the new process. Tells by `failed` why exec failed; it closes when exec does not. */
static void become(const struct launch *l, char *const *argv, const char *fault, const int *out, const int *err,
		   int failed, pid_t parent)
{
	const int nothing = open("/dev/null", O_RDONLY);
	int code;

	(void)setpgid(0, 0);
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
	(void)sigprocmask(SIG_SETMASK, &l->old_mask, NULL);
	if (nothing > STDIN_FILENO && dup2(nothing, STDIN_FILENO) == STDIN_FILENO)
		(void)close(nothing);
	if (getppid() == parent && dup2(err[1], STDERR_FILENO) >= 0 &&
	    (out[1] < 0 || dup2(out[1], STDOUT_FILENO) >= 0) && ask_nodes_soon() &&
	    (fault == NULL || setenv("FTMPI_FAULT", fault, 1) == 0))
		(void)execvp(argv[0], argv);
	code = errno;
	(void)!write(failed, &code, sizeof code);
	_exit(127);
}

static void close_pipe(int *ends)
{
	for (int i = 0; i < 2; i++)
		if (ends[i] >= 0)
			(void)close(ends[i]);
	ends[0] = ends[1] = -1;
}

/* Waits until the new process is mpirun, or could not be. @param failed its end of the pipe. */
static ftmpi_status see_started(struct launch *l, const char *name, int failed)
{
	ftmpi_status status = FTMPI_OK;
	int code = 0;
	ssize_t n;

	do
		n = read(failed, &code, sizeof code);
	while (n < 0 && errno == EINTR);
	if (n == 0)
		goto done;
	(void)waitpid(l->pid, NULL, 0);
	l->pid = 0;
	FTMPI_FAIL(code == ENOENT || code == EACCES ? FTMPI_ERR_NOT_FOUND : FTMPI_ERR_IO,
		   "cannot run '%s': %s (--mpirun names another launcher)", name, strerror(code));
done:
	return status;
}

static void take_stream(struct launch_stream *stream, int *ends)
{
	if (ends[0] < 0)
		return;
	stream->fd = ends[0];
	ends[0] = -1;
	(void)fcntl(stream->fd, F_SETFL, O_NONBLOCK);
}

ftmpi_status launch__start(struct launch *l, char *const *argv, const char *fault)
{
	ftmpi_status status = FTMPI_OK;
	int out[2] = {-1, -1}, err[2] = {-1, -1}, failed[2] = {-1, -1};
	const pid_t parent = getpid();

	if ((l->chaos != NULL && pipe2(out, O_CLOEXEC) != 0) || pipe2(err, O_CLOEXEC) != 0 ||
	    pipe2(failed, O_CLOEXEC) != 0)
		FTMPI_FAIL(FTMPI_ERR_IO, "cannot make a pipe: %s", strerror(errno));
	(void)fflush(NULL);
	l->pid = fork();
	if (l->pid == 0)
		become(l, argv, fault, out, err, failed[1], parent);
	if (l->pid < 0) {
		l->pid = 0;
		FTMPI_FAIL(FTMPI_ERR_IO, "cannot start a process: %s", strerror(errno));
	}
	(void)close(failed[1]);
	failed[1] = -1;
	FTMPI_TRY(see_started(l, argv[0], failed[0]));
	take_stream(&l->out, out);
	take_stream(&l->err, err);
done:
	close_pipe(out);
	close_pipe(err);
	close_pipe(failed);
	return status;
}

/* The direct child's end counts; others are orphans that came to this process. */
static void reap(struct launch *l)
{
	int wait_status;
	pid_t pid;

	while ((pid = waitpid(-1, &wait_status, WNOHANG)) > 0)
		if (pid == l->pid) {
			l->pid = 0;
			l->wait_status = wait_status;
		}
}

/* A signal to the launcher is for the training. A second one that ends it is for everything. */
static void pass_on(struct launch *l, int number)
{
	const bool ends = number == SIGTERM || number == SIGINT;

	l->stop_signal = number;
	l->n_ends += ends;
	if (l->pid > 0)
		(void)kill(l->pid, ends && l->n_ends > 1 ? SIGKILL : number);
}

static void take_signals(struct launch *l)
{
	struct signalfd_siginfo info;

	while (read(l->signals, &info, sizeof info) == (ssize_t)sizeof info) {
		if (info.ssi_signo == SIGCHLD)
			reap(l);
		else
			pass_on(l, (int)info.ssi_signo);
	}
}

static void write_all(int fd, const char *data, size_t n_bytes)
{
	while (n_bytes > 0) {
		const ssize_t n = write(fd, data, n_bytes);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		data += n;
		n_bytes -= (size_t)n;
	}
}

/* A whole line. What mpirun says on its error output went on already, as it came. */
static void hear(struct launch *l, struct launch_stream *stream)
{
	struct launch_attempt *a = launch__attempt(l, launch__n_attempts(l) - 1);
	bool passed = true;

	if (stream->is_error)
		launch__hear(a, stream->line.data);
	if (l->chaos != NULL)
		passed = launch__chaos_hear(l, a, stream->line.data, stream->is_error);
	if (stream->is_error || !passed)
		return;
	(void)printf("%s\n", stream->line.data);
	(void)fflush(stdout);
}

static ftmpi_status split_lines(struct launch *l, struct launch_stream *stream, const char *data, size_t n_bytes)
{
	ftmpi_status status = FTMPI_OK;

	while (n_bytes > 0) {
		const char *end = memchr(data, '\n', n_bytes);
		const size_t n = end == NULL ? n_bytes : (size_t)(end - data);

		FTMPI_TRY(ftmpi_buffer_append(&stream->line, data, n));
		if (end != NULL || stream->line.n_bytes > LONGEST_LINE) {
			hear(l, stream);
			FTMPI_TRY(ftmpi_buffer_resize(&stream->line, 0));
		}
		data += n + (end != NULL);
		n_bytes -= n + (end != NULL);
	}
done:
	return status;
}

/* What there is to read, at most as much as one read gives. @param more set when there may be more at once. */
static ftmpi_status read_stream(struct launch *l, struct launch_stream *stream, bool *more)
{
	ftmpi_status status = FTMPI_OK;
	char data[16384];
	ssize_t n;

	*more = false;
	if (stream->fd < 0)
		goto done;
	n = read(stream->fd, data, sizeof data);
	*more = n > 0 || (n < 0 && errno == EINTR);
	if (n == 0) {
		(void)close(stream->fd);
		stream->fd = -1;
	}
	if (n <= 0)
		goto done;
	if (stream->is_error)
		write_all(STDERR_FILENO, data, (size_t)n);
	FTMPI_TRY(split_lines(l, stream, data, (size_t)n));
done:
	return status;
}

ftmpi_status launch__wait(struct launch *l, double until_s)
{
	ftmpi_status status = FTMPI_OK;
	struct pollfd events[] = {{.fd = l->signals, .events = POLLIN},
				  {.fd = l->out.fd, .events = POLLIN},
				  {.fd = l->err.fd, .events = POLLIN}};
	const double wait_s = until_s - launch__now_s();
	const int timeout_ms = wait_s > 3600 ? 3600000 : wait_s <= 0 ? 0 : (int)ceil(wait_s * 1e3);
	bool more;

	if (poll(events, 3, timeout_ms) < 0 && errno != EINTR)
		FTMPI_FAIL(FTMPI_ERR_IO, "poll: %s", strerror(errno));
	take_signals(l);
	if (events[1].revents != 0)
		FTMPI_TRY(read_stream(l, &l->out, &more));
	if (events[2].revents != 0)
		FTMPI_TRY(read_stream(l, &l->err, &more));
done:
	return status;
}

/* The last of a stream. Whoever could still write is gone, so what is there is all. */
static ftmpi_status drain(struct launch *l, struct launch_stream *stream)
{
	ftmpi_status status = FTMPI_OK;
	bool more = true;

	while (more)
		FTMPI_TRY(read_stream(l, stream, &more));
	if (stream->line.n_bytes > 0)
		hear(l, stream);
	FTMPI_TRY(ftmpi_buffer_resize(&stream->line, 0));
done:
	if (stream->fd >= 0)
		(void)close(stream->fd);
	stream->fd = -1;
	return status;
}

static bool is_other(const struct launch *l, pid_t pid)
{
	const pid_t *others = (const pid_t *)(const void *)l->others.data;

	for (size_t i = 0; i < l->others.n_bytes / sizeof pid; i++)
		if (others[i] == pid)
			return true;
	return false;
}

/* @param n_left set to how many there were. */
static ftmpi_status kill_children(const struct launch *l, int *n_left)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_buffer children = {0};
	const pid_t *pids;

	FTMPI_TRY(launch__find_children(&children));
	pids = (const pid_t *)(const void *)children.data;
	*n_left = 0;
	for (size_t i = 0; i < children.n_bytes / sizeof *pids; i++) {
		if (is_other(l, pids[i]))
			continue;
		(void)kill(pids[i], SIGKILL);
		(*n_left)++;
	}
done:
	ftmpi_buffer_clear(&children);
	return status;
}

/* A process whose parent is killed becomes a child of this one, so killing children until there are none reaches all. */
ftmpi_status launch__clean_up(struct launch *l)
{
	ftmpi_status status = FTMPI_OK;
	const double deadline = launch__now_s() + CLEAN_UP_S;
	int n_left;

	FTMPI_TRY(kill_children(l, &n_left));
	while (n_left > 0 && launch__now_s() < deadline) {
		FTMPI_TRY(launch__wait(l, launch__now_s() + 0.02));
		reap(l);
		FTMPI_TRY(kill_children(l, &n_left));
	}
	if (n_left > 0)
		ftmpi_log(FTMPI_LOG_WARNING, "%d processes of the attempt do not die, though they were killed", n_left);
	FTMPI_TRY(drain(l, &l->out));
	FTMPI_TRY(drain(l, &l->err));
done:
	return status;
}
