/* no_stdin.c: what jansson compares a stream with before it reads it, in the build for predicting alone. */
#include <stdio.h>

extern FILE *eg__no_stdin;
FILE *eg__no_stdin;
