# The double-precision loops over rows are worth vectorising.
set_source_files_properties(src/learn/matrix.c src/learn/newton.c src/learn/dual.c src/learn/ridge_space.c src/learn/tree.c PROPERTIES COMPILE_OPTIONS -O3)
