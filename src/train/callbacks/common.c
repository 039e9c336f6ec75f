/* SPDX-License-Identifier: Apache-2.0 */
/* What the ready-made callbacks share: their life, their place in a checkpoint, watching a value. */
#include "train/callbacks/common.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

ftmpi_status ftmpi__callback_create(const ftmpi_callback *functions, ftmpi_callback **out)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_callback *callback = NULL;

	FTMPI_TRY(FTMPI_ALLOC(1, &callback));
	*callback = *functions;
	*out = callback;
done:
	return status;
}

void ftmpi_callback_destroy(ftmpi_callback **callback)
{
	if (*callback == NULL)
		return;
	if ((*callback)->destroy != NULL)
		(*callback)->destroy((*callback)->context);
	ftmpi_free(*callback);
	*callback = NULL;
}

ftmpi_status ftmpi__copy_text(char *to, size_t to_bytes, const char *text, const char *what)
{
	ftmpi_status status = FTMPI_OK;

	if (text == NULL || text[0] == '\0' || strlen(text) >= to_bytes)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "%s is %s", what, text == NULL || text[0] == '\0' ? "empty" : "too long");
	(void)snprintf(to, to_bytes, "%s", text);
done:
	return status;
}

ftmpi_status ftmpi__callback_track(ftmpi_fit *fit, const char *callback, const char *name, ftmpi_dtype dtype,
				   void *data)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi_registry *registry = ftmpi_checkpoint_registry(ftmpi_fit_checkpoint(fit));
	char path[128];

	(void)snprintf(path, sizeof path, "ftmpi/callbacks/%s/%s", callback, name);
	if (ftmpi_registry_find(registry, path) != NULL)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "two callbacks '%s' in one fit: at most one is possible", callback);
	FTMPI_TRY(ftmpi_registry_add_scalar(registry, path, dtype, data, FTMPI_STATE));
done:
	return status;
}

ftmpi_status ftmpi__monitor_init(struct ftmpi__monitor *m, const char *name, ftmpi_monitor_mode mode, double min_delta)
{
	ftmpi_status status = FTMPI_OK;

	FTMPI_TRY(ftmpi__copy_text(m->name, sizeof m->name, name, "the name of the monitored entry"));
	if (!(min_delta >= 0) || !isfinite(min_delta))
		FTMPI_FAIL(FTMPI_ERR_USAGE, "min_delta is %g: it must be 0 or more", min_delta);
	if (mode != FTMPI_MONITOR_AUTO && mode != FTMPI_MONITOR_MIN && mode != FTMPI_MONITOR_MAX)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "the mode of '%s' is none of auto, min and max", name);
	m->up = mode == FTMPI_MONITOR_MAX || (mode == FTMPI_MONITOR_AUTO && strstr(name, "acc") != NULL);
	m->min_delta = min_delta;
done:
	return status;
}

double ftmpi__monitor_worst(const struct ftmpi__monitor *m)
{
	return m->up ? -INFINITY : INFINITY;
}

bool ftmpi__monitor_better(const struct ftmpi__monitor *m, double value, double than)
{
	return m->up ? value - m->min_delta > than : value + m->min_delta < than;
}

ftmpi_status ftmpi__monitor_value(const struct ftmpi__monitor *m, const ftmpi_fit *fit, double *value)
{
	ftmpi_status status = FTMPI_OK;
	const ftmpi_logs *logs = ftmpi_fit_logs(fit);
	ftmpi_buffer names = {0};

	if (ftmpi_logs_find(logs, m->name, value))
		goto done;
	for (int i = 0; i < logs->n; i++)
		FTMPI_TRY(ftmpi_buffer_printf(&names, "%s%s", i > 0 ? ", " : "", logs->names[i]));
	FTMPI_FAIL(FTMPI_ERR_USAGE, "there is no '%s' to monitor; there is: %s", m->name,
		   names.data == NULL ? "nothing" : names.data);
done:
	ftmpi_buffer_clear(&names);
	return status;
}
