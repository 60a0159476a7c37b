/* Photos in folders, one a class, to a classifier:  grow MODELS PHOTOS OUT */
#include <engraft.h>
#include <stdio.h>

static void show(void *user, const struct eg_answer *answer)
{
    (void)user;
    if (answer->error)
        printf("%s: %s\n", answer->path, answer->error);
    else
        printf("%s: %s (%.2f)\n", answer->path, answer->top[0].label, (double)answer->top[0].probability);
}

int main(int argc, char **argv)
{
    if (argc != 4) return 2;
    char features_path[4096], model_path[4096];
    snprintf(features_path, sizeof features_path, "%s.h5", argv[3]);
    snprintf(model_path, sizeof model_path, "%s.onnx", argv[3]);

    struct eg_error err = {.message = ""};
    struct eg_net_options where = {EG_SIZED(eg_net_options), .folders = argv[1]};
    eg_pool *pool = NULL;
    eg_net *net = NULL, *model = NULL;
    eg_dataset *photos = NULL;
    eg_features *features = NULL;
    struct eg_extract_report *extracted = NULL;
    struct eg_train_report *trained = NULL;

    enum eg_status status = eg_pool_create(0, &pool, &err);
    if (!status) status = eg_net_load("efficientnet-lite0", &where, &net, &err);
    if (!status) status = eg_dataset_open(argv[2], &photos, &err);
    struct eg_extract_options how = {EG_SIZED(eg_extract_options), .pool = pool};
    if (!status) status = eg_extract(net, photos, features_path, &how, &extracted, &err);
    if (!status) status = eg_features_open(features_path, &features, &err);
    struct eg_train_options learn = {EG_SIZED(eg_train_options), .pool = pool, .classifier = "svm"};
    if (!status) status = eg_train(features, net, model_path, &learn, &trained, &err);
    if (!status) printf("%.3f of %zu test photos are right\n", trained->test.accuracy, trained->test.n);
    if (!status) status = eg_net_load(model_path, NULL, &model, &err);
    struct eg_classify_options one = {EG_SIZED(eg_classify_options), .pool = pool, .top = 1};
    if (!status) status = eg_classify(model, photos, &one, show, NULL, &err);
    if (status) fprintf(stderr, "%s: %s\n", eg_status_text(status), err.message);

    eg_train_report_free(trained);
    eg_extract_report_free(extracted);
    eg_features_close(features);
    eg_dataset_free(photos);
    eg_net_free(model);
    eg_net_free(net);
    eg_pool_free(pool);
    return status ? 1 : 0;
}
