/* unzip.c: the files of an uploaded zip, in memory, or a refusal.
 *
 * Twice over it: its directory is judged as a whole before a byte is unpacked; then each file is, and no
 * further than the directory said. */
#include <archive.h>
#include <archive_entry.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "serve/http.h"

enum { MOST_RATIO = 100, EXPECTED_BYTES = 16 << 20 }; /* photos do not shrink: what grows so much is a bomb */

static int refuse(char why[200], int status, const char *what, const char *path)
{
    char shown[100];
    size_t n = 0;
    for (; path && path[n] && n + 1 < sizeof shown; n++)
        shown[n] = path[n] >= ' ' && path[n] < 0x7f ? path[n] : '?';
    shown[n] = '\0';
    snprintf(why, 200, "%s%s%s%s", what, path ? ": '" : "", shown, path ? "'" : "");
    return status;
}

static const char *path_of(struct archive_entry *entry)
{
    const char *path = archive_entry_pathname_utf8(entry);
    return path ? path : archive_entry_pathname(entry);
}

/* Does the path stay below where it begins? */
static bool stays(const char *path)
{
    if (*path == '/' || *path == '\\' || (*path && path[1] == ':')) return false;
    for (const char *at = path; *at;) {
        size_t n = strcspn(at, "/\\");
        if (n == 2 && at[0] == '.' && at[1] == '.') return false;
        at += n + (at[n] != '\0');
    }
    for (const char *at = path; *at; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f) return false;
    return true;
}

/* What file managers leave in zips: ".DS_Store", "__MACOSX/._a.jpg". */
static bool is_litter(const char *path)
{
    for (const char *at = path; *at;) {
        size_t n = strcspn(at, "/");
        if (*at == '.' || (n == 8 && !strncmp(at, "__MACOSX", n))) return true;
        at += n + (at[n] != '\0');
    }
    return false;
}

static struct archive *open_zip(const void *zip, size_t n, char why[200])
{
    struct archive *archive = archive_read_new();
    if (archive && archive_read_support_format_zip_seekable(archive) == ARCHIVE_OK &&
        archive_read_open_memory(archive, zip, n) == ARCHIVE_OK)
        return archive;
    refuse(why, 400, "that is no zip that can be read", NULL);
    archive_read_free(archive);
    return NULL;
}

/* ARCHIVE_WARN: the name is not this locale's, which path_of does not need. */
static int next_entry(struct archive *archive, struct archive_entry **entry)
{
    int code = archive_read_next_header(archive, entry);
    return code == ARCHIVE_WARN ? ARCHIVE_OK : code;
}

static int judge_entry(struct archive_entry *entry, const struct unzip_limits *limits, size_t *bytes,
                       char why[200])
{
    const char *path = path_of(entry);
    if (!path || !stays(path))
        return refuse(why, 400, "the zip has a path that leads out of it", path ? path : "");
    mode_t kind = archive_entry_filetype(entry);
    if (archive_entry_symlink(entry) || archive_entry_hardlink(entry) ||
        (kind != AE_IFREG && kind != AE_IFDIR))
        return refuse(why, 400, "the zip has a link or device", path);
    if (archive_entry_is_encrypted(entry)) return refuse(why, 400, "the zip is encrypted", path);
    la_int64_t size = archive_entry_size_is_set(entry) ? archive_entry_size(entry) : 0;
    if (size < 0 || (unsigned long long)size > limits->entry_bytes)
        return refuse(why, 413, "the zip has a file that is too large", path);
    *bytes += (size_t)size; /* at most entries * entry_bytes, that is no overflow */
    return 0;
}

static int judge(const void *zip, size_t n, const struct unzip_limits *limits, char why[200])
{
    struct archive *archive = open_zip(zip, n, why);
    struct archive_entry *entry;
    size_t entries = 0, bytes = 0;
    int status = archive ? 0 : 400, code = ARCHIVE_OK;
    while (!status && (code = next_entry(archive, &entry)) == ARCHIVE_OK) {
        if (++entries > limits->entries) status = refuse(why, 413, "the zip has too many files", NULL);
        if (!status) status = judge_entry(entry, limits, &bytes, why);
        if (!status && bytes > limits->bytes) status = refuse(why, 413, "the zip unpacks to too much", NULL);
    }
    if (!status && code != ARCHIVE_EOF) status = refuse(why, 400, "the zip is damaged", NULL);
    archive_read_free(archive);
    return status;
}

/* One file; *n: its length. NULL: why not is said. */
static void *unpack(struct archive *archive, struct archive_entry *entry, size_t *n, size_t most,
                    char why[200], int *status)
{
    la_int64_t said = archive_entry_size_is_set(entry) ? archive_entry_size(entry) : -1;
    if (said >= 0 && (size_t)said < most) most = (size_t)said;
    size_t room = said >= 0 ? most : 65536;
    char *bytes = malloc(room + 1), *more = bytes;
    *n = 0;
    while (more) {
        if (*n > most) {
            *status =
                refuse(why, 413, "the zip has a file that unpacks to more than it says", path_of(entry));
            break;
        }
        la_ssize_t got = archive_read_data(archive, bytes + *n, room + 1 - *n);
        if (got == 0) return bytes;
        if (got < 0) {
            *status = refuse(why, 400, "the zip has a damaged file", path_of(entry));
            break;
        }
        *n += (size_t)got;
        if (*n <= room || *n > most) continue;
        room = 2 * room < most ? 2 * room : most;
        more = realloc(bytes, room + 1);
        if (more) bytes = more;
    }
    if (!more) *status = refuse(why, 507, "there is no memory for a file of the zip", path_of(entry));
    free(bytes);
    return NULL;
}

static int unzip(const void *zip, size_t n, const struct unzip_limits *given,
                 bool (*take)(void *, const char *path, const void *bytes, size_t n), void *user,
                 char why[200])
{
    struct unzip_limits limits = given ? *given : (struct unzip_limits){0};
    if (!limits.entries) limits.entries = 10000;
    if (!limits.entry_bytes) limits.entry_bytes = (size_t)256 << 20;
    if (!limits.bytes) limits.bytes = (size_t)4 << 30;
    if (n < limits.bytes / MOST_RATIO && MOST_RATIO * n + EXPECTED_BYTES < limits.bytes)
        limits.bytes = MOST_RATIO * n + EXPECTED_BYTES;
    int status = judge(zip, n, &limits, why), code = ARCHIVE_OK;
    if (status) return status;
    struct archive *archive = open_zip(zip, n, why);
    struct archive_entry *entry;
    if (!archive) return 400;
    bool on = true;
    while (on && !status && (code = next_entry(archive, &entry)) == ARCHIVE_OK) {
        const char *path = path_of(entry);
        if (archive_entry_filetype(entry) != AE_IFREG || is_litter(path)) continue;
        size_t length = 0, most = limits.bytes < limits.entry_bytes ? limits.bytes : limits.entry_bytes;
        void *bytes = unpack(archive, entry, &length, most, why, &status);
        if (bytes) on = take(user, path, bytes, length);
        limits.bytes -= length < limits.bytes ? length : limits.bytes;
        free(bytes);
    }
    if (on && !status && code != ARCHIVE_EOF) status = refuse(why, 400, "the zip is damaged", NULL);
    archive_read_free(archive);
    return status;
}

/* libarchive gives names in the thread's locale, and none where that has no such letters. */
int unzip_read(const void *zip, size_t n, const struct unzip_limits *limits,
               bool (*take)(void *, const char *path, const void *bytes, size_t n), void *user, char why[200])
{
    locale_t all = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0),
             before = all ? uselocale(all) : (locale_t)0;
    int status = unzip(zip, n, limits, take, user, why);
    if (all) {
        uselocale(before);
        freelocale(all);
    }
    return status;
}
