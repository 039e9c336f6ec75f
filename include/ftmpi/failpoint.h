/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Failpoints: named places where a test makes the program fail. They are in every build; while none is armed one costs a load and
 * a predicted branch. Armed by the environment variable FTMPI_FAULT, through ftmpi_failpoints_arm:
 *
 *     point:action[,rank=R][,hit=N][;point:action…]       rank: any by default; hit: the n-th passage, 1 by default
 *
 * Actions: `kill` (SIGKILL to oneself), `exit=CODE` (_exit), `stop` (SIGSTOP to oneself), `stall=SECONDS` (sleep, then go on; without `=SECONDS` for ever),
 * `error=ERRNO` (the operation fails, with the errno given by name), `short` (a write stores half of its bytes and then fails with ENOSPC), `corrupt` (one
 * bit of the data is flipped), `nan` (one value becomes NaN), `skip` (the step is left out). A point that cannot do an action refuses it when it is armed.
 * Every firing prints one line on standard error first.
 */
#ifndef FTMPI_FAILPOINT_H
#define FTMPI_FAILPOINT_H

#include <ftmpi/status.h>

FTMPI_BEGIN_DECLS

/** What can be injected at a point, as bits. */
typedef enum ftmpi_fault_action {
	FTMPI_FAULT_NONE = 0,
	FTMPI_FAULT_KILL = 1,
	FTMPI_FAULT_EXIT = 2,
	FTMPI_FAULT_ERROR = 4,
	FTMPI_FAULT_SHORT = 8,
	FTMPI_FAULT_CORRUPT = 16,
	FTMPI_FAULT_NAN = 32,
	FTMPI_FAULT_SKIP = 64,
	FTMPI_FAULT_STOP = 128,
	FTMPI_FAULT_STALL = 256
} ftmpi_fault_action;

/** Actions that every point can do: the process ends or stands still. */
#define FTMPI_FAULT_ANYWHERE (FTMPI_FAULT_KILL | FTMPI_FAULT_EXIT | FTMPI_FAULT_STOP | FTMPI_FAULT_STALL)

/** The one list of failpoints: identifier, name, actions beside those, where it sits. */
#define FTMPI_FAILPOINT_LIST(X)                                                                                        \
	X(STEP_BEGIN, "step.begin", 0, "before a training step")                                                       \
	X(STEP_PARAMS, "step.params", FTMPI_FAULT_CORRUPT, "a rank's parameters, before the gradients")                \
	X(STEP_LOSS, "step.loss", FTMPI_FAULT_NAN, "the batch loss, before it is checked")                             \
	X(STEP_BEFORE_REDUCE, "step.before-reduce", 0, "gradients computed, not yet exchanged")                        \
	X(STEP_BEFORE_APPLY, "step.before-apply", 0, "gradients reduced, parameters not yet updated")                  \
	X(STEP_END, "step.end", 0, "after a training step")                                                            \
	X(EPOCH_END, "epoch.end", 0, "after an epoch and its validation")                                              \
	X(EVALUATE_PASS, "evaluate.pass", 0, "before a pass of an evaluation")                                         \
	X(SAVE_STAGE, "save.stage", FTMPI_FAULT_ERROR, "before the arrays are copied for a save")                      \
	X(SAVE_BEGIN, "save.begin", FTMPI_FAULT_ERROR, "arrays copied, before a checkpoint is built of them")          \
	X(SAVE_PARAMS, "save.params", FTMPI_FAULT_CORRUPT, "a rank's parameters, before a save compares them")         \
	X(SAVE_SLOTS, "save.slots", FTMPI_FAULT_CORRUPT,                                                               \
	  "the chief's copy of the other ranks' slots, before it is checked")                                          \
	X(SAVE_OPEN, "save.open", FTMPI_FAULT_ERROR, "opening the temporary file")                                     \
	X(SAVE_WRITE, "save.write", FTMPI_FAULT_ERROR | FTMPI_FAULT_SHORT | FTMPI_FAULT_CORRUPT,                       \
	  "writing the temporary file; death leaves half of it")                                                       \
	X(SAVE_FSYNC, "save.fsync", FTMPI_FAULT_ERROR, "fsync of the temporary file")                                  \
	X(SAVE_VERIFY, "save.verify", FTMPI_FAULT_ERROR, "reading the temporary file back")                            \
	X(SAVE_BEFORE_RENAME, "save.before-rename", FTMPI_FAULT_ERROR, "temporary complete, not yet renamed")          \
	X(SAVE_AFTER_RENAME, "save.after-rename", 0, "renamed, directory not yet synced")                              \
	X(SAVE_DIR_FSYNC, "save.dir-fsync", FTMPI_FAULT_ERROR, "fsync of the directory")                               \
	X(SAVE_STATE_FILE, "save.state-file", FTMPI_FAULT_ERROR, "before the state file lists the new checkpoint")     \
	X(SAVE_RETENTION, "save.retention", FTMPI_FAULT_ERROR, "listed; old checkpoints not yet deleted")              \
	X(SAVE_END, "save.end", 0, "after a save is complete")                                                         \
	X(SAVE_WAIT, "save.wait", 0, "before waiting for a save in flight")                                            \
	X(ROLLBACK_BEGIN, "rollback.begin", 0, "diverged, nothing restored yet")                                       \
	X(ROLLBACK_END, "rollback.end", 0, "gone back; what is passed over not yet saved")                             \
	X(RESTORE_BEGIN, "restore.begin", 0, "before the restore")                                                     \
	X(RESTORE_READ, "restore.read", FTMPI_FAULT_ERROR | FTMPI_FAULT_CORRUPT, "a checkpoint's bytes, as read")      \
	X(RESTORE_BEFORE_BROADCAST, "restore.before-broadcast", 0, "checkpoint chosen and read, not yet sent")         \
	X(RESTORE_RECEIVED, "restore.received", FTMPI_FAULT_CORRUPT, "an array, as received by a rank")                \
	X(RESTORE_END, "restore.end", 0, "after the restore")                                                          \
	X(RESTORE_POSITION, "restore.position", FTMPI_FAULT_SKIP, "setting the sample position")                       \
	X(RESTORE_SLOT, "restore.slot", FTMPI_FAULT_SKIP, "setting the optimizer's first slot")                        \
	X(RESTORE_RNG, "restore.rng", FTMPI_FAULT_SKIP, "setting the seed of the random numbers")                      \
	X(RESTORE_METRICS, "restore.metrics", FTMPI_FAULT_SKIP, "setting the metric accumulators")

typedef enum ftmpi_failpoint {
#define FTMPI_FAILPOINT_ENUM(id, name, actions, where) FTMPI_FP_##id,
	FTMPI_FAILPOINT_LIST(FTMPI_FAILPOINT_ENUM)
#undef FTMPI_FAILPOINT_ENUM
		FTMPI_FP_COUNT
} ftmpi_failpoint;

/**
 * Arm failpoints for this process. Local.
 * @param spec text as above; NULL or "" disarms all.
 * @param rank this process's rank.
 * Errors: ERR_USAGE (names the word that is wrong; nothing is armed then).
 */
FTMPI_API ftmpi_status ftmpi_failpoints_arm(const char *spec, int rank) FTMPI_CHECK_RESULT;

/** Name and place of a failpoint, for listings. Local. */
FTMPI_API const char *ftmpi_failpoint_name(ftmpi_failpoint point);
FTMPI_API const char *ftmpi_failpoint_where(ftmpi_failpoint point);
FTMPI_API int ftmpi_failpoint_actions(ftmpi_failpoint point);

/** Slow path of ftmpi_failpoint_hit. */
FTMPI_API ftmpi_fault_action ftmpi__failpoint_fire(ftmpi_failpoint point);

/** Not 0 while any failpoint is armed. */
FTMPI_API extern int ftmpi__failpoints_armed;

/**
 * Pass a failpoint: does not return for an action that ends the process, and late for one that makes it stand still; otherwise returns the action that
 * the caller carries out, FTMPI_FAULT_NONE nearly always. With FTMPI_FAULT_ERROR and FTMPI_FAULT_SHORT, errno is set. Local.
 */
static inline ftmpi_fault_action ftmpi_failpoint_hit(ftmpi_failpoint point)
{
	return ftmpi__failpoints_armed == 0 ? FTMPI_FAULT_NONE : ftmpi__failpoint_fire(point);
}

FTMPI_END_DECLS

#endif
