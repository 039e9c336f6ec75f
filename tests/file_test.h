/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests share that look at files and at standard error. Include after unit_test.h or mpi_test.h. */
#ifndef FTMPI_TESTS_FILE_TEST_H
#define FTMPI_TESTS_FILE_TEST_H

#include <dirent.h>
#include <fcntl.h>
#include <ftmpi/memory.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static inline void write_bytes(const char *file, const void *data, size_t n_bytes)
{
	FILE *f = fopen(file, "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, n_bytes, f), n_bytes);
	assert_int_equal(fclose(f), 0);
}

static inline void write_text(const char *file, const char *text)
{
	write_bytes(file, text, strlen(text));
}

/** The bytes of a file, which must be there; clear them. */
static inline ftmpi_buffer read_bytes(const char *file)
{
	ftmpi_buffer buffer = {0};
	FILE *f = fopen(file, "rb");
	struct stat st;

	if (f == NULL)
		fail_msg("no file '%s'", file);
	assert_int_equal(fstat(fileno(f), &st), 0);
	assert_ok(ftmpi_buffer_resize(&buffer, (size_t)st.st_size));
	assert_int_equal(fread(buffer.data, 1, buffer.n_bytes, f), buffer.n_bytes);
	assert_int_equal(fclose(f), 0);
	return buffer;
}

static inline bool file_exists(const char *file)
{
	struct stat st;

	return lstat(file, &st) == 0;
}

/** Number of names in a directory that contain `part`. */
static inline int count_names(const char *directory, const char *part)
{
	DIR *listing = opendir(directory);
	const struct dirent *entry;
	int n = 0;

	assert_non_null(listing);
	while ((entry = readdir(listing)) != NULL)
		n += strstr(entry->d_name, part) != NULL;
	assert_int_equal(closedir(listing), 0);
	return n;
}

/** Remove what is in a directory; directories in it must be empty. */
static inline void empty_directory(const char *directory)
{
	DIR *listing = opendir(directory);
	const struct dirent *entry;

	assert_non_null(listing);
	while ((entry = readdir(listing)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			(void)unlinkat(dirfd(listing), entry->d_name, entry->d_type == DT_DIR ? AT_REMOVEDIR : 0);
	assert_int_equal(closedir(listing), 0);
}

/** Standard error goes to a file until capture_end. */
static inline int capture_begin(void)
{
	const int saved = dup(STDERR_FILENO), fd = open("stderr.txt", O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0666);

	assert_true(saved >= 0 && fd >= 0);
	assert_true(dup2(fd, STDERR_FILENO) >= 0);
	assert_int_equal(close(fd), 0);
	return saved;
}

/** What was written to standard error meanwhile, printed too; clear it. */
static inline ftmpi_buffer capture_end(int saved)
{
	ftmpi_buffer text;

	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	assert_int_equal(close(saved), 0);
	text = read_bytes("stderr.txt");
	(void)fprintf(stderr, "%s", text.data);
	return text;
}

/** Expect `n_lines` lines, the text among them. */
static inline void assert_captured(ftmpi_buffer *text, int n_lines, const char *part)
{
	int n = 0;

	for (size_t i = 0; i < text->n_bytes; i++)
		n += text->data[i] == '\n';
	if (n != n_lines || strstr(text->data, part) == NULL)
		fail_msg("expected %d lines with '%s', found %d: %s", n_lines, part, n, text->data);
	ftmpi_buffer_clear(text);
}

#endif
