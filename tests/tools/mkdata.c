/* SPDX-License-Identifier: Apache-2.0 */
/* mkdata: write a small synthetic classification problem as IDX files or as one HDF5 file.
 *
 * Each class has a random prototype; a sample is its class's prototype at half contrast with noise, quantised to 0 …
 * 255. All of it is a pure function of the seed and the place (split, sample, feature): more samples do not change the
 * first ones. Types u8, f32 and f64 hold the same inputs once ftmpi has scaled them (floating-point files hold value ·
 * (1/255)); integer types hold 0 … 255. */
#include "data_file.h"

#include <ftmpi/rng.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static const char usage[] = "usage: mkdata idx DIR | hdf5 FILE.h5  [option…]\n"
			    "  --train N      samples to train with (512)\n"
			    "  --test N       samples to test with; 0: none (128)\n"
			    "  --classes C    number of classes, 1 to 1000 (10)\n"
			    "  --shape HxW    shape of a sample (8x8)\n"
			    "  --seed S       another seed, another problem (1)\n"
			    "  --dtype TYPE   u8, i16, i32, f32 or f64 (u8)\n"
			    "  --outlier S=X  every input of training sample S is X\n"
			    "  --gzip         IDX: gzipped files; HDF5: chunks of 64 samples, deflated\n";

struct problem {
	int64_t n[2]; /* train, test */
	int64_t n_classes, height, width;
	uint64_t seed;
	data_type type;
	bool gzip;
	int64_t outlier; /* a training sample; -1: none */
	double outlier_value;
};

/* Streams of random numbers: (purpose, prototype | label | noise, class | split). */
enum { PROTOTYPES, LABELS, NOISE };

/* A uniform number in [0, 1). */
static double uniform(const struct problem *p, int what, int64_t which, int64_t index, int64_t unit)
{
	uint32_t words[4];

	ftmpi_rng_block(ftmpi_rng_stream(p->seed, FTMPI_RNG_USER, (uint64_t)what, (uint64_t)which), (uint64_t)index,
			(uint32_t)(unit / 4), words);
	return (double)ftmpi_rng_unit(words[unit % 4]);
}

static int64_t label_of(const struct problem *p, int split, int64_t sample)
{
	return (int64_t)(uniform(p, LABELS, split, sample, 0) * (double)p->n_classes);
}

/* Prototype at half contrast, noise of ±96, whole numbers. */
static int quantised(const struct problem *p, int split, int64_t sample, int64_t feature)
{
	const double prototype = 255 * uniform(p, PROTOTYPES, label_of(p, split, sample), 0, feature);
	const double value = 64 + prototype / 2 + 192 * (uniform(p, NOISE, split, sample, feature) - 0.5);

	return value < 0 ? 0 : value > 255 ? 255 : (int)value;
}

/* Inputs and labels of a split as doubles. */
static ftmpi_status make_split(const struct problem *p, int split, double **x, double **y)
{
	ftmpi_status status = FTMPI_OK;
	const int64_t n_features = p->height * p->width;
	const double scale = p->type == DATA_F32 || p->type == DATA_F64 ? 1.0 / 255 : 1;

	FTMPI_TRY(FTMPI_ALLOC(p->n[split] * n_features, x));
	FTMPI_TRY(FTMPI_ALLOC(p->n[split], y));
	for (int64_t s = 0; s < p->n[split]; s++) {
		(*y)[s] = (double)label_of(p, split, s);
		for (int64_t f = 0; f < n_features; f++)
			(*x)[s * n_features + f] =
				split == 0 && s == p->outlier ? p->outlier_value : quantised(p, split, s, f) * scale;
	}
done:
	return status;
}

static ftmpi_status write_idx(const struct problem *p, const char *folder, int split, const double *x, const double *y)
{
	static const char *const prefixes[] = {"train", "t10k"};
	ftmpi_status status = FTMPI_OK;
	const int64_t dims[] = {p->n[split], p->height, p->width};
	const char *end = p->gzip ? ".gz" : "";
	ftmpi_buffer path = {0};

	if (mkdir(folder, 0777) != 0 && errno != EEXIST)
		FTMPI_FAIL(FTMPI_ERR_IO, "%s: cannot make the folder: %s", folder, strerror(errno));
	FTMPI_TRY(ftmpi_buffer_printf(&path, "%s/%s-images-idx3-ubyte%s", folder, prefixes[split], end));
	FTMPI_TRY(idx_write(path.data, p->type, 3, dims, x));
	FTMPI_TRY(ftmpi_buffer_resize(&path, 0));
	FTMPI_TRY(ftmpi_buffer_printf(&path, "%s/%s-labels-idx1-ubyte%s", folder, prefixes[split], end));
	FTMPI_TRY(idx_write(path.data, p->n_classes > 256 ? DATA_I32 : DATA_U8, 1, dims, y));
done:
	ftmpi_buffer_clear(&path);
	return status;
}

static ftmpi_status write_hdf5(const struct problem *p, const char *path, int split, const double *x, const double *y)
{
	static const char *const x_names[] = {"x_train", "x_test"}, *const y_names[] = {"y_train", "y_test"};
	ftmpi_status status = FTMPI_OK;
	const int64_t dims[] = {p->n[split], p->height, p->width};
	hdf5_storage storage = {.type = hdf5_type(p->type), .deflate = p->gzip};
	const hid_t file = split == 0 ? H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT)
				      : H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);

	if (file < 0)
		FTMPI_FAIL(FTMPI_ERR_IO, "%s: cannot write", path);
	if (p->gzip)
		storage.chunk_rows = p->n[split] < 64 ? p->n[split] : 64;
	FTMPI_TRY(hdf5_write(file, x_names[split], storage, 3, dims, x));
	storage.type = hdf5_type(DATA_I32);
	FTMPI_TRY(hdf5_write(file, y_names[split], storage, 1, dims, y));
done:
	if (file >= 0 && H5Fclose(file) < 0 && status == FTMPI_OK)
		status = ftmpi_error_set(FTMPI_ERR_IO, __FILE__, __LINE__, "%s: cannot close", path);
	return status;
}

static ftmpi_status write_problem(const struct problem *p, bool hdf5, const char *path)
{
	ftmpi_status status = FTMPI_OK;
	double *x = NULL, *y = NULL;

	for (int split = 0; split < 2 && p->n[split] > 0; split++) {
		FTMPI_TRY(make_split(p, split, &x, &y));
		FTMPI_TRY(hdf5 ? write_hdf5(p, path, split, x, y) : write_idx(p, path, split, x, y));
		ftmpi_free(x);
		ftmpi_free(y);
		x = y = NULL;
	}
done:
	ftmpi_free(x);
	ftmpi_free(y);
	return status;
}

/* A whole number in [least, most]; `end` is where it must end. */
static ftmpi_status parse_number(const char *option, const char *text, int64_t least, int64_t most, char end,
				 int64_t *out)
{
	ftmpi_status status = FTMPI_OK;
	char *stop;
	long long value;

	errno = 0;
	value = strtoll(text, &stop, 10);
	if (errno != 0 || stop == text || *stop != end || value < least || value > most)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "--%s: '%s' is not a number from %lld to %lld", option, text,
			   (long long)least, (long long)most);
	*out = value;
done:
	return status;
}

static ftmpi_status parse_shape(const char *text, struct problem *p)
{
	ftmpi_status status = FTMPI_OK;
	const char *by = strchr(text, 'x');

	if (by == NULL)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "--shape: '%s' is not HxW", text);
	FTMPI_TRY(parse_number("shape", text, 1, 1024, 'x', &p->height));
	FTMPI_TRY(parse_number("shape", by + 1, 1, 1024, '\0', &p->width));
done:
	return status;
}

static ftmpi_status parse_outlier(const char *text, struct problem *p)
{
	ftmpi_status status = FTMPI_OK;
	const char *value = strchr(text, '=');
	char *stop;

	if (value == NULL)
		FTMPI_FAIL(FTMPI_ERR_USAGE, "--outlier: '%s' is not SAMPLE=VALUE", text);
	FTMPI_TRY(parse_number("outlier", text, 0, 1000000, '=', &p->outlier));
	p->outlier_value = strtod(value + 1, &stop);
	if (stop == value + 1 || *stop != '\0')
		FTMPI_FAIL(FTMPI_ERR_USAGE, "--outlier: '%s' is not a number", value + 1);
done:
	return status;
}

static ftmpi_status parse_type(const char *text, data_type *out)
{
	ftmpi_status status = FTMPI_OK;

	for (int t = 0; t < DATA_TYPE_COUNT; t++)
		if (t != DATA_I8 && strcmp(text, data_types[t].name) == 0) {
			*out = (data_type)t;
			goto done;
		}
	FTMPI_FAIL(FTMPI_ERR_USAGE, "--dtype: '%s' is not u8, i16, i32, f32 or f64", text);
done:
	return status;
}

static ftmpi_status parse_options(int argc, char **argv, struct problem *p)
{
	static const struct option options[] = {{"train", required_argument, NULL, 'n'},
						{"test", required_argument, NULL, 't'},
						{"classes", required_argument, NULL, 'c'},
						{"shape", required_argument, NULL, 's'},
						{"seed", required_argument, NULL, 'r'},
						{"dtype", required_argument, NULL, 'd'},
						{"outlier", required_argument, NULL, 'o'},
						{"gzip", no_argument, NULL, 'z'},
						{NULL, 0, NULL, 0}};
	ftmpi_status status = FTMPI_OK;
	int64_t seed = (int64_t)p->seed;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'n')
			FTMPI_TRY(parse_number("train", optarg, 1, 1000000, '\0', &p->n[0]));
		else if (c == 't')
			FTMPI_TRY(parse_number("test", optarg, 0, 1000000, '\0', &p->n[1]));
		else if (c == 'c')
			FTMPI_TRY(parse_number("classes", optarg, 1, 1000, '\0', &p->n_classes));
		else if (c == 'r')
			FTMPI_TRY(parse_number("seed", optarg, 0, INT64_MAX, '\0', &seed));
		else if (c == 's')
			FTMPI_TRY(parse_shape(optarg, p));
		else if (c == 'o')
			FTMPI_TRY(parse_outlier(optarg, p));
		else if (c == 'd')
			FTMPI_TRY(parse_type(optarg, &p->type));
		else if (c == 'z')
			p->gzip = true;
		else
			FTMPI_FAIL(FTMPI_ERR_USAGE, "bad option");
	}
	p->seed = (uint64_t)seed;
	if (argc - optind != 2 || (strcmp(argv[optind], "idx") != 0 && strcmp(argv[optind], "hdf5") != 0))
		FTMPI_FAIL(FTMPI_ERR_USAGE, "say 'idx DIR' or 'hdf5 FILE.h5'");
done:
	return status;
}

int main(int argc, char **argv)
{
	ftmpi_status status = FTMPI_OK;
	struct problem p = {
		.n = {512, 128}, .n_classes = 10, .height = 8, .width = 8, .seed = 1, .type = DATA_U8, .outlier = -1};

	FTMPI_TRY(parse_options(argc, argv, &p));
	FTMPI_TRY(write_problem(&p, strcmp(argv[optind], "hdf5") == 0, argv[optind + 1]));
done:
	if (status != FTMPI_OK)
		(void)fprintf(stderr, "mkdata: %s\n%s", ftmpi_error_message(), status == FTMPI_ERR_USAGE ? usage : "");
	return ftmpi_status_exit_code(status);
}
