/* SPDX-License-Identifier: Apache-2.0 */
/* When to save, when a save counts, and what a failed one means.
 *
 * A save is decided where all ranks decide alike: by step, by epoch, by preemption; the chief's clock is heard through a flag that rides along with a
 * step, and so is the end of a save in flight. `saved_at_s` is saved too, so the phase of the clock goes on over relaunches. How many seconds apart
 * saves are can be left to cadence.h. */
#include "train/saver.h"

#include "base/clock.h"
#include "train/cadence.h"
#include "train/trainer.h"

#include <ftmpi/log.h>

#include <math.h>

struct ftmpi_saver {
	ftmpi_store *store;
	ftmpi_saver_options options;
	ftmpi_callback callback;
	ftmpi_manager *manager;
	double saved_at_s;  /* calendar; saved */
	double failed_at_s; /* calendar: the last try, if it failed since the last save */
	int64_t saved_step; /* −1: none in this fit */
	struct ftmpi__cadence cadence;
	struct {
		bool is_there;
		int64_t step;
		double saved_at_s, waited_s; /* saved_at_s: what it was before */
	} flight;                            /* the save in flight, alike on all ranks */
};

void ftmpi_saver_options_init(ftmpi_saver_options *options)
{
	*options = (ftmpi_saver_options){.save_epochs = 1, .overhead = 0.01};
}

static bool finds_out(const ftmpi_saver *s)
{
	return s->options.save_s == FTMPI_SAVE_AUTO;
}

static ftmpi_status attach(void *context, ftmpi_fit *fit)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_saver *s = context;

	s->saved_step = -1;
	s->flight.is_there = false;
	s->saved_at_s = ftmpi__calendar_s();
	s->failed_at_s = 0;
	FTMPI_TRY(ftmpi__cadence_attach(&s->cadence, finds_out(s) ? s->options.overhead : 0, fit));
	FTMPI_TRY(ftmpi_registry_add_scalar(ftmpi_checkpoint_registry(ftmpi_fit_checkpoint(fit)),
					    "ftmpi/run/saved_at_s", FTMPI_F64, &s->saved_at_s, FTMPI_RECORD));
done:
	return status;
}

/* Call a function of every listener on every rank; the end is agreed. */
#define LISTEN(saver, fit, function, ...)                                                                              \
	do {                                                                                                           \
		for (int i_ = 0; i_ < (saver)->options.n_listeners; i_++) {                                            \
			const ftmpi_saving_listener *l_ = (saver)->options.listeners[i_];                              \
                                                                                                                       \
			if (l_->function != NULL)                                                                      \
				FTMPI_TRY(ftmpi_agree(ftmpi_fit_comm(fit), l_->function(l_->context, __VA_ARGS__)));   \
		}                                                                                                      \
	} while (0)

/* An error of the file system; others end the fit. */
static bool may_go_on(const ftmpi_saver *s, ftmpi_status status, bool last)
{
	return !last && s->options.on_error == FTMPI_SAVE_ERROR_CONTINUE &&
	       (status == FTMPI_ERR_IO || status == FTMPI_ERR_NO_SPACE);
}

static void log_listeners(const ftmpi_saver *s, const char *when, int64_t step)
{
	if (s->options.log)
		ftmpi_log(FTMPI_LOG_INFO, "Calling checkpoint listeners %s saving checkpoint %lld...", when,
			  (long long)step);
}

/* @param saved_at_s what the clock counts from again. */
static ftmpi_status fail(ftmpi_saver *s, const ftmpi_fit *fit, int64_t step, double saved_at_s, bool last,
			 ftmpi_status status)
{
	s->failed_at_s = s->saved_at_s;
	s->saved_at_s = saved_at_s;
	if (!may_go_on(s, status, last))
		return status;
	if (ftmpi_comm_is_chief(ftmpi_fit_comm(fit)))
		ftmpi_log(FTMPI_LOG_WARNING,
			  "no checkpoint at step %lld: %s; going on, with another try at the next save",
			  (long long)step, ftmpi_error_message());
	ftmpi_error_clear();
	return FTMPI_OK;
}

/* It is durable. @param typical what it cost tells what the next ones will. */
static ftmpi_status announce(ftmpi_saver *s, ftmpi_fit *fit, const ftmpi_save_event *event, bool typical)
{
	ftmpi_status status = FTMPI_OK;
	bool stop = false;

	s->saved_step = event->step;
	s->failed_at_s = 0;
	ftmpi__fit_take_save(fit, *event);
	if (typical)
		ftmpi__cadence_saved(&s->cadence, fit, event->save_s, event->write_s);
	log_listeners(s, "after", event->step);
	LISTEN(s, fit, after_save, event->step, &stop);
	if (stop)
		ftmpi_fit_stop(fit);
done:
	return status;
}

ftmpi_status ftmpi__saver_finish(ftmpi_saver *s, ftmpi_fit *fit)
{
	ftmpi_status status = FTMPI_OK;
	const double begin_s = ftmpi__now_s();
	ftmpi_save_event event = {.step = s->flight.step};

	if (!s->flight.is_there)
		goto done;
	s->flight.is_there = false;
	status = ftmpi_manager_save_end(s->manager, NULL);
	if (status != FTMPI_OK) {
		status = fail(s, fit, s->flight.step, s->flight.saved_at_s, false, status);
		goto done;
	}
	event.save_s = s->flight.waited_s + ftmpi__now_s() - begin_s;
	event.write_s = ftmpi_manager_write_s(s->manager);
	FTMPI_TRY(announce(s, fit, &event, true));
done:
	return status;
}

/* Save, and go on when the state is copied. */
static ftmpi_status begin_write(ftmpi_saver *s, ftmpi_fit *fit, int64_t step)
{
	const double begin_s = ftmpi__now_s(), saved_at_s = s->saved_at_s;
	ftmpi_status status;

	s->saved_at_s = ftmpi__calendar_s();
	status = ftmpi_manager_save_begin(s->manager, &step, false, NULL);
	if (status != FTMPI_OK)
		return fail(s, fit, step, saved_at_s, false, status);
	s->flight.is_there = true;
	s->flight.step = step;
	s->flight.saved_at_s = saved_at_s;
	s->flight.waited_s = ftmpi__now_s() - begin_s;
	return status;
}

/* Save, and go on when it is durable. */
static ftmpi_status write_now(ftmpi_saver *s, ftmpi_fit *fit, int64_t step, bool last)
{
	ftmpi_status status = FTMPI_OK;
	const double begin_s = ftmpi__now_s(), saved_at_s = s->saved_at_s;
	ftmpi_save_event event = {.step = step};

	s->saved_at_s = ftmpi__calendar_s();
	status = ftmpi_manager_save(s->manager, &step, false, NULL);
	if (status != FTMPI_OK)
		return fail(s, fit, step, saved_at_s, last, status);
	event.save_s = event.write_s = ftmpi__now_s() - begin_s;
	return announce(s, fit, &event, !last);
}

static bool listens_after(const ftmpi_saver *s)
{
	for (int i = 0; i < s->options.n_listeners; i++)
		if (s->options.listeners[i]->after_save != NULL)
			return true;
	return false;
}

/* @param last nothing is saved after this one, or nothing must happen without it. */
static ftmpi_status save(ftmpi_saver *s, ftmpi_fit *fit, bool last)
{
	ftmpi_status status = FTMPI_OK;
	const int64_t step = ftmpi_fit_progress(fit).step;

	FTMPI_TRY(ftmpi__saver_finish(s, fit));
	log_listeners(s, "before", step);
	LISTEN(s, fit, before_save, step);
	if (s->options.log && s->store != NULL)
		ftmpi_log(FTMPI_LOG_INFO, "Saving checkpoints for %lld into %s/%s.", (long long)step,
			  ftmpi_store_directory(s->store), ftmpi_store_name(s->store));
	if (s->options.async && !last && !listens_after(s))
		FTMPI_TRY(begin_write(s, fit, step));
	else
		FTMPI_TRY(write_now(s, fit, step, last));
done:
	return status;
}

/* From now on an end is a failure; or it is none any more. */
static void set_at_work(const ftmpi_saver *s, bool at_work)
{
	if (s->store != NULL)
		ftmpi_store_set_at_work(s->store, at_work);
}

static ftmpi_status train_begin(void *context, ftmpi_fit *fit)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_saver *s = context;
	const ftmpi_progress p = ftmpi_fit_progress(fit);

	FTMPI_TRY(ftmpi_manager_create_on_store(ftmpi_fit_checkpoint(fit), s->store, NULL, &s->manager));
	s->saved_step = p.resumed ? p.step : -1;
	ftmpi__cadence_begin(&s->cadence, fit, s->store == NULL ? 0 : ftmpi_store_n_failures(s->store));
	set_at_work(s, true);
	for (int i = 0; i < s->options.n_listeners; i++)
		if (s->options.listeners[i]->begin != NULL)
			FTMPI_TRY(ftmpi_agree(ftmpi_fit_comm(fit),
					      s->options.listeners[i]->begin(s->options.listeners[i]->context)));
	if (s->options.at_begin)
		FTMPI_TRY(save(s, fit, false));
done:
	return status;
}

/* By the chief's clock. A save that failed is tried again after as long. What this saver finds out is no reason to wait for a save in flight. */
static bool is_due(ftmpi_saver *s, const ftmpi_fit *fit)
{
	const double since_s = ftmpi__calendar_s() - fmax(s->saved_at_s, s->failed_at_s);

	if (!finds_out(s))
		return since_s >= s->options.save_s;
	return (!s->flight.is_there || ftmpi_manager_save_ready(s->manager)) &&
	       ftmpi__cadence_is_due(&s->cadence, fit, since_s);
}

/* The chief's clock, and its writer; heard at the end of the step. */
static ftmpi_status batch_begin(void *context, ftmpi_fit *fit)
{
	ftmpi_saver *s = context;

	if (s->options.save_s != 0 && ftmpi_comm_is_chief(ftmpi_fit_comm(fit)) && is_due(s, fit))
		ftmpi_fit_want_save(fit);
	if (s->flight.is_there && ftmpi_manager_save_ready(s->manager))
		ftmpi__fit_tell_written(fit);
	return FTMPI_OK;
}

static bool wanted(const ftmpi_saver *s, ftmpi_fit *fit)
{
	const ftmpi_saver_options *o = &s->options;
	const ftmpi_progress p = ftmpi_fit_progress(fit);

	return (o->save_s != 0 && ftmpi_fit_save_wanted(fit)) || (o->save_steps > 0 && p.step % o->save_steps == 0) ||
	       (o->save_epochs > 0 && p.epoch_ended && p.epoch % o->save_epochs == 0);
}

/* A training that diverges does so again: that is no failure of the machine. */
static ftmpi_status diverged(void *context, ftmpi_fit *fit)
{
	(void)fit;
	set_at_work(context, false);
	return FTMPI_OK;
}

static ftmpi_status rewound(void *context, ftmpi_fit *fit)
{
	ftmpi_saver *s = context;

	(void)fit;
	set_at_work(s, true);
	ftmpi__cadence_rewound(&s->cadence);
	return FTMPI_OK;
}

/* After going back there is no going on without a save: it says which batches are passed over. */
static ftmpi_status settled(void *context, ftmpi_fit *fit)
{
	ftmpi_saver *s = context;
	ftmpi_status status = FTMPI_OK;
	const bool preempted = ftmpi_fit_preempted(fit), needed = preempted || ftmpi_fit_rewound(fit);

	if (ftmpi__fit_written(fit))
		FTMPI_TRY(ftmpi__saver_finish(s, fit));
	if (wanted(s, fit) || needed)
		FTMPI_TRY(save(s, fit, needed));
	if (preempted)
		set_at_work(s, false);
done:
	return status;
}

static ftmpi_status train_end(void *context, ftmpi_fit *fit)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_saver *s = context;
	const int64_t step = ftmpi_fit_progress(fit).step;

	FTMPI_TRY(ftmpi__saver_finish(s, fit));
	if (s->saved_step != step && !ftmpi_fit_diverged(fit))
		FTMPI_TRY(save(s, fit, true));
	set_at_work(s, false);
	LISTEN(s, fit, end, step);
done:
	return status;
}

static void detach(void *context)
{
	ftmpi_saver *s = context;

	ftmpi_manager_destroy(&s->manager);
}

ftmpi_status ftmpi_saver_create(ftmpi_store *store, const ftmpi_saver_options *options, ftmpi_saver **out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_saver *s = NULL;
	const bool automatic = options->save_s == FTMPI_SAVE_AUTO;

	if (options->save_steps < 0 || options->save_epochs < 0 || !(options->save_s >= 0 || automatic))
		FTMPI_FAIL(FTMPI_ERR_USAGE, "a number of steps, epochs or seconds between saves is negative");
	if (automatic && !(options->overhead > 0 && options->overhead <= 1))
		FTMPI_FAIL(FTMPI_ERR_USAGE, "saves may take %g of the time: give a part above 0 and at most 1",
			   options->overhead);
	FTMPI_TRY(FTMPI_ALLOC(1, &s));
	s->store = store;
	s->options = *options;
	s->callback = (ftmpi_callback){.context = s,
				       .name = "saver",
				       .attach = attach,
				       .train_begin = train_begin,
				       .batch_begin = batch_begin,
				       .diverged = diverged,
				       .rewound = rewound,
				       .settled = settled,
				       .train_end = train_end,
				       .detach = detach,
				       .alike = true};
	*out = s;
done:
	return status;
}

void ftmpi_saver_destroy(ftmpi_saver **saver)
{
	ftmpi_free(*saver);
	*saver = NULL;
}

const ftmpi_callback *ftmpi_saver_callback(const ftmpi_saver *s)
{
	return &s->callback;
}

ftmpi_manager *ftmpi__saver_manager(ftmpi_saver *s)
{
	return s->manager;
}
