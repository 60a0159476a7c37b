/* replay.c: stands in for libFuzzer where a harness is only to be run over its corpus:
 *   replay_NAME tests/fuzz/corpus/NAME
 * Every file of the folder is fed once whole and once cut in half; a crash or a sanitizer's
 * report fails the test, and so does a corpus that is missing or empty. */
#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* In a block of exactly `size` bytes, so that a read past the end is seen. */
static void feed(const uint8_t *bytes, size_t size)
{
    uint8_t *exact = malloc(size ? size : 1);
    if (exact == NULL) abort();
    if (size) memcpy(exact, bytes, size);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
}

static bool replay_file(const char *path, size_t size)
{
    uint8_t *bytes = malloc(size ? size : 1);
    FILE *file = fopen(path, "rb");
    bool read = bytes && file && fread(bytes, 1, size, file) == size;
    if (file) fclose(file);
    if (read) {
        feed(bytes, size);
        feed(bytes, size / 2);
    } else {
        fprintf(stderr, "replay: cannot read '%s'\n", path);
    }
    free(bytes);
    return read;
}

int main(int argc, char **argv)
{
    size_t n_files = 0;
    if (argc != 2) {
        fprintf(stderr, "usage: %s CORPUS\n", argv[0]);
        return 2;
    }
    DIR *folder = opendir(argv[1]);
    if (folder == NULL) {
        fprintf(stderr, "replay: no corpus '%s'\n", argv[1]);
        return 1;
    }
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        char path[4096];
        struct stat info;
        if (snprintf(path, sizeof path, "%s/%s", argv[1], entry->d_name) >= (int)sizeof path) return 1;
        if (stat(path, &info) != 0 || !S_ISREG(info.st_mode)) continue;
        if (!replay_file(path, (size_t)info.st_size)) return 1;
        n_files++;
    }
    closedir(folder);
    printf("%zu files of '%s' replayed\n", n_files, argv[1]);
    return n_files ? 0 : 1;
}
