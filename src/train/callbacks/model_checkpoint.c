/* SPDX-License-Identifier: Apache-2.0 */
/* ModelCheckpoint: files beside the backups, for people and for Keras. Whether to save is decided at the end of an epoch or a batch; the file is written when
 * the state has settled, so it can be restored from too. */
#include "train/callbacks/common.h"

#include "train/clock.h"

#include <ftmpi/log.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SUFFIX ".weights.h5"

struct model_checkpoint {
	char filepath[FTMPI__TEXT_BYTES]; /* without SUFFIX */
	char entry[64]; /* of its state in a checkpoint: the file path's digest, so that several can be told apart */
	ftmpi_model_checkpoint_options options;
	struct ftmpi__monitor monitor;
	double best;
	bool due;
	int64_t last_step;              /* batches are counted from it */
	char target[FTMPI__TEXT_BYTES]; /* of the save that is due */
};

void ftmpi_model_checkpoint_options_init(ftmpi_model_checkpoint_options *options)
{
	*options = (ftmpi_model_checkpoint_options){.monitor = "val_loss"};
}

static ftmpi_status attach(void *context, ftmpi_fit *fit)
{
	struct model_checkpoint *m = context;

	m->best = ftmpi__monitor_worst(&m->monitor);
	m->due = false;
	return ftmpi__callback_track(fit, m->entry, "best", FTMPI_F64, &m->best);
}

/* The text of one field, "epoch:02d" or "val_loss:.2f": appended. */
static ftmpi_status append_field(ftmpi_buffer *out, const char *field, size_t n, const ftmpi_fit *fit)
{
	ftmpi_status status = FTMPI_OK;
	const char *colon = memchr(field, ':', n);
	const size_t n_name = colon == NULL ? n : (size_t)(colon - field), n_form = colon == NULL ? 0 : n - n_name - 1;
	char name[FTMPI__MONITOR_BYTES] = "", form[16] = "";
	double value;

	if (n_name >= sizeof name || n_form >= sizeof form)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "model checkpoint: the field {%.*s} is too long", (int)n, field);
	memcpy(name, field, n_name);
	if (n_form > 0)
		memcpy(form, colon + 1, n_form);
	if (strcmp(name, "epoch") == 0) {
		const int width = n_form > 0 && form[n_form - 1] == 'd' ? (int)strtol(form, NULL, 10) : 0;

		FTMPI_TRY(ftmpi_buffer_printf(out, form[0] == '0' ? "%0*lld" : "%*lld", width < 20 ? width : 20,
					      (long long)ftmpi_fit_progress(fit).epoch + 1));
		goto done;
	}
	if (!ftmpi_logs_find(ftmpi_fit_logs(fit), name, &value))
		FTMPI_FAIL(FTMPI_ERR_USAGE, "model checkpoint: there is no '%s' for the field {%.*s}", name, (int)n,
			   field);
	if (n_form >= 3 && form[0] == '.' && form[n_form - 1] == 'f')
		FTMPI_TRY(ftmpi_buffer_printf(out, "%.*f", (int)(strtol(form + 1, NULL, 10) % 20), value));
	else
		FTMPI_TRY(ftmpi_buffer_printf(out, "%.17g", value));
done:
	return status;
}

/* The file's name with its fields filled in. */
static ftmpi_status fill_in(struct model_checkpoint *m, const ftmpi_fit *fit)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_buffer text = {0};

	for (const char *at = m->filepath; *at != '\0';) {
		const char *end = *at == '{' ? strchr(at, '}') : NULL;
		const size_t n = end != NULL ? 0 : 1;

		if (end != NULL)
			FTMPI_TRY(append_field(&text, at + 1, (size_t)(end - at) - 1, fit));
		else
			FTMPI_TRY(ftmpi_buffer_append(&text, at, n));
		at = end != NULL ? end + 1 : at + n;
	}
	FTMPI_TRY(ftmpi__copy_text(m->target, sizeof m->target, text.data, "model checkpoint: the file's name"));
done:
	ftmpi_buffer_clear(&text);
	return status;
}

static ftmpi_status decide(struct model_checkpoint *m, ftmpi_fit *fit)
{
	ftmpi_status status = FTMPI_OK;
	double value;

	if (m->options.save_best_only) {
		FTMPI_TRY(ftmpi__monitor_value(&m->monitor, fit, &value));
		if (!ftmpi__monitor_better(&m->monitor, value, m->best))
			goto done;
		m->best = value;
	}
	FTMPI_TRY(fill_in(m, fit));
	m->due = true;
done:
	return status;
}

static ftmpi_status epoch_end(void *context, ftmpi_fit *fit)
{
	struct model_checkpoint *m = context;

	return m->options.save_freq == 0 ? decide(m, fit) : FTMPI_OK;
}

/* Also when the fit has gone back. */
static ftmpi_status train_begin(void *context, ftmpi_fit *fit)
{
	struct model_checkpoint *m = context;

	m->last_step = ftmpi_fit_progress(fit).step;
	m->due = false;
	return FTMPI_OK;
}

/* Whether one of the multiples of save_freq has been reached since the last call: with steps_per_execution there may be fewer calls than batches. */
static ftmpi_status batch_end(void *context, ftmpi_fit *fit)
{
	struct model_checkpoint *m = context;
	const int64_t freq = m->options.save_freq, step = ftmpi_fit_progress(fit).step, before = m->last_step;

	m->last_step = step;
	return freq > 0 && step / freq > before / freq ? decide(m, fit) : FTMPI_OK;
}

static ftmpi_status settled(void *context, ftmpi_fit *fit)
{
	struct model_checkpoint *m = context;

	if (!m->due)
		return FTMPI_OK;
	m->due = false;
	return ftmpi_checkpoint_write(ftmpi_fit_checkpoint(fit), m->target, NULL);
}

static ftmpi_status set_path(struct model_checkpoint *m, const char *filepath)
{
	ftmpi_status status = FTMPI_OK;
	char digest[FTMPI_DIGEST_TEXT];
	size_t n;

	FTMPI_TRY(ftmpi__copy_text(m->filepath, sizeof m->filepath, filepath, "the model checkpoint's file path"));
	n = strlen(filepath);
	if (n < sizeof SUFFIX || strcmp(filepath + n - (sizeof SUFFIX - 1), SUFFIX) != 0)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "the model checkpoint's file path '%s' does not end in " SUFFIX, filepath);
	ftmpi_digest_format(ftmpi_hash(m->filepath, n), digest);
	(void)snprintf(m->entry, sizeof m->entry, "model_checkpoint_%.8s", digest);
	m->filepath[n - (sizeof SUFFIX - 1)] = '\0';
done:
	return status;
}

ftmpi_status ftmpi_model_checkpoint_create(const char *filepath, const ftmpi_model_checkpoint_options *options,
					   ftmpi_callback **out)
{
	ftmpi_status status = FTMPI_OK;
	struct model_checkpoint *m = NULL;

	if (options->save_freq < 0)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "model checkpoint: save_freq is %lld: give 0 (epochs) or more",
			   (long long)options->save_freq);
	FTMPI_TRY(FTMPI_ALLOC(1, &m));
	m->options = *options;
	FTMPI_TRY(set_path(m, filepath));
	FTMPI_TRY(ftmpi__monitor_init(&m->monitor, options->monitor, options->mode, 0));
	FTMPI_TRY(ftmpi__callback_create(&(ftmpi_callback){.context = m,
							   .name = "model_checkpoint",
							   .attach = attach,
							   .train_begin = train_begin,
							   .batch_end = batch_end,
							   .epoch_end = epoch_end,
							   .rewound = train_begin,
							   .settled = settled,
							   .destroy = ftmpi_free,
							   .alike = true},
					 out));
	m = NULL;
done:
	ftmpi_free(m);
	return status;
}
