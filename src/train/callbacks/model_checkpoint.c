/* SPDX-License-Identifier: Apache-2.0 */
/* ModelCheckpoint: files beside the backups, for people and for Keras. Whether to save is decided at the end of an epoch or a batch; the file is
 * written when the state has settled, so it can be restored from too. A decision is state until it is carried out: a callback before this one may have
 * saved when the process dies, and the relaunch writes the file first of all. */
#include "train/callbacks/common.h"

#include <stdio.h>
#include <string.h>

#define SUFFIX ".weights.h5"

/* Of a width and of a precision. */
enum { MOST_DIGITS = 20 };

struct model_checkpoint {
	char filepath[FTMPI__TEXT_BYTES]; /* without SUFFIX */
	char entry[64]; /* of its state in a checkpoint: the file path's digest, so that several can be told apart */
	ftmpi_model_checkpoint_options options;
	struct ftmpi__monitor monitor;
	double best;         /* saved */
	int64_t last_step;   /* of the last batch_end; saved */
	ftmpi_buffer target; /* of the save that is due, without SUFFIX; empty: none is; saved */
};

void ftmpi_model_checkpoint_options_init(ftmpi_model_checkpoint_options *options)
{
	*options = (ftmpi_model_checkpoint_options){.monitor = "val_loss"};
}

static ftmpi_status attach(void *context, ftmpi_fit *fit)
{
	ftmpi_status status = FTMPI_OK;
	struct model_checkpoint *m = context;
	char path[128];

	m->best = ftmpi__monitor_worst(&m->monitor);
	m->last_step = ftmpi_fit_progress(fit).step;
	FTMPI_TRY(ftmpi_buffer_resize(&m->target, 0));
	FTMPI_TRY(ftmpi__callback_track(fit, m->entry, "best", FTMPI_F64, &m->best));
	if (m->options.save_freq > 0)
		FTMPI_TRY(ftmpi__callback_track(fit, m->entry, "last_step", FTMPI_I64, &m->last_step));
	(void)snprintf(path, sizeof path, "ftmpi/callbacks/%s/due", m->entry);
	FTMPI_TRY(ftmpi_registry_add_buffer(ftmpi_checkpoint_registry(ftmpi_fit_checkpoint(fit)), path, FTMPI_TEXT,
					    &m->target, FTMPI_STATE));
done:
	return status;
}

/* A field's parts: "val_loss:.4f". */
struct field {
	char name[FTMPI__MONITOR_BYTES];
	bool zeros;           /* fill up with zeros */
	int width, precision; /* precision −1: none */
	char conversion;      /* 'd', 'e', 'f' or 'g'; 0: none given */
};

static int parse_number(const char **at)
{
	int n = 0;

	for (; **at >= '0' && **at <= '9' && n < 100; (*at)++)
		n = 10 * n + **at - '0';
	return n;
}

/* @param text [n], what is between the braces. Errors: ERR_USAGE. */
static ftmpi_status parse_field(const char *text, size_t n, struct field *field)
{
	ftmpi_status status = FTMPI_OK;
	const char *colon = memchr(text, ':', n), *at = colon == NULL ? text + n : colon + 1;
	const size_t n_name = (size_t)((colon == NULL ? at : colon) - text);
	struct field f = {.precision = -1};

	if (n_name == 0 || n_name >= sizeof f.name)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "model checkpoint: the field {%.*s} has no name, or too long a one", (int)n,
			   text);
	memcpy(f.name, text, n_name);
	if (colon != NULL) {
		f.zeros = *at == '0';
		f.width = parse_number(&at);
		if (*at == '.') {
			at++;
			f.precision = parse_number(&at);
		}
		f.conversion = *at++;
		if (at != text + n || strchr(strcmp(f.name, "epoch") == 0 ? "d" : "efg", f.conversion) == NULL ||
		    f.width > MOST_DIGITS || f.precision > MOST_DIGITS || (f.conversion == 'd' && f.precision >= 0))
			FTMPI_FAIL(FTMPI_ERR_USAGE, "model checkpoint: the form of the field {%.*s} is not known",
				   (int)n, text);
	}
	*field = f;
done:
	return status;
}

/* The text of one field: appended. */
static ftmpi_status append_field(ftmpi_buffer *out, const char *text, size_t n, const ftmpi_fit *fit)
{
	ftmpi_status status = FTMPI_OK;
	struct field f;
	double value;

	FTMPI_TRY(parse_field(text, n, &f));
	if (strcmp(f.name, "epoch") == 0) {
		FTMPI_TRY(ftmpi_buffer_printf(out, f.zeros ? "%0*lld" : "%*lld", f.width,
					      (long long)ftmpi_fit_progress(fit).epoch + 1));
		goto done;
	}
	if (!ftmpi_logs_find(ftmpi_fit_logs(fit), f.name, &value))
		FTMPI_FAIL(FTMPI_ERR_USAGE, "model checkpoint: there is no '%s' for the field {%.*s}", f.name, (int)n,
			   text);
	if (f.conversion == '\0')
		FTMPI_TRY(ftmpi_buffer_printf(out, "%.17g", value));
	else if (f.conversion == 'e')
		FTMPI_TRY(ftmpi_buffer_printf(out, f.zeros ? "%0*.*e" : "%*.*e", f.width, f.precision, value));
	else if (f.conversion == 'f')
		FTMPI_TRY(ftmpi_buffer_printf(out, f.zeros ? "%0*.*f" : "%*.*f", f.width, f.precision, value));
	else
		FTMPI_TRY(ftmpi_buffer_printf(out, f.zeros ? "%0*.*g" : "%*.*g", f.width, f.precision, value));
done:
	return status;
}

/* The file's name with its fields filled in. @param fit NULL: only check the fields. */
static ftmpi_status fill_in(const struct model_checkpoint *m, const ftmpi_fit *fit, ftmpi_buffer *text)
{
	ftmpi_status status = FTMPI_OK;
	struct field field;

	for (const char *at = m->filepath; *at != '\0';) {
		const char *end = *at == '{' ? strchr(at, '}') : NULL;

		if (*at == '}' || (*at == '{' && end == NULL))
			FTMPI_FAIL(FTMPI_ERR_USAGE, "model checkpoint: a '%c' without its partner in '%s'", *at,
				   m->filepath);
		if (end == NULL)
			FTMPI_TRY(ftmpi_buffer_append(text, at, 1));
		else if (fit == NULL)
			FTMPI_TRY(parse_field(at + 1, (size_t)(end - at) - 1, &field));
		else
			FTMPI_TRY(append_field(text, at + 1, (size_t)(end - at) - 1, fit));
		at = end == NULL ? at + 1 : end + 1;
	}
	if (text->n_bytes >= FTMPI__TEXT_BYTES - sizeof SUFFIX)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "the model checkpoint's file path is too long");
done:
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
	FTMPI_TRY(ftmpi_buffer_resize(&m->target, 0));
	FTMPI_TRY(fill_in(m, fit, &m->target));
done:
	return status;
}

static ftmpi_status epoch_end(void *context, ftmpi_fit *fit)
{
	struct model_checkpoint *m = context;

	return m->options.save_freq == 0 ? decide(m, fit) : FTMPI_OK;
}

/* Whether one of the multiples of save_freq has been reached since the last call: with steps_per_execution there may be fewer calls than batches. */
static ftmpi_status batch_end(void *context, ftmpi_fit *fit)
{
	struct model_checkpoint *m = context;
	const int64_t freq = m->options.save_freq, step = ftmpi_fit_progress(fit).step, before = m->last_step;

	m->last_step = step;
	return freq > 0 && step / freq > before / freq ? decide(m, fit) : FTMPI_OK;
}

/* Also in train_begin: what was due when an earlier launch saved. */
static ftmpi_status settled(void *context, ftmpi_fit *fit)
{
	ftmpi_status status = FTMPI_OK;
	struct model_checkpoint *m = context;
	char target[FTMPI__TEXT_BYTES];

	if (m->target.n_bytes == 0)
		goto done;
	(void)snprintf(target, sizeof target, "%.*s", (int)m->target.n_bytes, m->target.data);
	FTMPI_TRY(ftmpi_buffer_resize(&m->target, 0));
	FTMPI_TRY(ftmpi_checkpoint_write(ftmpi_fit_checkpoint(fit), target, NULL));
done:
	return status;
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
	FTMPI_TRY(fill_in(m, NULL, &m->target));
done:
	return status;
}

static void destroy(void *context)
{
	struct model_checkpoint *m = context;

	if (m != NULL)
		ftmpi_buffer_clear(&m->target);
	ftmpi_free(m);
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
							   .train_begin = settled,
							   .batch_end = batch_end,
							   .epoch_end = epoch_end,
							   .settled = settled,
							   .destroy = destroy,
							   .alike = true},
					 out));
	m = NULL;
done:
	destroy(m);
	return status;
}
