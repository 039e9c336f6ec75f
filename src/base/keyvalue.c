/* SPDX-License-Identifier: Apache-2.0 */
/* `key = value` lines. Reads line by line without changing or copying the text. */
#include <ftmpi/keyvalue.h>

#include <stddef.h>
#include <string.h>

static const char blanks[] = " \t\r";

/* Copy [begin, end) without the blanks around it; false if it does not fit. */
static bool copy_trimmed(const char *begin, const char *end, char *out, size_t out_bytes)
{
	while (begin < end && strchr(blanks, *begin) != NULL)
		begin++;
	while (end > begin && strchr(blanks, end[-1]) != NULL)
		end--;
	if ((size_t)(end - begin) >= out_bytes)
		return false;
	memcpy(out, begin, (size_t)(end - begin));
	out[end - begin] = '\0';
	return true;
}

ftmpi_status ftmpi_keyvalue_next(const char **text, ftmpi_keyvalue *pair, bool *found)
{
	ftmpi_status status = FTMPI_OK;

	while (**text != '\0') {
		const char *line = *text, *end = line + strcspn(line, "\n"), *equals;

		*text = *end == '\n' ? end + 1 : end;
		pair->line++;
		line += strspn(line, blanks);
		if (line >= end || *line == '#')
			continue;
		equals = memchr(line, '=', (size_t)(end - line));
		if (equals == NULL || equals == line)
			FTMPI_FAIL(FTMPI_ERR_USAGE, "line %d is not 'key = value'", pair->line);
		if (!copy_trimmed(line, equals, pair->key, sizeof pair->key) ||
		    !copy_trimmed(equals + 1, end, pair->value, sizeof pair->value))
			FTMPI_FAIL(FTMPI_ERR_USAGE, "line %d is too long", pair->line);
		*found = true;
		goto done;
	}
	*found = false;
done:
	return status;
}

bool ftmpi_keyvalue_find(const char *text, const char *key, ftmpi_keyvalue *pair)
{
	bool found = true;

	*pair = (ftmpi_keyvalue){.line = 0};
	while (ftmpi_keyvalue_next(&text, pair, &found) == FTMPI_OK && found)
		if (strcmp(pair->key, key) == 0)
			return true;
	return false;
}
