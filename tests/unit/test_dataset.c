/* image/dataset.c, scan.c, csv.c, npy.c: what IMAGES names, as rows. */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

#include "image/dataset.h"

static char folder[] = "/tmp/engraft-dataset-XXXXXX";

static int enter_new_folder(void **state)
{
    (void)state;
    memcpy(folder + sizeof folder - 7, "XXXXXX", 6);
    return !mkdtemp(folder) || chdir(folder);
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *where)
{
    (void)info, (void)type, (void)where;
    return remove(path);
}

static int remove_folder(void **state)
{
    (void)state;
    return chdir("/") || nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void put_bytes(const char *path, const void *bytes, size_t n)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, n, file), n);
    fclose(file);
}

static void put(const char *path, const char *text) { put_bytes(path, text, strlen(text)); }

/* Rows as "path=class" lines. */
static void expect_rows(const struct eg_dataset *d, const char *const *rows, size_t n)
{
    for (size_t i = 0; i < d->n_items && i < n; i++) {
        char row[300];
        const struct eg_dataset_item *item = &d->items[i];
        snprintf(row, sizeof row, "%s=%s", item->path, item->label < 0 ? "" : d->classes[item->label]);
        assert_string_equal(row, rows[i]);
    }
    assert_int_equal(d->n_items, n);
}
#define EXPECT_ROWS(d, ...)                                                                                  \
    do {                                                                                                     \
        const char *const rows[] = {__VA_ARGS__};                                                            \
        expect_rows(d, rows, sizeof rows / sizeof *rows);                                                    \
    } while (0)

static struct eg_dataset *open_images(const char *path)
{
    struct eg_dataset *d = NULL;
    struct eg_error err;
    if (eg__dataset_open(path, &d, &err)) fail_msg("%s", err.message);
    return d;
}

static void refuse(const char *path, enum eg_status status, const char *named)
{
    struct eg_dataset *d = NULL;
    struct eg_error err;
    assert_int_equal(eg__dataset_open(path, &d, &err), status);
    if (!strstr(err.message, named)) fail_msg("no '%s' in: %s", named, err.message);
    assert_null(d);
}

static void folders_are_classes(void **state)
{
    (void)state;
    mkdir("a", 0700);
    mkdir("a/deep", 0700);
    mkdir("b c", 0700);
    mkdir("empty", 0700);
    mkdir(".hidden", 0700);
    put("a/2.JPG", "");
    put("a/1.webp", "");
    put("a/deep/0.jfif", "");
    put("a/notes.txt", "not a photo");
    put("a/unnamed", "\xff\xd8\xff\xe0 its first bytes say so");
    put("a/.secret.jpg", "");
    put("b c/x\ny.png", "");
    put("b c/-\xff.jpeg", "");
    put(".hidden/1.jpg", "");
    put("loose.jpe", "");
    struct eg_dataset *d = open_images(folder);
    EXPECT_ROWS(d, "a/1.webp=a", "a/2.JPG=a", "a/deep/0.jfif=a", "a/unnamed=a", "b c/-\\xff.jpeg=b c",
                "b c/x\\x0ay.png=b c", "loose.jpe=");
    assert_int_equal(d->n_classes, 3);
    assert_string_equal(d->classes[2], "empty");
    assert_int_equal(d->n_per_class_min, 0);
    assert_int_equal(d->n_ignored, 1);
    char *file = eg__dataset_file(d, 4);
    assert_int_equal(access(file, R_OK), 0); /* the name that opens it, not the one to print */
    free(file);
    eg__dataset_free(d);
}

static void a_folder_without_folders_has_no_labels(void **state)
{
    (void)state;
    put("b.jpg", "");
    put("a.jpg", "12345");
    put("x.txt", "");
    struct eg_dataset *d = open_images(".");
    EXPECT_ROWS(d, "a.jpg=", "b.jpg=");
    assert_int_equal(d->n_classes, 0);
    assert_int_equal(d->n_ignored, 1);
    uint8_t *bytes;
    size_t n;
    assert_int_equal(eg__dataset_read(d, 0, &bytes, &n, NULL), EG_OK);
    assert_int_equal(n, 5);
    assert_memory_equal(bytes, "12345", 5);
    free(bytes);
    eg__dataset_free(d);
    d = open_images("a.jpg");
    EXPECT_ROWS(d, "a.jpg=");
    eg__dataset_free(d);
}

static void links_are_followed_once(void **state)
{
    (void)state;
    mkdir("z", 0700);
    mkdir("a", 0700);
    put("z/1.jpg", "");
    put("a/2.jpg", "");
    assert_int_equal(symlink("../z", "a/alias"), 0); /* z keeps its photos */
    assert_int_equal(symlink("..", "z/up"), 0);
    assert_int_equal(symlink("../a/2.jpg", "z/3.jpg"), 0);
    mkdir("outside", 0700);
    mkdir("outside/p", 0700);
    put("outside/p/4.jpg", "");
    assert_int_equal(rename("outside", "../outside-of-engraft"), 0);
    assert_int_equal(symlink("../outside-of-engraft/p", "m"), 0);
    struct eg_dataset *d = open_images(".");
    EXPECT_ROWS(d, "a/2.jpg=a", "m/4.jpg=m", "z/1.jpg=z", "z/3.jpg=z");
    assert_int_equal(d->n_per_class_min, 1);
    eg__dataset_free(d);
    unlink("../outside-of-engraft/p/4.jpg");
    rmdir("../outside-of-engraft/p");
    rmdir("../outside-of-engraft");
}

static void what_cannot_be_read_is_still_a_row(void **state)
{
    (void)state;
    mkdir("x.jpg", 0700);
    assert_int_equal(symlink("nowhere", "y.png"), 0);
    assert_int_equal(symlink("nowhere", "ignored"), 0);
    assert_int_equal(mkfifo("z.webp", 0600), 0);
    assert_int_equal(mkfifo("pipe", 0600), 0);
    struct eg_dataset *d = open_images(".");
    EXPECT_ROWS(d, "x.jpg=", "y.png=", "z.webp=");
    assert_int_equal(d->n_ignored, 2);
    static const struct {
        enum eg_status status;
        const char *reason;
    } wanted[] = {
        {EG_E_FORMAT, "a folder"}, {EG_E_NOT_FOUND, "nowhere"}, {EG_E_FORMAT, "not a regular file"}};
    for (size_t i = 0; i < 3; i++) {
        uint8_t *bytes;
        size_t n;
        struct eg_error err;
        assert_int_equal(eg__dataset_read(d, i, &bytes, &n, &err), wanted[i].status);
        assert_non_null(strstr(err.message, wanted[i].reason));
    }
    eg__dataset_free(d);
}

static void splits_and_empty_folders_are_refused(void **state)
{
    (void)state;
    refuse(".", EG_E_NOT_FOUND, "no photos in '.'");
    refuse("absent", EG_E_IO, "'absent'");
    put("note.txt", "");
    refuse(".", EG_E_NOT_FOUND, "1 other");
    refuse("note.txt", EG_E_FORMAT, "'note.txt'");
    mkdir("train", 0700);
    mkdir("val", 0700);
    put("train/a.jpg", "");
    refuse(".", EG_E_ARGUMENT, "take one of them");
    mkdir("other", 0700);
    struct eg_dataset *d = open_images(".");
    EXPECT_ROWS(d, "train/a.jpg=train");
    eg__dataset_free(d);
}

/* Names of parts as people write them; one folder besides makes them classes. */
static void parts_are_known_in_any_spelling(void **state)
{
    (void)state;
    static const char *const parts[] = {"Train",     "Testing",  "TRAINING", "dev",   "Validation",
                                        "train_set", "Test-Set", "valset",   "valid", "test"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        char photo[64];
        mkdir(parts[i], 0700);
        snprintf(photo, sizeof photo, "%s/1.jpg", parts[i]);
        put(photo, "");
        refuse(".", EG_E_ARGUMENT, parts[i]);
        remove(photo);
        rmdir(parts[i]);
    }
    mkdir("trains", 0700);
    mkdir("set", 0700);
    put("trains/1.jpg", "");
    put("set/1.jpg", "");
    struct eg_dataset *d = open_images(".");
    assert_int_equal(d->n_classes, 2);
    eg__dataset_free(d);
}

static const struct eg_ignored_kind *ignored(const struct eg_dataset *d, const char *kind)
{
    for (size_t i = 0; i < d->n_ignored_kinds; i++)
        if (!strcmp(d->ignored[i].kind, kind)) return &d->ignored[i];
    fail_msg("nothing of kind %s was ignored", kind);
    return NULL;
}

static void rubbish_is_skipped_and_told(void **state)
{
    (void)state;
    static const char *const folders[] = {"cat",          "dog",        "@eaDir",
                                          "$Recycle.Bin", "lost+found", "cat/@eaDir",
                                          "__MACOSX",     "#recycle",   ".ipynb_checkpoints"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        char photo[64];
        mkdir(folders[i], 0700);
        snprintf(photo, sizeof photo, "%s/1.jpg", folders[i]);
        put(photo, "");
    }
    put("cat/SYNOPHOTO_THUMB_M.jpg", "");
    put("cat/Thumbs.db", "");
    put("cat/a.jxl", "\xff\x0a");
    put_bytes("cat/b.nef", "II*\0\0\0\0\0", 8); /* the TIFF of a thumbnail */
    put("cat/c.txt", "");
    put("dog/d.txt", "");
    put_bytes("dog/unnamed", "8BPS\0\1", 6);
    struct eg_dataset *d = open_images(".");
    EXPECT_ROWS(d, "cat/1.jpg=cat", "dog/1.jpg=dog");
    assert_int_equal(d->n_classes, 2);
    assert_int_equal(ignored(d, "@eaDir")->n, 2);
    assert_string_equal(ignored(d, "@eaDir")->example, "@eaDir");
    assert_null(ignored(d, "@eaDir")->advice);
    assert_int_equal(ignored(d, "$Recycle.Bin")->n, 1);
    assert_int_equal(ignored(d, ".ipynb_checkpoints")->n, 1);
    assert_int_equal(ignored(d, "SYNOPHOTO_THUMB")->n, 1);
    assert_int_equal(ignored(d, "Thumbs.db")->n, 1);
    assert_int_equal(ignored(d, ".txt")->n, 2);
    assert_string_equal(ignored(d, ".txt")->example, "cat/c.txt");
    assert_non_null(ignored(d, "JPEG XL")->advice);
    assert_non_null(ignored(d, "camera raw")->advice);
    assert_int_equal(ignored(d, "Photoshop")->n, 1);
    size_t sum = 0;
    for (size_t i = 0; i < d->n_ignored_kinds; i++) sum += d->ignored[i].n;
    assert_int_equal(sum, d->n_ignored);
    eg__dataset_free(d);
}

static void what_is_excluded_is_left_out(void **state)
{
    (void)state;
    mkdir("a", 0700);
    mkdir("a/old", 0700);
    mkdir("b", 0700);
    mkdir("old", 0700);
    put("a/1.jpg", "");
    put("a/1_mask.jpg", "");
    put("a/old/2.jpg", "");
    put("old/3.jpg", "");
    put("b/4.jpg", "");
    static const char *const patterns[] = {"*_mask.*", "old"}, *const more[] = {"b/*", "a/old"};
    const char *path = ".";
    struct eg_dataset_options options = {.exclude = patterns, .n_exclude = 2};
    struct eg_dataset *d;
    assert_int_equal(eg__dataset_scan(&path, 1, &options, &d, NULL), EG_OK);
    EXPECT_ROWS(d, "a/1.jpg=a", "b/4.jpg=b");
    assert_int_equal(d->n_classes, 2);
    assert_int_equal(ignored(d, "excluded")->n, 3);
    eg__dataset_free(d);
    options.exclude = more;
    assert_int_equal(eg__dataset_scan(&path, 1, &options, &d, NULL), EG_OK);
    EXPECT_ROWS(d, "a/1.jpg=a", "a/1_mask.jpg=a", "old/3.jpg=old");
    eg__dataset_free(d);
    put("x.csv", "path,label\na/1.jpg,a\na/old/2.jpg,a\nc,a\n");
    path = "x.csv";
    assert_int_equal(eg__dataset_scan(&path, 1, &options, &d, NULL), EG_OK);
    EXPECT_ROWS(d, "a/1.jpg=a", "c=a");
    eg__dataset_free(d);
}

/* "Bar" with dots, as macOS and as others write it, is one class, also with a blank behind it. */
static void names_that_mean_one_class_are_one(void **state)
{
    (void)state;
    put("x.csv", "path , label\n1,Ba\xcc\x88r\n2,B\xc3\xa4r\n3, B\xc3\xa4r\t\n4,bird\n5,Bird\n6,\n7,  \n");
    struct eg_dataset *d = open_images("x.csv");
    EXPECT_ROWS(d, "1=B\xc3\xa4r", "2=B\xc3\xa4r", "3=B\xc3\xa4r", "4=bird", "5=Bird", "6=", "7=");
    assert_int_equal(d->n_classes, 3);
    assert_int_equal(d->n_remarks, 1);
    assert_non_null(strstr(d->remarks[0], "'Bird' and 'bird' look alike"));
    eg__dataset_free(d);
    mkdir("f", 0700);
    mkdir("f/Ba\xcc\x88r", 0700);
    put("f/Ba\xcc\x88r/1.jpg", "12");
    d = open_images("f");
    EXPECT_ROWS(d, "Ba\xcc\x88r/1.jpg=B\xc3\xa4r");
    uint8_t *bytes;
    size_t n;
    assert_int_equal(eg__dataset_read(d, 0, &bytes, &n, NULL), EG_OK); /* by the name that it has */
    free(bytes);
    eg__dataset_free(d);
}

static void csv_rows_are_sorted(void **state)
{
    (void)state;
    put("list.csv", "\xef\xbb\xbf"
                    "label,path,note\r\ncat,\"b, \"\"c\"\".jpg\",1\r\n\r\n"
                    ",a.jpg,\"two\r\nlines\"\r\ndog,/abs/\xff.jpg,\r\ncat,z.jpg,x");
    struct eg_dataset *d = open_images("list.csv");
    EXPECT_ROWS(d, "/abs/\\xff.jpg=dog", "a.jpg=", "b, \"c\".jpg=cat", "z.jpg=cat");
    char *file = eg__dataset_file(d, 0);
    assert_string_equal(file, "/abs/\xff.jpg");
    free(file);
    file = eg__dataset_file(d, 1);
    assert_string_equal(file, "a.jpg");
    free(file);
    assert_int_equal(d->n_per_class_min, 1);
    eg__dataset_free(d);
    char path[100];
    snprintf(path, sizeof path, "%s/list.csv", folder);
    d = open_images(path);
    file = eg__dataset_file(d, 1);
    snprintf(path, sizeof path, "%s/a.jpg", folder);
    assert_string_equal(file, path);
    free(file);
    eg__dataset_free(d);
}

static void damaged_csv_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *named;
    } cases[] = {
        {"", "path,label"},
        {"a.jpg,cat\n", "path,label"},
        {"path\na.jpg\n", "path,label"},
        {"path,label\na.jpg\n", "line 2 has 1 fields"},
        {"path,label\n\"a\nb\",c\nx,y,z\n", "line 4 has 3 fields"},
        {"path,label\na.jpg,\"cat\n", "opened in line 2"},
        {"path,label\n\"a\"b,cat\n", "closing quote"},
        {"path,label\n,cat\n", "line 2 has no path"},
        {"path,label\na.jpg,cat\na.jpg,dog\n", "two different labels"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put("x.csv", cases[i].text);
        refuse("x.csv", EG_E_FORMAT, cases[i].named);
    }
    put_bytes("x.csv", "path,label\na\0b,cat\n", 19);
    refuse("x.csv", EG_E_FORMAT, "zero byte");
    put("x.csv", "path,label\n");
    refuse("x.csv", EG_E_NOT_FOUND, "no photos");
}

static size_t put_npy(const char *dictionary, size_t n_floats)
{
    uint8_t file[1024] = "\x93NUMPY\x01";
    size_t n = strlen(dictionary);
    file[8] = (uint8_t)n;
    memcpy(file + 10, dictionary, n);
    for (size_t i = 0; i < n_floats; i++) {
        float value = (float)i;
        memcpy(file + 10 + n + 4 * i, &value, 4);
    }
    put_bytes("x.npy", file, 10 + n + 4 * n_floats);
    return 10 + n + 4 * n_floats;
}

static void arrays_come_channels_last(void **state)
{
    (void)state;
    put_npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3, 1, 2), }   \n", 12);
    struct eg_dataset *d = open_images("x.npy");
    EXPECT_ROWS(d, "x.npy#0=", "x.npy#1=");
    assert_true(d->is_array);
    size_t h, w, c;
    assert_int_equal(eg__dataset_array_shape(d, &h, &w, &c, NULL), EG_OK);
    assert_int_equal(h, 1);
    assert_int_equal(w, 2);
    assert_int_equal(c, 3);
    float hwc[6];
    assert_int_equal(eg__dataset_array_read(d, 1, hwc, NULL), EG_OK);
    const float wanted[] = {6, 8, 10, 7, 9, 11};
    assert_memory_equal(hwc, wanted, sizeof wanted);
    char *file = eg__dataset_file(d, 1);
    assert_string_equal(file, "x.npy");
    free(file);
    eg__dataset_free(d);
    put_npy("{\"shape\":(3,2,2),\"fortran_order\":False,\"descr\":\"<f4\"}", 12);
    d = open_images("x.npy");
    EXPECT_ROWS(d, "x.npy#0=");
    eg__dataset_free(d);
}

static void other_arrays_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *dictionary;
        enum eg_status status;
        const char *named;
    } cases[] = {
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (3, 2, 2), }", EG_E_UNSUPPORTED, "float32"},
        {"{'descr': '>f4', 'fortran_order': False, 'shape': (3, 2, 2), }", EG_E_UNSUPPORTED, "float32"},
        {"{'descr': '<f4', 'fortran_order': True, 'shape': (3, 2, 2), }", EG_E_UNSUPPORTED, "Fortran"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (12,), }", EG_E_SHAPE, "[N][C][H][W]"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,3,2,2), }", EG_E_SHAPE, "[N][C][H][W]"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 0, 2), }", EG_E_SHAPE, "[N][C][H][W]"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3, 2, 2), }", EG_E_FORMAT, "truncated"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4294967296, 4294967296), }", EG_E_FORMAT,
         "size"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 99999999999999999999, 1), }", EG_E_SHAPE, ""},
        {"{'descr': '<f4', 'shape': (3, 2, 2), }", EG_E_FORMAT, "missing"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2, 2), 'x': 1}", EG_E_FORMAT, "unknown key"},
        {"{'descr': '<f4", EG_E_UNSUPPORTED, ""},
        {"", EG_E_FORMAT, "damaged"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put_npy(cases[i].dictionary, 12);
        refuse("x.npy", cases[i].status, cases[i].named);
    }
    size_t n = put_npy("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2, 2), }", 12);
    for (size_t cut = 0; cut < n; cut++) {
        assert_int_equal(truncate("x.npy", (off_t)(n - 1 - cut)), 0);
        refuse("x.npy", EG_E_FORMAT, "");
        if (n - 1 - cut < 74) break; /* now the header itself is cut: other words */
    }
    put("x.npy", "\x93NUMPY");
    refuse("x.npy", EG_E_FORMAT, "not a .npy file");
}

static void lists_keep_their_order(void **state)
{
    (void)state;
    mkdir("d", 0700);
    mkdir("d/e", 0700);
    put("d/2.jpg", "");
    put("d/e/1.jpg", "");
    put("d/x.txt", "");
    struct eg_dataset *d;
    const char *const paths[] = {"z.gif", "d/", "absent.jpg", "d"};
    assert_int_equal(eg__dataset_list(paths, 4, &d, NULL), EG_OK);
    EXPECT_ROWS(d, "z.gif=", "d/2.jpg=", "d/e/1.jpg=", "absent.jpg=", "d/2.jpg=", "d/e/1.jpg=");
    assert_int_equal(d->n_classes, 0);
    char *file = eg__dataset_file(d, 2);
    assert_string_equal(file, "d/e/1.jpg");
    free(file);
    eg__dataset_free(d);
}

#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, enter_new_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_FOLDER(folders_are_classes),
        IN_A_FOLDER(a_folder_without_folders_has_no_labels),
        IN_A_FOLDER(links_are_followed_once),
        IN_A_FOLDER(what_cannot_be_read_is_still_a_row),
        IN_A_FOLDER(splits_and_empty_folders_are_refused),
        IN_A_FOLDER(parts_are_known_in_any_spelling),
        IN_A_FOLDER(rubbish_is_skipped_and_told),
        IN_A_FOLDER(what_is_excluded_is_left_out),
        IN_A_FOLDER(names_that_mean_one_class_are_one),
        IN_A_FOLDER(csv_rows_are_sorted),
        IN_A_FOLDER(damaged_csv_is_refused),
        IN_A_FOLDER(arrays_come_channels_last),
        IN_A_FOLDER(other_arrays_are_refused),
        IN_A_FOLDER(lists_keep_their_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
