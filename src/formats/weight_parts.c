/* weight_parts.c: which files hold a network's weights.
 *
 *   NAME.safetensors.index.json     {"weight_map": {tensor: "NAME-00001-of-00003.safetensors", ...}}
 * and the same of PyTorch's pytorch_model.bin. The files lie beside it. */
#include "formats/weight_parts.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/mem.h"

enum { PARTS_MAX = 1000, NUMBER = 5 };

void eg__weight_parts_release(struct eg_weight_parts *parts)
{
    for (size_t i = 0; i < parts->n; i++) free(parts->parts[i]);
    free(parts->parts);
    free(parts->first);
    *parts = (struct eg_weight_parts){0};
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* One more part, in the folder of `beside`. */
static enum eg_status add_part(struct eg_weight_parts *parts, const char *beside, const char *name,
                               struct eg_error *err)
{
    if (parts->n == PARTS_MAX)
        return eg__fail(err, EG_E_UNSUPPORTED, "weights '%s' are in more than %d files", beside, PARTS_MAX);
    int folder = (int)(eg__path_last(beside) - beside);
    if (asprintf(&parts->parts[parts->n], "%.*s%s", folder, beside, name) < 0)
        return eg__fail_memory(err, "the names of weights files");
    parts->n++;
    return EG_OK;
}

static bool is_plain_name(const char *name)
{
    return name && *name && *name != '.' && !strchr(name, '/') && strlen(name) < 256;
}

static enum eg_status read_index(const char *path, struct eg_weight_parts *parts, struct eg_error *err)
{
    json_error_t cause;
    json_t *json = json_load_file(path, 0, &cause), *map = json_object_get(json, "weight_map"), *value;
    const char *tensor;
    enum eg_status status = EG_OK;
    if (!json_is_object(map))
        status = eg__fail(err, EG_E_FORMAT, "cannot read weights '%s': %s", path,
                          json ? "it has no 'weight_map'" : cause.text);
    json_object_foreach(map, tensor, value)
    {
        const char *name = json_string_value(value);
        bool have = false;
        for (size_t i = 0; i < parts->n && name && !have; i++)
            have = !strcmp(eg__path_last(parts->parts[i]), name);
        if (have || status) continue;
        status = is_plain_name(name)
                     ? add_part(parts, path, name, err)
                     : eg__fail(err, EG_E_FORMAT, "cannot read weights '%s': '%.100s' is no file beside it",
                                path, name ? name : "");
    }
    json_decref(json);
    if (!status && !parts->n)
        status = eg__fail(err, EG_E_FORMAT, "cannot read weights '%s': it lists no file", path);
    if (!status) qsort(parts->parts, parts->n, sizeof *parts->parts, compare_texts);
    return status;
}

/* "-00001-of-00003." in the last part of path, or NULL; *count: the second number. */
static const char *find_number(const char *path, size_t *count)
{
    for (const char *at = strstr(eg__path_last(path), "-of-"); at; at = strstr(at + 1, "-of-")) {
        bool good = at - eg__path_last(path) > NUMBER && at[-1 - NUMBER] == '-' && at[4 + NUMBER] == '.';
        for (int i = 1; i <= NUMBER && good; i++)
            good = isdigit((unsigned char)at[-i]) && isdigit((unsigned char)at[3 + i]);
        if (!good) continue;
        *count = strtoul(at + 4, NULL, 10);
        return at - 1 - NUMBER;
    }
    return NULL;
}

static enum eg_status count_parts(const char *path, const char *number, size_t count,
                                  struct eg_weight_parts *parts, struct eg_error *err)
{
    const char *last = eg__path_last(path);
    enum eg_status status = EG_OK;
    for (size_t i = 1; i <= count && !status; i++) {
        char *name;
        if (asprintf(&name, "%.*s-%05zu-of-%05zu%s", (int)(number - last), last, i, count, number + 15) < 0)
            return eg__fail_memory(err, "the names of weights files");
        status = add_part(parts, path, name, err);
        free(name);
    }
    return status;
}

/* The weights in a folder: as one file, else by the index. NULL with status 0: none. */
static char *find_in_folder(const char *folder)
{
    static const char *const names[] = {"model.safetensors", "model.safetensors.index.json",
                                        "pytorch_model.bin", "pytorch_model.bin.index.json"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *path;
        size_t n = strlen(folder);
        while (n && folder[n - 1] == '/') n--;
        if (asprintf(&path, "%.*s/%s", (int)n, folder, names[i]) < 0) return NULL;
        if (!access(path, R_OK)) return path;
        free(path);
    }
    return NULL;
}

static enum eg_status find(struct eg_weight_parts *parts, struct eg_error *err)
{
    static const char index[] = ".index.json";
    size_t n = strlen(parts->first), count = 0;
    if (n >= sizeof index && !strcmp(parts->first + n + 1 - sizeof index, index))
        /* The caller releases parts. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
        return read_index(parts->first, parts, err);
    const char *number = find_number(parts->first, &count);
    return number && count > 1 ? count_parts(parts->first, number, count, parts, err) : EG_OK;
}

enum eg_status eg__weight_parts_find(const char *path, struct eg_weight_parts *out, struct eg_error *err)
{
    struct stat info;
    struct eg_weight_parts parts = {0};
    bool folder = !stat(path, &info) && S_ISDIR(info.st_mode);
    parts.first = folder ? find_in_folder(path) : strdup(path);
    parts.parts = eg__zalloc(PARTS_MAX, sizeof *parts.parts);
    enum eg_status status = EG_OK;
    if (!parts.first && folder)
        status = eg__fail(err, EG_E_NOT_FOUND,
                          "folder '%s' holds no model.safetensors and no pytorch_model.bin", path);
    else if (!parts.first || !parts.parts)
        status = eg__fail_memory(err, "the names of weights files");
    if (!status) status = find(&parts, err);
    if (status)
        eg__weight_parts_release(&parts);
    else
        *out = parts;
    return status;
}
