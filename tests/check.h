/* check.h: cmocka with the headers it uses without including them. */
#ifndef EG_TESTS_CHECK_H
#define EG_TESTS_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* after the others */

#endif
