/* SPDX-License-Identifier: Apache-2.0 */
/* When to save, and what a failed save means.
 *
 * A save is decided where all ranks decide alike: by step, by epoch, by preemption; the chief's clock is heard through a flag that rides along with a
 * step. `saved_at_s` is saved too, so the phase of the clock goes on over relaunches. How many seconds apart saves are can be left to cadence.h. */
#include "train/saver.h"

#include "train/cadence.h"
#include "train/clock.h"

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

static ftmpi_status write_checkpoint(ftmpi_saver *s, ftmpi_fit *fit, int64_t step, bool last)
{
	ftmpi_status status = FTMPI_OK;
	const double begin_s = ftmpi__now_s(), saved_at_s = s->saved_at_s;
	double save_s;

	s->saved_at_s = ftmpi__calendar_s();
	status = ftmpi_manager_save(s->manager, &step, false, NULL);
	if (status == FTMPI_OK) {
		s->saved_step = step;
		s->failed_at_s = 0;
		save_s = ftmpi__now_s() - begin_s;
		ftmpi_fit_saved(fit, save_s);
		if (!last)
			ftmpi__cadence_saved(&s->cadence, fit, save_s);
		return status;
	}
	s->failed_at_s = s->saved_at_s;
	s->saved_at_s = saved_at_s;
	if (!may_go_on(s, status, last))
		return status;
	if (ftmpi_comm_is_chief(ftmpi_fit_comm(fit)))
		ftmpi_log(
			FTMPI_LOG_WARNING,
			"no checkpoint at step %lld: %s; older ones stay; going on, with another try at the next save",
			(long long)step, ftmpi_error_message());
	ftmpi_error_clear();
	return FTMPI_OK;
}

static void log_listeners(const ftmpi_saver *s, const char *when, int64_t step)
{
	if (s->options.log)
		ftmpi_log(FTMPI_LOG_INFO, "Calling checkpoint listeners %s saving checkpoint %lld...", when,
			  (long long)step);
}

/* @param last nothing is saved after this one, or nothing must happen without it. */
static ftmpi_status save(ftmpi_saver *s, ftmpi_fit *fit, bool last)
{
	ftmpi_status status = FTMPI_OK;
	const int64_t step = ftmpi_fit_progress(fit).step;
	bool stop = false;

	log_listeners(s, "before", step);
	LISTEN(s, fit, before_save, step);
	if (s->options.log && s->store != NULL)
		ftmpi_log(FTMPI_LOG_INFO, "Saving checkpoints for %lld into %s/%s.", (long long)step,
			  ftmpi_store_directory(s->store), ftmpi_store_name(s->store));
	FTMPI_TRY(write_checkpoint(s, fit, step, last));
	log_listeners(s, "after", step);
	LISTEN(s, fit, after_save, step, &stop);
	if (stop)
		ftmpi_fit_stop(fit);
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

/* By the chief's clock. A save that failed is tried again after as long. */
static bool is_due(ftmpi_saver *s, const ftmpi_fit *fit)
{
	const double since_s = ftmpi__calendar_s() - fmax(s->saved_at_s, s->failed_at_s);

	return finds_out(s) ? ftmpi__cadence_is_due(&s->cadence, fit, since_s) : since_s >= s->options.save_s;
}

/* Heard at the end of the step. */
static ftmpi_status batch_begin(void *context, ftmpi_fit *fit)
{
	ftmpi_saver *s = context;

	if (s->options.save_s != 0 && ftmpi_comm_is_chief(ftmpi_fit_comm(fit)) && is_due(s, fit))
		ftmpi_fit_want_save(fit);
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
