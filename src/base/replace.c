/* SPDX-License-Identifier: Apache-2.0 */
/* A file of its own, outside of any store: written beside the target, then renamed over it. */
#include "base/file.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

ftmpi_status ftmpi__path_split(const char *path, char *directory, size_t directory_bytes, const char **name)
{
	ftmpi_status status = FTMPI_OK;
	const char *slash = path == NULL ? NULL : strrchr(path, '/'), *last = slash == NULL ? path : slash + 1;

	if (last == NULL || last[0] == '\0' || strlen(path) >= directory_bytes)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "'%.80s' is not a file's name", path == NULL ? "" : path);
	if (slash == NULL)
		(void)snprintf(directory, directory_bytes, ".");
	else
		(void)snprintf(directory, directory_bytes, "%.*s", slash == path ? 1 : (int)(slash - path), path);
	*name = last;
done:
	return status;
}

ftmpi_status ftmpi__file_replace(const char *file, const void *data, size_t n_bytes)
{
	ftmpi_status status = FTMPI_OK;
	const char *name = NULL;
	char parent[PATH_MAX] = "", temporary[PATH_MAX + sizeof ".tmp"];
	ftmpi__directory directory = {.fd = -1, .path = parent};

	FTMPI_TRY(ftmpi__path_split(file, parent, sizeof parent, &name));
	(void)snprintf(temporary, sizeof temporary, "%s.tmp", name);
	FTMPI_TRY(ftmpi__directory_open(parent, &directory));
	ftmpi__file_remove(&directory, temporary);
	FTMPI_TRY(ftmpi__file_write(&directory, temporary, data, n_bytes, false, NULL));
	FTMPI_TRY(ftmpi__file_rename(&directory, temporary, name, false));
	FTMPI_TRY(ftmpi__directory_sync(&directory, false));
done:
	if (directory.fd >= 0)
		(void)close(directory.fd);
	return status;
}
