/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * TensorBoard event files: scalars over steps. Local: one process at a time writes a log folder.
 *
 * A file is a sequence of TFRecords (length, masked CRC-32C of it, an Event in protocol buffers' encoding, masked CRC-32C of that). A relaunch goes on in the
 * same folder without doubled steps: what earlier files say of steps beyond the one it goes on from is dropped.
 */
#ifndef FTMPI_EVENTS_H
#define FTMPI_EVENTS_H

#include <ftmpi/status.h>
#include <stdint.h>

FTMPI_BEGIN_DECLS

typedef struct ftmpi_events ftmpi_events;

/**
 * Open a log folder, made with its parents if missing. Event files of earlier launches in it lose their events of steps > `step` (a new file is written
 * beside and renamed over the old one, so a crash in between loses nothing of the others); a last record that a crash cut off is dropped, with a warning.
 * No file is removed, even when none of its events is left: a TensorBoard that is reading it would not go on to the next. Files of other programs are left
 * alone, and so is one with a name of ftmpi's that is no event file, with a warning. Then `events.out.tfevents.<seconds>.<host>.<process>.<n>.ftmpi` is begun,
 * with the mark of a session's start at `step` + 1: a TensorBoard that has read the dropped events forgets them. Its <seconds> are later than those of all event
 * files in the folder, since TensorBoard reads files in the order of their names.
 * @param step the step that training goes on from; −1: begin anew, all earlier events of ftmpi's own files are dropped.
 * Errors: ERR_IO, ERR_NO_SPACE, ERR_MEMORY; events of steps > `step` may be dropped from some of the files then, never others.
 */
FTMPI_API ftmpi_status ftmpi_events_open(const char *directory, int64_t step, ftmpi_events **out) FTMPI_CHECK_RESULT;

/**
 * Add a scalar, at this moment's wall time. It is in the file after the next flush; after some thousand scalars one is made here.
 * @param tag "epoch_loss" or the like, UTF-8; TensorBoard groups by what is before a '/'. @param value stored as a float.
 * Errors: ERR_MEMORY, ERR_IO, ERR_NO_SPACE; the scalar is not added then.
 */
FTMPI_API ftmpi_status ftmpi_events_add_scalar(ftmpi_events *events, const char *tag, int64_t step,
					       double value) FTMPI_CHECK_RESULT;

/**
 * Write what was added: a crash of the process does not lose it any more (one of the machine may: no fsync). After an error all of it is kept, and the next
 * flush writes it to the same place. Errors: ERR_IO, ERR_NO_SPACE.
 */
FTMPI_API ftmpi_status ftmpi_events_flush(ftmpi_events *events) FTMPI_CHECK_RESULT;

/** Flush and close; an error is a warning. NULLs the pointer; NULL is fine. */
FTMPI_API void ftmpi_events_close(ftmpi_events **events);

FTMPI_END_DECLS

#endif
