/* engraft.h: the public interface of libengraft.
 *
 * A function, type or constant that is neither here nor in the headers below is not public.
 *
 * Data flows one way:  image -> network, cut -> features (HDF5) -> model -> metrics
 *
 * Conventions that hold for every function below, and so are not repeated:
 *   errors     Functions that can fail return enum eg_status and take a last
 *              parameter `struct eg_error *err`, which may be NULL. It is
 *              written only on failure. Out-parameters are written only on
 *              success.
 *   ownership  Arguments are borrowed for the call. X_create/open/load/fit
 *              pair with X_free or X_close; X_free(NULL) does nothing.
 *              A returned const pointer lives as long as its object.
 *   options    Zero means "default" for every member; NULL means all zero. They begin with their
 *              size (EG_SIZED), so that later versions can add members at the end.
 *   reports    Made by the library, X_report_free by the caller; they, too, grow at the end.
 *   layout     Dense float arrays are row-major; images are N,H,W,C.
 *   threads    Distinct objects may be used from distinct threads. An eg_net is
 *              immutable once made and may be shared.
 */
#ifndef ENGRAFT_H
#define ENGRAFT_H

#include "engraft/features.h" /* photos to feature files */
#include "engraft/predict.h"  /* networks, recipes, running them */
#include "engraft/report.h"   /* how good is it */
#include "engraft/train.h"    /* classifiers, fine-tuning */

#endif
