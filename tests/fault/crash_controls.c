/* SPDX-License-Identifier: Apache-2.0 */
/* Which sync is which is told by what came before it:
 *
 *     save N                      the shim's mark
 *     create, write, fsync        of ckpt-N.weights.h5.tmp          DATA
 *     state file, fsync, rename,  where N was listed before;        STATE, UNLIST
 *     fsync directory
 *     rename ckpt-N; fsync dir. where there was one                 RENAME
 *     state file …, fsync dir.                                      STATE, LIST
 *     remove …, state file, fsync dir.                              STATE, RETAIN
 *     saved N
 *
 * After the lock was taken the directory is synced too (OPENING), and before something is deleted when an earlier fsync had failed (DELETION). */
#include "crash_controls.h"

#include <string.h>

enum {
	DATA,
	STATE,
	UNLIST,
	RENAME,
	LIST,
	RETAIN,
	OPENING,
	DELETION,
	PARENT,
	LOCK,
	SYNC_LATE,
	LIST_EARLY,
	DELETE_EARLY,
	UNLIST_LATE,
	N_CONTROLS
};

static const crash_control controls[N_CONTROLS] = {
	[DATA] = {"fsync of a checkpoint's temporary", false, true, NULL},
	[STATE] = {"fsync of the state file's temporary", false, true, NULL},
	[UNLIST] = {"fsync of the directory after the digest of what is replaced was taken off the list", false, true,
		    NULL},
	[RENAME] = {"fsync of the directory after the rename of a checkpoint over another", false, true, NULL},
	[LIST] = {"fsync of the directory after the checkpoint was listed", false, true, NULL},
	[RETAIN] = {"fsync of the directory after the last list of a save, a pruning or a restore", false, false,
		    "an older list names files that are gone, which the next opening bears; nothing builds on it"},
	[OPENING] = {"fsync of the directory at the opening", false, true, NULL},
	[DELETION] = {"fsync of the directory before checkpoints are deleted", false, true, NULL},
	[PARENT] = {"fsync of the directory above", false, true, NULL},
	[LOCK] = {"fdatasync of the lock file", false, false, "what is in it is information for people"},
	[SYNC_LATE] = {"a checkpoint is synced after its rename", true, true, NULL},
	[LIST_EARLY] = {"a checkpoint is listed before its rename", true, true, NULL},
	[DELETE_EARLY] = {"old checkpoints are deleted before the new one is written", true, true, NULL},
	[UNLIST_LATE] = {"the digest of what is replaced is taken off the list after the rename", true, true, NULL},
};

int crash_n_controls(void)
{
	return N_CONTROLS;
}

const crash_control *crash_control_get(int i)
{
	return &controls[i];
}

static bool ends_with(const char *text, const char *end)
{
	const size_t n = strlen(text), m = strlen(end);

	return n >= m && strcmp(text + n - m, end) == 0;
}

static bool is_rename_of(const crash_op *op, const char *end)
{
	return op->record.kind == SHIM_RENAME && ends_with(op->to, end);
}

/* A sync of the directory after its state file was renamed: which of a save's state files that was. */
static int state_control_of(const crash_log *log, int op)
{
	for (int i = op - 2; i >= 0 && log->ops[i].record.kind < SHIM_SAVE; i--) {
		if (is_rename_of(&log->ops[i], "/checkpoint") || log->ops[i].record.kind == SHIM_REMOVE)
			return RETAIN;
		if (is_rename_of(&log->ops[i], ".weights.h5"))
			return LIST;
		if (log->ops[i].record.kind == SHIM_SYNC && ends_with(log->ops[i].path, ".weights.h5.tmp"))
			return UNLIST;
	}
	return RETAIN;
}

int crash_control_of(const crash_log *log, int op)
{
	const crash_op *at = &log->ops[op], *before = op > 0 ? at - 1 : at;

	if (at->record.kind == SHIM_SYNC && ends_with(at->path, ".weights.h5.tmp"))
		return DATA;
	if (at->record.kind == SHIM_SYNC && ends_with(at->path, "/checkpoint.tmp"))
		return STATE;
	if (at->record.kind == SHIM_SYNC && ends_with(at->path, ".ftmpi.lock"))
		return LOCK;
	if (at->record.kind != SHIM_SYNC_DIRECTORY)
		return -1;
	if (at->path[0] == '\0')
		return PARENT;
	if (is_rename_of(before, ".weights.h5"))
		return RENAME;
	if (is_rename_of(before, "/checkpoint"))
		return state_control_of(log, op);
	return ends_with(before->path, ".ftmpi.lock") ? OPENING : DELETION;
}

/* Move `n` operations so that they begin at index `to`. */
static void move(crash_log *log, int from, int n, int to)
{
	for (int i = 0; i < n; i++) {
		const crash_op op = log->ops[to < from ? from + i : from];
		const int at = to < from ? from + i : from, target = to < from ? to + i : to + n - 1;

		if (target < at)
			memmove(&log->ops[target + 1], &log->ops[target], (size_t)(at - target) * sizeof op);
		else
			memmove(&log->ops[at], &log->ops[at + 1], (size_t)(target - at) * sizeof op);
		log->ops[target] = op;
	}
}

/* A whole save: where its parts are. −1: it has no such part. */
struct save {
	int create, sync, rename, list, list_end, first_remove, n_removes,
		end; /* list: the state file's first operation */
};

static bool find_save(const crash_log *log, int begin, struct save *s)
{
	*s = (struct save){-1, -1, -1, -1, -1, -1, 0, -1};
	for (int i = begin + 1; i < log->n_ops; i++) {
		const crash_op *op = &log->ops[i];

		if (op->record.kind == SHIM_CREATE && ends_with(op->path, ".weights.h5.tmp"))
			s->create = i;
		if (op->record.kind == SHIM_SYNC && ends_with(op->path, ".weights.h5.tmp"))
			s->sync = i;
		if (is_rename_of(op, ".weights.h5"))
			s->rename = i;
		if (s->list < 0 && s->rename >= 0 && op->record.kind == SHIM_CREATE)
			s->list = i;
		if (s->list_end < 0 && s->list >= 0 && op->record.kind == SHIM_SYNC_DIRECTORY)
			s->list_end = i;
		if (s->list_end >= 0 && op->record.kind == SHIM_REMOVE) {
			s->first_remove = s->first_remove < 0 ? i : s->first_remove;
			s->n_removes++;
		}
		if (op->record.kind >= SHIM_SAVE) {
			s->end = i;
			return op->record.kind == SHIM_SAVED && s->create >= 0 && s->sync >= 0 && s->rename >= 0 &&
			       s->list_end >= 0;
		}
	}
	return false;
}

/* Swap in one save; false where it has no such part. */
static bool swap(int control, crash_log *log, int begin)
{
	struct save s;

	if (!find_save(log, begin, &s))
		return false;
	switch (control) {
	case SYNC_LATE:
		move(log, s.sync, 1, s.rename);
		return true;
	case LIST_EARLY:
		move(log, s.list, s.list_end - s.list + 1, s.rename);
		return true;
	case DELETE_EARLY:
		if (s.n_removes > 0)
			move(log, s.first_remove, s.n_removes, s.create);
		return s.n_removes > 0;
	default:
		if (s.rename > s.sync + 1)
			move(log, s.sync + 1, s.rename - s.sync - 1, s.list - (s.rename - s.sync - 1));
		return s.rename > s.sync + 1;
	}
}

int crash_control_apply(int control, crash_log *log)
{
	int n = 0;

	for (int i = 0; i < log->n_ops; i++) {
		if (controls[control].swaps) {
			n += log->ops[i].record.kind == SHIM_SAVE && swap(control, log, i);
		} else if (crash_control_of(log, i) == control) {
			log->ops[i].dropped = true;
			n++;
		}
	}
	return n;
}
