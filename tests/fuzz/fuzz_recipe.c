/* Any text as a recipe; one that is taken reads back from its own JSON. */
#include <stdlib.h>
#include <string.h>

#include "image/photo.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    if (!text) return 0;
    if (size) memcpy(text, data, size);
    text[size] = '\0';
    struct eg_recipe recipe, again;
    struct eg_error err;
    if (!eg__recipe_parse(text, &recipe, &err)) {
        char *json = eg__recipe_json(&recipe);
        if (!json || eg__recipe_parse(json, &again, &err)) abort();
        char *twice = eg__recipe_json(&again);
        if (!twice || strcmp(json, twice)) abort();
        free(json);
        free(twice);
    }
    free(text);
    return 0;
}
