/* camera_folder.c: frames from a folder of .ppm files (binary, 8 bits), in order of their names. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "camera.h"

struct source {
    const char *folder;
    struct dirent **entries;
    int n, next;
    uint8_t *pixels;
};

static int is_ppm(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');
    return dot && !strcmp(dot, ".ppm");
}

struct source *folder_open(const char *folder)
{
    struct source *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    s->folder = folder;
    s->n = scandir(folder, &s->entries, is_ppm, alphasort);
    if (s->n > 0) return s;
    fprintf(stderr, "no .ppm files in '%s'\n", folder);
    folder_close(s);
    return NULL;
}

static bool read_ppm(struct source *s, FILE *file, struct eg_frame *frame)
{
    unsigned width, height;
    if (fscanf(file, "P6 %5u %5u 255%*c", &width, &height) != 2 || !width || !height) return false;
    const size_t row = 3 * (size_t)width;
    uint8_t *grown = realloc(s->pixels, row * height);
    if (!grown) return false;
    s->pixels = grown;
    *frame = (struct eg_frame){.pixels = grown, .width = width, .height = height, .format = EG_PIXELS_RGB};
    return fread(grown, row, height, file) == height;
}

bool folder_next(struct source *s, struct eg_frame *frame)
{
    char path[4096];
    bool good = false;
    while (!good && s->next < s->n) {
        snprintf(path, sizeof path, "%s/%s", s->folder, s->entries[s->next++]->d_name);
        FILE *file = fopen(path, "rb");
        good = file && read_ppm(s, file, frame);
        if (!good) fprintf(stderr, "'%s' is left out: not a binary .ppm of 8 bits\n", path);
        if (file) fclose(file);
    }
    return good;
}

void folder_close(struct source *s)
{
    for (int i = 0; i < s->n; i++) free(s->entries[i]);
    free(s->entries);
    free(s->pixels);
    free(s);
}
