/* SPDX-License-Identifier: Apache-2.0 */
/* A registry as a file of its own, outside of any store: written beside the target, then renamed over it. */
#include "ckpt/image.h"

#include <errno.h>
#include <fcntl.h>
#include <ftmpi/store.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

ftmpi_status ftmpi_registry_write(const ftmpi_registry *registry, const char *file)
{
	ftmpi_status status = FTMPI_OK;
	const char *slash = strrchr(file, '/'), *name = slash == NULL ? file : slash + 1;
	char parent[FTMPI_PATH_MAX], temporary[FTMPI_PATH_MAX];
	ftmpi__directory directory = {.fd = -1, .path = parent};
	ftmpi__image image = {0};

	if (name[0] == '\0' || strlen(file) + sizeof ".tmp" > sizeof temporary)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "'%.80s' is not a file's name", file);
	(void)snprintf(parent, sizeof parent, "%.*s", slash == NULL || slash == file ? 1 : (int)(slash - file),
		       slash == NULL ? "." : file);
	(void)snprintf(temporary, sizeof temporary, "%s.tmp", name);
	directory.fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory.fd < 0)
		FTMPI_FAIL(errno == ENOENT ? FTMPI_ERR_NOT_FOUND : ftmpi__io_status(errno),
			   "cannot open the directory '%s': %s", parent, strerror(errno));
	FTMPI_TRY(ftmpi__image_build(registry, &image));
	ftmpi__file_remove(&directory, temporary);
	FTMPI_TRY(ftmpi__file_write(&directory, temporary, image.data, image.n_bytes, false));
	FTMPI_TRY(ftmpi__file_rename(&directory, temporary, name, false));
	FTMPI_TRY(ftmpi__directory_sync(&directory, false));
done:
	ftmpi__image_clear(&image);
	if (directory.fd >= 0)
		(void)close(directory.fd);
	return status;
}
