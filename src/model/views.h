/* views.h: several views of a photo through one network, averaged at its cuts. Private to model. */
#ifndef EG_MODEL_VIEWS_H
#define EG_MODEL_VIEWS_H

#include "model/model.h"

/* What the recipe's views ask of a network's cuts: an image becomes its views, each output their mean.
 * A graph that has its views already gets the means alone. */
EG_MUST_CHECK enum eg_status eg__views_plan(const struct eg_net *net, struct eg_cut_plan *plan,
                                            struct eg_error *err);
/* EG_E_UNSUPPORTED: views of a network that is taken whole. */
EG_MUST_CHECK enum eg_status eg__views_check_whole(const struct eg_net *net, struct eg_error *err);

#endif
