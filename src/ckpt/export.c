/* SPDX-License-Identifier: Apache-2.0 */
/* A registry as a file of its own, outside of any store. */
#include "ckpt/image.h"

ftmpi_status ftmpi_registry_write(const ftmpi_registry *registry, const char *file)
{
	ftmpi_status status = FTMPI_OK;
	ftmpi__image image = {0};

	FTMPI_TRY(ftmpi__image_build(registry, &image));
	FTMPI_TRY(ftmpi__file_replace(file, image.data, image.n_bytes));
done:
	ftmpi__image_clear(&image);
	return status;
}
