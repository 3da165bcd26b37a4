/*
 * Runs a fuzz target without libFuzzer on every file of the folders that are named: corpus
 * and past crashers become an ordinary test, with any compiler.
 *
 *     replay FOLDER...
 *
 * Exits with 1 when a folder cannot be read or none holds a file; a failing input aborts.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

/* Reads a whole file into memory for free(); NULL when it is no readable file. */
static uint8_t *read_file(const char *path, size_t *out_size)
{
    FILE *file = fopen(path, "re");
    uint8_t *data = NULL;
    size_t size = 0, n;

    if (!file)
        return NULL;
    do {
        uint8_t *larger = realloc(data, size + 4096);

        if (!larger)
            break;
        data = larger;
        n = fread(data + size, 1, 4096, file);
        size += n;
    } while (n > 0);
    if (!feof(file)) {
        free(data);
        data = NULL;
    }
    (void)fclose(file);
    *out_size = size;
    return data;
}

/* Returns how many files of the folder were run, or -errno. */
static int replay_folder(const char *folder)
{
    struct dirent **entries;
    int n = scandir(folder, &entries, NULL, alphasort), n_run = 0;

    if (n < 0)
        return -errno;
    for (int i = 0; i < n; i++) {
        char *path = NULL;
        size_t size;
        uint8_t *data = NULL;

        if (entries[i]->d_name[0] != '.' &&
            asprintf(&path, "%s/%s", folder, entries[i]->d_name) > 0)
            data = read_file(path, &size);
        if (data) {
            (void)fprintf(stderr, "%s\n", path);
            (void)LLVMFuzzerTestOneInput(data, size);
            n_run++;
        }
        free(data);
        free(path);
        free(entries[i]);
    }
    free(entries);
    return n_run;
}

int main(int argc, char **argv)
{
    int total = 0;

    for (int i = 1; i < argc; i++) {
        int n = replay_folder(argv[i]);

        if (n < 0) {
            (void)fprintf(stderr, "%s: %s\n", argv[i], strerror(-n));
            return 1;
        }
        total += n;
    }
    (void)printf("%d inputs\n", total);
    return total > 0 ? 0 : 1;
}
