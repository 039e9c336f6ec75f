/* SPDX-License-Identifier: Apache-2.0 */
/** @file All of ftmpi's public headers. */
#ifndef FTMPI_FTMPI_H
#define FTMPI_FTMPI_H

#include <ftmpi/batches.h>
#include <ftmpi/callback.h>
#include <ftmpi/callbacks.h>
#include <ftmpi/checkpoint.h>
#include <ftmpi/comm.h>
#include <ftmpi/compile.h>
#include <ftmpi/dataset.h>
#include <ftmpi/display.h>
#include <ftmpi/estimator.h>
#include <ftmpi/evaluator.h>
#include <ftmpi/events.h>
#include <ftmpi/exchange.h>
#include <ftmpi/failpoint.h>
#include <ftmpi/hash.h>
#include <ftmpi/keras.h>
#include <ftmpi/keyvalue.h>
#include <ftmpi/learner.h>
#include <ftmpi/log.h>
#include <ftmpi/loss.h>
#include <ftmpi/manager.h>
#include <ftmpi/memory.h>
#include <ftmpi/model.h>
#include <ftmpi/optimizer.h>
#include <ftmpi/order.h>
#include <ftmpi/preemption.h>
#include <ftmpi/reader.h>
#include <ftmpi/registry.h>
#include <ftmpi/rng.h>
#include <ftmpi/rollback.h>
#include <ftmpi/saver.h>
#include <ftmpi/slice.h>
#include <ftmpi/status.h>
#include <ftmpi/store.h>
#include <ftmpi/trainer.h>
#include <ftmpi/version.h>
#include <ftmpi/watchdog.h>

#endif
