# The line passes of the resampling are worth their own flags; the second copy its own ISA.
# (psabi: vectors wider than the ISA never cross a call that is not inlined.)
set_source_files_properties(src/image/resample_lines.c PROPERTIES COMPILE_OPTIONS "-O3;-Wno-psabi")
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  set_source_files_properties(src/image/resample_lines_avx2.c PROPERTIES COMPILE_OPTIONS "-O3;-mavx2;-Wno-psabi")
endif()
