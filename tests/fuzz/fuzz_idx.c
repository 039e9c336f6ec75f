/* SPDX-License-Identifier: Apache-2.0 */
/* A folder of IDX files. An input is: one byte, of which bit 0 says gzipped; two bytes, the length of the images' file; that file; the labels'
 * file. */
#include "fuzz/fuzz_data.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
	static const char *const names[2][2] = {{"train-images-idx3-ubyte", "train-labels-idx1-ubyte"},
						{"train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"}};
	size_t images_bytes;
	int gzipped;

	if (n_bytes < 3)
		return 0;
	gzipped = data[0] & 1;
	images_bytes = (size_t)data[1] | (size_t)data[2] << 8;
	data += 3;
	n_bytes -= 3;
	if (images_bytes > n_bytes)
		images_bytes = n_bytes;
	(void)unlink(names[!gzipped][0]);
	(void)unlink(names[!gzipped][1]);
	fuzz_write(names[gzipped][0], data, images_bytes);
	fuzz_write(names[gzipped][1], data + images_bytes, n_bytes - images_bytes);
	fuzz_data_read(&ftmpi__idx_source, ".", FTMPI_TRAIN, n_bytes);
	return 0;
}
