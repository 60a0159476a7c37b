# Each instruction set's kernels are compiled with its flags and no other file is, so that
# the choice at run time is the only place that decides. -O3 unrolls and inlines the tiles.
set_source_files_properties(src/kernels/isa_portable.c src/kernels/isa_neon.c PROPERTIES COMPILE_OPTIONS -O3)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  set_source_files_properties(src/kernels/isa_avx2.c PROPERTIES COMPILE_OPTIONS "-O3;-mavx2;-mfma")
  set_source_files_properties(src/kernels/isa_avx512.c PROPERTIES COMPILE_OPTIONS
    "-O3;-mavx512f;-mavx512vl;-mavx512dq;-mfma;-mprefer-vector-width=512")
endif()
# Undefined behaviour is looked for in the portable text, which is the same: these two took a minute
# and a half each to compile, and ran at half the speed.
if(EG_SANITIZE MATCHES undefined)
  set_property(SOURCE src/kernels/isa_avx2.c src/kernels/isa_avx512.c APPEND PROPERTY COMPILE_OPTIONS
    -fno-sanitize=undefined)
endif()
