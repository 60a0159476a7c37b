/* Nothing wider than the terminal: results and messages on lines that fit. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

/* Columns of n bytes of UTF-8; escapes that set a colour take none. */
static size_t visible_width(const char *text, size_t n)
{
    size_t width = 0;
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '\033')
            while (i < n && text[i] != 'm') i++;
        else
            width += ((unsigned char)text[i] & 0xc0) != 0x80;
    }
    return width;
}

/* The longest part of a line that fits and ends before a blank; the first word where none does. */
static size_t part_that_fits(const char *line, size_t n, size_t room)
{
    size_t fits = 0, begin = strspn(line, " ");
    for (size_t i = begin; i <= n; i++) {
        if (i < n && line[i] != ' ') continue;
        if (fits && visible_width(line, i) > room) return fits;
        fits = i;
        while (i < n && line[i + 1] == ' ') i++;
    }
    return n;
}

/* A command to be typed stays one, by backslashes. */
static void print_line_folded(FILE *to, const char *line, size_t n, size_t columns)
{
    size_t indent = strspn(line, " ") + 4;
    const char *end = indent > 4 && !strncmp(line + indent - 4, "engraft ", 8) ? " \\" : "";
    if (indent > columns / 2) indent = columns / 2;
    if (columns != SIZE_MAX) columns -= strlen(end);
    for (size_t room = columns;; room = columns - indent) {
        size_t part = part_that_fits(line, n, room);
        fwrite(line, 1, part, to);
        while (part < n && line[part] == ' ') part++;
        line += part;
        n -= part;
        if (!n) break;
        fprintf(to, "%s\n%*s", end, (int)indent, "");
    }
    fputc('\n', to);
}

/* A row that ends in a path: whole where a program may read it, cut in front for people. */
static void print_row_with_path(FILE *to, const char *line, size_t n, size_t columns, bool cut)
{
    const char *mark = memchr(line, PATH_MARK, n);
    size_t before = (size_t)(mark - line), used = visible_width(line, before);
    char *path = strndup(mark + 1, n - before - 1);
    if (!path) abort();
    fwrite(line, 1, before, to);
    size_t width = text_width(path), room = columns > used + 8 ? columns - used : 8;
    print_padded(to, path, width < room || !cut ? width : room, cut);
    fputc('\n', to);
    free(path);
}

void print_folded(FILE *to, const char *text, size_t n, size_t columns, bool terminal)
{
    for (const char *end = text + n; text < end;) {
        const char *stop = memchr(text, '\n', (size_t)(end - text));
        size_t length = (size_t)((stop ? stop : end) - text);
        if (memchr(text, PATH_MARK, length))
            print_row_with_path(to, text, length, columns, terminal);
        else
            print_line_folded(to, text, length, visible_width(text, length) > columns ? columns : SIZE_MAX);
        text += length + 1;
    }
}

void print_path(FILE *to, const char *path)
{
    char *shown = printable(path);
    fprintf(to, "%c%s\n", PATH_MARK, shown ? shown : "?");
    free(shown);
}

void print_wrapped(FILE *to, const char *text, size_t indent, size_t width)
{
    size_t column = indent;
    bool first = true;
    while (*text) {
        size_t n = strcspn(text, " \n");
        if (!first && column + 1 + n > width) {
            fprintf(to, "\n%*s", (int)indent, "");
            column = indent;
        } else if (!first) {
            fputc(' ', to);
            column++;
        }
        fprintf(to, "%.*s", (int)n, text);
        column += n;
        first = false;
        text += n + (text[n] != '\0');
    }
    fputc('\n', to);
}

static void print_message(const char *command, const char *format, va_list arguments)
{
    char *message = NULL, *line = NULL;
    if (vasprintf(&message, format, arguments) < 0) message = NULL;
    char *shown = message ? printable(message) : NULL;
    int n = asprintf(&line, command ? "engraft %s: %s" : "%s%s", command ? command : "", shown ? shown : "?");
    size_t columns = isatty(STDERR_FILENO) ? terminal_columns(stderr) : SIZE_MAX; /* a log has a line each */
    clear_bar();
    if (n >= 0) print_folded(stderr, line, (size_t)n, columns, false);
    if (n >= 0) free(line);
    free(shown);
    free(message);
}

void tell(const struct invocation *in, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_message(in->command->name, format, arguments);
    va_end(arguments);
}

void tell_more(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_message(NULL, format, arguments);
    va_end(arguments);
}
