/* The card of a file: every row of card.def there and back, files of 0.1, cards of the future. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "model/model.h"

static struct eg_graph *small(void)
{
    struct eg_graph *graph;
    uint32_t index;
    assert_int_equal(eg__graph_create("small", &graph, NULL), EG_OK);
    struct eg_node input = {.op = EG_OP_INPUT, .name = "x", .shape = {3, {1, 1, 3}}};
    assert_int_equal(eg__graph_add(graph, &input, &index, NULL), EG_OK);
    return graph;
}

/* What the test puts into a member of each kind, and asks of it again. */
static void set_TEXT(const char **member, size_t i)
{
    static const char *const texts[] = {"a", "b \"c\"", "\303\244", "", "(b[0-9])_"};
    *member = texts[i % 5];
}
static void set_WHOLE(struct eg_card_whole *member, size_t i)
{
    *member = eg__card_whole(i % 2 ? UINT64_MAX - i : 0);
}
static void set_NUMBER(double *member, size_t i) { *member = 0.001953125 * (double)(1 + i); }
static void set_SHARE(double *member, size_t i) { *member = 0.015625 * (double)i; }
static void set_SCORE(struct eg_card_score *member, size_t i)
{
    *member = (struct eg_card_score){0.75, 0.5, 0.875, 100 + i};
}
static void same_TEXT(const char **a, const char **b) { assert_string_equal(*a, *b); }
static void same_WHOLE(struct eg_card_whole *a, struct eg_card_whole *b)
{
    assert_true(a->known && b->known);
    assert_int_equal(a->value, b->value);
}
static void same_NUMBER(double *a, double *b) { assert_true(*a == *b); }
static void same_SHARE(double *a, double *b) { assert_true(*a == *b); }
static void same_SCORE(struct eg_card_score *a, struct eg_card_score *b)
{
    assert_true(a->value == b->value && a->low == b->low && a->high == b->high && a->n == b->n);
}

static void every_row_comes_back(void **state)
{
    (void)state;
    struct eg_graph *graph = small();
    struct eg_card card = eg__card_empty(), again;
    size_t i = 0;
#define EG_CARD(kind, member, key) set_##kind(&card.member, i++);
#include "model/card.def"
#undef EG_CARD
    card.card_version = eg__card_whole(EG_CARD_VERSION);
    assert_int_equal(eg__graph_set_metadata(graph, "somebody's own", "stays", NULL), EG_OK);
    assert_int_equal(eg__card_write(graph, &card, NULL), EG_OK);
    assert_int_equal(graph->n_metadata, i + 1);
    assert_int_equal(eg__card_read(graph, &again, NULL), EG_OK);
#define EG_CARD(kind, member, key) same_##kind(&card.member, &again.member);
#include "model/card.def"
#undef EG_CARD

    /* Of an earlier classifier nothing stays behind that the later one does not say. */
    struct eg_card plain = eg__card_of_network(&again);
    assert_int_equal(eg__card_write(graph, &plain, NULL), EG_OK);
    assert_null(eg__graph_metadata(graph, "engraft.classifier"));
    assert_null(eg__graph_metadata(graph, "engraft.training_digest"));
    assert_string_equal(eg__graph_metadata(graph, "engraft.network"), card.network);
    assert_string_equal(eg__graph_metadata(graph, "somebody's own"), "stays");
    eg__graph_free(graph);
}

static void nothing_said_is_nothing_written(void **state)
{
    (void)state;
    struct eg_graph *graph = small();
    struct eg_card card = eg__card_empty();
    assert_int_equal(eg__card_write(graph, &card, NULL), EG_OK);
    assert_int_equal(graph->n_metadata, 1);
    assert_string_equal(eg__graph_metadata(graph, "engraft.card_version"), "1");
    eg__graph_free(graph);
}

static void damaged_values_are_not_said(void **state)
{
    (void)state;
    static const char *const bad[][2] = {{"engraft.split_seed", "-1"},
                                         {"engraft.split_seed", "18446744073709551616"},
                                         {"engraft.training_rows", "12 rows"},
                                         {"engraft.C", "nan"},
                                         {"engraft.C", "1e999"},
                                         {"engraft.test_fraction", ""},
                                         {"engraft.accuracy", "0.9 (95 %: 0.8"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct eg_graph *graph = small();
        struct eg_card card;
        assert_int_equal(eg__graph_set_metadata(graph, bad[i][0], bad[i][1], NULL), EG_OK);
        assert_int_equal(eg__card_read(graph, &card, NULL), EG_OK);
        assert_false(card.split_seed.known || card.training_rows.known || card.accuracy.n);
        assert_true(isnan(card.c) && isnan(card.test_fraction));
        eg__graph_free(graph);
    }
}

/* What an earlier engraft would take for classes has a version that it refuses; classes keep the first. */
static void other_answers_raise_the_version(void **state)
{
    (void)state;
    for (int other = 0; other < 2; other++) {
        struct eg_graph *graph = small();
        struct eg_card card = eg__card_empty();
        card.answer = other ? "labels" : NULL;
        assert_int_equal(eg__card_write(graph, &card, NULL), EG_OK);
        const char *version = eg__graph_metadata(graph, "engraft.card_version");
        assert_int_equal(strcmp(version, "1") != 0, other);
        assert_int_equal(eg__card_read(graph, &card, NULL), EG_OK);
        eg__graph_free(graph);
    }
}

static void later_cards_are_refused(void **state)
{
    (void)state;
    static const char *const later[] = {"99", "1.5", "one", "99999999999999999999"};
    for (size_t i = 0; i < sizeof later / sizeof *later; i++) {
        struct eg_graph *graph = small();
        struct eg_card card;
        struct eg_error err;
        assert_int_equal(eg__graph_set_metadata(graph, "engraft.card_version", later[i], NULL), EG_OK);
        assert_int_equal(eg__card_read(graph, &card, &err), EG_E_UNSUPPORTED);
        assert_non_null(strstr(err.message, "'small'"));
        assert_non_null(strstr(err.message, later[i]));
        assert_non_null(strstr(err.message, "update engraft"));
        eg__graph_free(graph);
    }
}

static void models_of_0_1_load(void **state)
{
    (void)state;
    eg_net *net;
    struct eg_error err;
    if (eg_net_load(EG_SOURCE_DIR "/tests/golden/models/card_0_1.onnx", NULL, &net, &err))
        fail_msg("%s", err.message);
    assert_null(eg_net_metadata(net, "engraft.card_version"));
    assert_true(eg_net_is_trained(net));
    assert_int_equal(eg_net_class_count(net), 2);
    assert_string_equal(eg_net_class_name(net, 1), "down");
    assert_string_equal(net->card.classifier, "svm");
    assert_string_equal(net->card.loss, "squared-hinge");
    assert_string_equal(net->card.layer, "relu");
    assert_string_equal(net->card.pool, "avg");
    assert_int_equal(net->card.split_seed.value, 7);
    assert_true(net->card.test_fraction == 0.25);
    assert_int_equal(net->card.training_rows.value, 18);
    assert_int_equal(net->card.accuracy.n, 6);
    assert_int_equal(net->recipe.crop[0], 32);

    /* A cut of it is no classifier any more, and says nothing of the one it had. */
    eg_net *cut;
    assert_int_equal(eg_net_cut(net, "relu", &cut, &err), EG_OK);
    assert_false(eg_net_is_trained(cut));
    assert_null(eg_net_metadata(cut, "engraft.classes"));
    assert_string_equal(eg_net_metadata(net, "engraft.classifier"), "svm");
    eg_net_free(cut);
    eg_net_free(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_comes_back),
        cmocka_unit_test(nothing_said_is_nothing_written),
        cmocka_unit_test(damaged_values_are_not_said),
        cmocka_unit_test(later_cards_are_refused),
        cmocka_unit_test(other_answers_raise_the_version),
        cmocka_unit_test(models_of_0_1_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
